"""Samplers: they decide for each call whether it gets a span, as the samplers of OpenTelemetry's SDK decide.

https://opentelemetry.io/docs/specs/otel/trace/sdk/#built-in-samplers describes them.
"""

from dataclasses import dataclass
from typing import Final, Self

PARENT_BASED: Final = "parentbased_"
DEFAULT: Final = "parentbased_always_on"
NAMES: Final = tuple(
    prefix + name for prefix in ("", PARENT_BASED) for name in ("always_on", "always_off", "traceidratio")
)
LOW_BITS: Final = (1 << 64) - 1
"""The bits of a trace id by which its trace is sampled or not, as in the SDK, so that all services decide alike."""


@dataclass(frozen=True, slots=True)
class Sampler:
    """A sampler."""

    bound: int
    """A trace is sampled if the low bits of its id are below this number."""
    follows_parent: bool
    """Whether the decision of the caller counts instead, if the caller sends one."""

    @classmethod
    def of(cls, name: str, ratio: float) -> Self:
        """Return the sampler with a name of NAMES. ``ratio``, 0 .. 1, is the share that traceidratio samples."""
        root = name.removeprefix(PARENT_BASED)
        bound = {"always_on": LOW_BITS + 1, "always_off": 0}.get(root, round(ratio * (LOW_BITS + 1)))
        return cls(bound, name.startswith(PARENT_BASED))

    def samples(self, trace_id: int, parent_is_sampled: bool | None) -> bool:  # noqa: FBT001  # a value of the wire
        """Return whether a call gets a span. ``parent_is_sampled`` is None if the caller sends no decision."""
        if self.follows_parent and parent_is_sampled is not None:
            return parent_is_sampled
        return trace_id & LOW_BITS < self.bound
