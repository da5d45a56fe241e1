"""``make overload``: ten times what the server can do, from callers who heed nothing, and what is left of its peak.

Each repetition measures the peak, then offers ten times as many calls a second on many connections, and then looks how
soon the peak is back. It takes a minute, and nothing else should run.
"""

import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from bench.contenders import increment
from bench.generator import Generator, Latencies, Load
from bench.processes import Process, free_port, listens

REPETITIONS: Final = 3
TIMES: Final = 10
CONNECTIONS: Final = 32
_IN_FLIGHT: Final = 128
_UNDER_WAY_MAX: Final = 100_000
_NEAR: Final = 0.8
"""What share of its peak is service as before."""
_RECOVERY_SECONDS_MAX: Final = 10.0
_WINDOW_SECONDS: Final = 0.5
_RESULT: Final = Path(__file__).with_name("results") / "overload.json"


@dataclass(frozen=True, slots=True)
class Repetition:
    """What one of them saw. Rates are calls a second."""

    peak: float
    crowd: float
    """With ten times as many callers at once, each of whom calls again when it is answered."""
    goodput: float
    """With ten times as many calls begun as are answered at the peak, whatever becomes of them."""
    refusals: float
    refused: Latencies
    succeeded: Latencies
    memory_mib_before: float
    memory_mib_most: float
    recovery_seconds: float


def main() -> None:
    """Measure, print and write."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        repetitions = list(_measured(directory))
    told = {
        "peak, calls/s": statistics.median(each.peak for each in repetitions),
        f"goodput of {TIMES} times as many callers, of the peak": statistics.median(
            each.crowd / each.peak for each in repetitions
        ),
        f"goodput at {TIMES} times as many calls, of the peak": statistics.median(
            each.goodput / each.peak for each in repetitions
        ),
        "refused, calls/s": statistics.median(each.refusals for each in repetitions),
        "a refusal, p50, ms": statistics.median(each.refused.p50 / 1_000 for each in repetitions),
        "a refusal, p99, ms": statistics.median(each.refused.p99 / 1_000 for each in repetitions),
        "a success, p50, ms": statistics.median(each.succeeded.p50 / 1_000 for each in repetitions),
        "memory before, MiB": statistics.median(each.memory_mib_before for each in repetitions),
        "memory at most, MiB": max(each.memory_mib_most for each in repetitions),
        "peak is back after, s": max(each.recovery_seconds for each in repetitions),
    }
    for name, value in told.items():
        sys.stdout.write(f"{name:<50} {value:>10,.2f}\n")
    _RESULT.write_text(json.dumps({"medians": told, "repetitions": [asdict(each) for each in repetitions]}, indent=2))
    sys.stdout.write(f"\nwritten to {_RESULT}\n")


def _measured(directory: Path) -> Iterator[Repetition]:
    generator, request, port = Generator(directory), increment(), free_port()
    tallykeeper = Path(sys.executable).with_name("tallykeeper")
    settings = ("--workers", "1", "--listen", f"127.0.0.1:{port}", "--data-dir", directory / "data")
    with Process([tallykeeper, "serve", *settings], log=directory / "log") as server:
        server.wait_for(lambda: listens(port))

        def load(seconds: float, *, warm_up: float = 0.0, rate: float = 0.0, in_flight: int = _IN_FLIGHT) -> Load:
            return generator.run(
                port,
                request,
                in_flight=_UNDER_WAY_MAX if rate else in_flight,
                warm_up=warm_up,
                seconds=seconds,
                rate=rate,
                connections=CONNECTIONS if rate else 8,
            )

        for _ in range(REPETITIONS):
            peak = load(4.0, warm_up=1.5)
            crowd = load(4.0, warm_up=1.5, in_flight=TIMES * _IN_FLIGHT)
            before = server.resident_bytes()[0]
            with _most_memory(server) as most:
                flood = load(6.0, warm_up=2.0, rate=TIMES * peak.calls_per_second)
            yield Repetition(
                peak=peak.calls_per_second,
                crowd=crowd.calls_per_second,
                goodput=flood.calls_per_second,
                refusals=flood.refused.calls / flood.seconds,
                refused=flood.refused,
                succeeded=flood.succeeded,
                memory_mib_before=before / 2**20,
                memory_mib_most=most() / 2**20,
                recovery_seconds=_recovery(lambda: load(_WINDOW_SECONDS, warm_up=0.2), peak.calls_per_second),
            )


def _recovery(window: Callable[[], Load], peak: float) -> float:
    """Return after how many seconds the rate of a window is near the peak: at its end."""
    began_at = time.monotonic()
    while window().calls_per_second < _NEAR * peak:
        if time.monotonic() > began_at + _RECOVERY_SECONDS_MAX:
            break
    return time.monotonic() - began_at


@contextmanager
def _most_memory(server: Process) -> Iterator[Callable[[], int]]:
    """Look how much memory a server has at most within this context."""
    seen, ended = [0], threading.Event()

    def look() -> None:
        while not ended.wait(0.1):
            seen.append(server.resident_bytes()[0])

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield lambda: max(seen)
    finally:
        ended.set()
        thread.join()


if __name__ == "__main__":
    main()
