"""Callers that change counters, stock and reservations without a pause, each change under its own request id.

A caller repeats a change under the same id until it is acknowledged, so at the end no change is in doubt.
"""

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from grpc import StatusCode

from tallykeeper_client import Client, StockLine, TallykeeperError

NAMESPACE: Final = "upgrades"
_CALLERS: Final = 4
_STOCK: Final = 1_000_000
_CALL_SECONDS: Final = 5.0
_PATIENCE_SECONDS: Final = 60.0
"""The time in which a change must be acknowledged, with all its repeats."""
_IN_DOUBT: Final = (StatusCode.UNAVAILABLE, StatusCode.UNKNOWN, StatusCode.DEADLINE_EXCEEDED, StatusCode.CANCELLED)
"""The codes of calls that may have been carried out or not, because a server was stopped."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change: a method of the client with its arguments, under a request id."""

    request_id: str
    method: str
    arguments: tuple[Any, ...]
    options: dict[str, Any]

    def send(self, client: Client) -> Any:  # noqa: ANN401  # the responses of several methods
        """Make the call once, with the retries of the client."""
        call: Callable[..., Any] = getattr(client, self.method)
        return call(*self.arguments, request_id=self.request_id, timeout_seconds=_CALL_SECONDS, **self.options)


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A change that was acknowledged."""

    change: Change
    revision: int
    counted: int
    """The difference that it made to the counter of its caller."""


class Load:
    """The callers, and all changes that were acknowledged to them."""

    def __init__(self, targets: Sequence[str], *, seed: int = 1) -> None:
        """Take the addresses of the servers. The callers take turns with them."""
        self._targets = targets
        self._seed = seed
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._call, args=(number,), daemon=True) for number in self.callers()]
        self.acknowledged: list[Acknowledged] = []
        self.repeats = 0
        """The calls that failed and were repeated."""
        self.defects: list[str] = []

    def start(self) -> None:
        """Let the callers call until ``stop``."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the calls while a server still runs, so that each caller has its last acknowledgement."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def count(self) -> int:
        """Return the number of changes that were acknowledged."""
        return len(self.acknowledged)

    def total(self, number: int) -> int:
        """Return the value that a caller's counter must have."""
        return sum(each.counted for each in self.acknowledged if each.change.request_id.startswith(f"{number}-"))

    @staticmethod
    def callers() -> range:
        """Return the numbers of the callers."""
        return range(_CALLERS)

    def _call(self, number: int) -> None:
        try:
            with Client(self._targets[number % len(self._targets)], namespace=NAMESPACE) as client:
                for change, counted in _changes(number, Random(self._seed + number)):
                    if self._stop.is_set():
                        return
                    self._until_acknowledged(client, change, counted)
        except Exception as error:  # noqa: BLE001  # the main thread reports it
            self.defects.append(f"caller {number}: {error!r}")

    def _until_acknowledged(self, client: Client, change: Change, counted: int) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                response = change.send(client)
            except TallykeeperError as error:
                if error.code not in _IN_DOUBT or time.monotonic() > deadline:
                    raise
                with self._lock:
                    self.repeats += 1
            else:
                with self._lock:
                    self.acknowledged.append(Acknowledged(change, response.revision, counted))
                return


def _changes(number: int, draw: Random) -> Iterator[tuple[Change, int]]:
    """Yield the changes of a caller, each with the difference that it makes to the caller's counter."""
    ids = (f"{number}-{index}" for index in itertools.count(1))
    item, counter = f"item-{number}", f"counter-{number}"
    yield Change(next(ids), "set_stock", (item, _STOCK), {}), 0
    for index in itertools.count(1):
        delta = draw.randint(1, 5)
        yield Change(next(ids), "increment", (counter,), {"delta": delta}), delta
        yield Change(next(ids), "decrement_copies", (item,), {"copies": draw.randint(1, 3)}), 0
        lines, basket = [StockLine(item=item, copies=1)], f"basket-{number}-{index}"
        yield Change(next(ids), "reserve", (lines,), {"reservation_id": basket}), 0
        yield Change(next(ids), draw.choice(["commit", "release"]), (basket,), {}), 0
