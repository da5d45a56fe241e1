"""Samplers: they decide for each call whether it gets a span, as the samplers of OpenTelemetry's SDK decide.

https://opentelemetry.io/docs/specs/otel/trace/sdk/#built-in-samplers describes them.
"""

from collections.abc import Callable
from typing import Final, TypeAlias

from tallykeeper_server.tracing.trace_context import Parent

Sampler: TypeAlias = Callable[[int, Parent | None], bool]
"""Takes the trace id and the caller's span, if there is one. Returns whether to record a span."""

PARENT_BASED: Final = "parentbased_"
DEFAULT: Final = "parentbased_always_on"
NAMES: Final = tuple(
    prefix + name for prefix in ("", PARENT_BASED) for name in ("always_on", "always_off", "traceidratio")
)
_LOW_BITS: Final = (1 << 64) - 1


def sampler_of(name: str, ratio: float) -> Sampler:
    """Return the sampler with a name of NAMES. ``ratio`` (0 .. 1) is the share of traces that traceidratio records."""
    root = name.removeprefix(PARENT_BASED)
    # As in the SDK, so that all services of a trace decide alike.
    bound = {"always_on": _LOW_BITS + 1, "always_off": 0}.get(root, round(ratio * (_LOW_BITS + 1)))

    def by_trace(trace_id: int, _: Parent | None) -> bool:
        return trace_id & _LOW_BITS < bound

    def by_parent(trace_id: int, parent: Parent | None) -> bool:
        return trace_id & _LOW_BITS < bound if parent is None else parent.is_sampled

    return by_parent if name.startswith(PARENT_BASED) else by_trace
