"""The trace context that callers send (https://www.w3.org/TR/trace-context/): ``traceparent`` and ``tracestate``."""

import re
from binascii import unhexlify
from typing import Final, NamedTuple, Protocol

TRACEPARENT: Final = b"traceparent"
_TRACESTATE: Final = b"tracestate"
_TRACESTATE_CHARACTERS_MAX: Final = 512
"""The length up to which the specification asks to pass a trace state on."""
_VERSION_00: Final = b"00"
_LENGTH_00: Final = 55
_SAMPLED: Final = 1
_FORM: Final = re.compile(rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")

_MEMBER: Final = r"[ \t]*(?:[a-z0-9][a-z0-9_\-*/@]{0,255}=[ -+\--<>-~]{0,255}[!-+\--<>-~])?[ \t]*"
_STATE: Final = re.compile(rf"{_MEMBER}(?:,{_MEMBER}){{0,31}}")


class Headers(Protocol):
    """The header fields of a call."""

    def first(self, name: bytes) -> bytes | None:
        """Return the value of the first field with this name; None if there is none."""

    def values(self, name: bytes) -> list[str]:
        """Return the values of the fields with this name."""


class Parent(NamedTuple):
    """The caller's span."""

    trace_id: bytes
    span_id: bytes
    is_sampled: bool
    state: str
    """The value of ``tracestate``; empty if there is none, or if it breaks the specification."""


def parent_of(headers: Headers) -> Parent | None:
    """Return the caller's span; None if the caller sends none, or sends one that breaks the specification."""
    header = headers.first(TRACEPARENT)
    if header is None:
        return None
    found = _FORM.fullmatch(header)
    if found is None or (found[1] == _VERSION_00 and len(header) != _LENGTH_00):
        return None
    state = ",".join(headers.values(_TRACESTATE))
    return Parent(
        trace_id=unhexlify(found[2]),
        span_id=unhexlify(found[3]),
        is_sampled=bool(int(found[4], 16) & _SAMPLED),
        state=state if len(state) <= _TRACESTATE_CHARACTERS_MAX and _STATE.fullmatch(state) else "",
    )
