"""The environment variables of OpenTelemetry that concern a worker: the sampler and the length of the queue.

The exporter process reads those of the connection to the backend (`collector`). A value that breaks its rule is an
error at the start, so that nobody waits for traces that never come.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final, Self

from tallykeeper_server.tracing.sampler import DEFAULT, NAMES, Sampler

QUEUE_SPANS_DEFAULT: Final = 65_536
"""The spans that may wait by default: two seconds of a worker in which every call is traced."""
_QUEUE_SPANS_MAX: Final = 10_000_000
_NEEDED: Final = ("opentelemetry.sdk", "opentelemetry.proto")
"""The packages of the extra that the exporter process loads."""


class TraceSettingError(Exception):
    """Traces cannot be recorded as the settings ask. The message says why, in one line."""


@dataclass(frozen=True, slots=True)
class TraceSettings:
    """The settings of traces in a worker."""

    sampler: Sampler
    queue_spans_max: int
    """The spans that may wait for their export. Further spans are dropped and counted."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Return the settings in environment variables.

        :raises TraceSettingError: a value breaks its rule.
        """
        for name, values in (("OTEL_TRACES_EXPORTER", ("otlp",)), *_PROTOCOLS):
            _choice(environment, name, values)
        name = _choice(environment, "OTEL_TRACES_SAMPLER", NAMES, DEFAULT)
        return cls(
            sampler=Sampler.of(name, _ratio(environment)),
            queue_spans_max=_queue_spans_max(environment),
        )


_PROTOCOLS: Final = (
    ("OTEL_EXPORTER_OTLP_PROTOCOL", ("grpc",)),
    ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", ("grpc",)),
)


def check_extra() -> None:
    """Return if the packages that export traces are installed.

    :raises TraceSettingError: they are not.
    """
    if not all(map(find_spec, _NEEDED)):
        message = "traces need the extra otel: pip install 'tallykeeper[otel]', or start without --traces"
        raise TraceSettingError(message)


def is_disabled(environment: Mapping[str, str]) -> bool:
    """Return whether the environment turns OpenTelemetry off, for all programs in it."""
    off = environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
    return off or environment.get("OTEL_TRACES_EXPORTER") == "none"


def _choice(environment: Mapping[str, str], name: str, values: tuple[str, ...], default: str = "") -> str:
    value = environment.get(name) or default
    if value and value not in values:
        listed = (
            f"one of {', '.join(values)}" if len(values) > 1 else f"{values[0]}, which is all that this server sends"
        )
        message = f"{name} = {value} must be {listed}"
        raise TraceSettingError(message)
    return value


def _ratio(environment: Mapping[str, str]) -> float:
    text = environment.get("OTEL_TRACES_SAMPLER_ARG") or "1"
    try:
        ratio = float(text)
    except ValueError:
        ratio = -1.0
    if not 0 <= ratio <= 1:
        message = f"OTEL_TRACES_SAMPLER_ARG = {text} must be a number from 0 to 1: the share of traces to record"
        raise TraceSettingError(message)
    return ratio


def _queue_spans_max(environment: Mapping[str, str]) -> int:
    text = environment.get("OTEL_BSP_MAX_QUEUE_SIZE") or str(QUEUE_SPANS_DEFAULT)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= _QUEUE_SPANS_MAX:
        message = f"OTEL_BSP_MAX_QUEUE_SIZE = {text} must be a whole number of spans, 1 to {_QUEUE_SPANS_MAX}"
        raise TraceSettingError(message)
    return int(text)
