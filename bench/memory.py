"""The memory of a worker after many calls. `capacity` measures that of the store."""

from typing import Final

from bench.contenders import Contender, decrement
from bench.generator import Generator

TOPIC: Final = "memory"
RESIDENT: Final = "a worker after the first calls, MiB"
RESIDENT_LATER: Final = "a worker after as many more, MiB"
_IN_FLIGHT: Final = 128
_SECONDS: Final = 1.0


def resident_after(generator: Generator, contender: Contender, calls: int) -> dict[str, float | None]:
    """Return the memory of a contender's worker after a number of calls, and after as many more."""
    served = _serve(generator, contender, calls)
    resident = _resident_mib(contender)
    more = _serve(generator, contender, calls)
    return {
        "calls that the worker has served at first": served,
        RESIDENT: resident,
        "calls that it has served then": more,
        RESIDENT_LATER: _resident_mib(contender),
    }


def _serve(generator: Generator, contender: Contender, calls: int) -> int:
    """Make at least a number of calls, and return the number of calls that succeeded."""
    served = 0
    while served < calls:
        load = generator.run(contender.port, decrement(), in_flight=_IN_FLIGHT, warm_up=0.0, seconds=_SECONDS)
        if not load.all_succeeded:
            message = f"no call has succeeded within {_SECONDS:g} s, and {load.refused.calls} were refused"
            raise RuntimeError(message)
        served += load.all_succeeded
    return served


def _resident_mib(contender: Contender) -> float:
    return max(contender.process.resident_bytes()) / 2**20
