"""Metadata as HTTP/2 carries it: names, text values, binary values, and percent-encoded messages.

The rules are those of https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md.
"""

import binascii
import re
from collections.abc import Iterable
from typing import Final, TypeAlias

Metadata: TypeAlias = tuple[tuple[str, str | bytes], ...]
"""Pairs of name and value, in order. A name that ends in ``-bin`` has bytes, any other has text."""

_BINARY: Final = b"-bin"
_NAME: Final = re.compile(r"[0-9a-z_.\-]+")
_TEXT_VALUE: Final = re.compile(rb"[\x20-\x7e]*")
_UNRESERVED: Final = frozenset(range(0x20, 0x7F)) - {ord("%")}
_RESERVED: Final = frozenset({"te", "content-type", "content-length", "connection", "transfer-encoding", "upgrade"})
_TRANSPORTED: Final = frozenset({b"te", b"content-type", b"grpc-timeout", b"grpc-encoding", b"grpc-accept-encoding"})
"""The fields of the transport, which a handler does not see."""


def encoded(metadata: Iterable[tuple[str, str | bytes]]) -> tuple[tuple[bytes, bytes], ...]:
    """Return metadata as header fields.

    :raises ValueError: a name is not in lower case or is the transport's, or a value is not printable ASCII.
    """
    return tuple([_encoded(name, value) for name, value in metadata])


def _encoded(name: str, value: str | bytes) -> tuple[bytes, bytes]:
    if not _NAME.fullmatch(name) or name in _RESERVED:
        message = f"metadata name {name!r} is not allowed: use a-z, 0-9, '_', '-' and '.', and no field of HTTP"
        raise ValueError(message)
    raw = value.encode() if isinstance(value, str) else value
    if name.endswith("-bin"):
        return name.encode(), binascii.b2a_base64(raw, newline=False).rstrip(b"=")
    if not _TEXT_VALUE.fullmatch(raw):
        message = f"metadata {name!r} has a value that is not printable ASCII: end its name in '-bin' and send bytes"
        raise ValueError(message)
    return name.encode(), raw


def decoded(fields: Iterable[tuple[bytes, bytes]]) -> Metadata:
    """Return the metadata of header fields, without those of HTTP/2 and of the transport.

    :raises ValueError: a binary value is not base64.
    """
    metadata: list[tuple[str, str | bytes]] = []
    for name, value in fields:
        if name[:1] == b":" or name in _TRANSPORTED:
            continue
        if name.endswith(_BINARY):
            # One field may have several values, and its padding may be missing.
            metadata.extend((name.decode(), _from_base64(part.strip())) for part in value.split(b","))
        else:
            metadata.append((name.decode(), value.decode("latin-1")))
    return tuple(metadata)


def _from_base64(text: bytes) -> bytes:
    return binascii.a2b_base64(text + b"=" * (-len(text) % 4), strict_mode=True)


def percent_encoded(message: str) -> bytes:
    """Return a status message for ``grpc-message``: UTF-8, with every byte except printable ASCII as %XX."""
    raw = message.encode(errors="replace")
    if _TEXT_VALUE.fullmatch(raw) and b"%" not in raw:
        return raw
    return b"".join(bytes((byte,)) if byte in _UNRESERVED else b"%%%02X" % byte for byte in raw)
