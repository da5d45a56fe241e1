"""The pulse of a namespace: its revision once a second, and the time that the answer took.

Every mutation has one revision, so the difference of two revisions is the exact number of mutations between them. A
pulse costs the server one small read a second, however many pages look at it and however many changes are made.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tallykeeper.v1.namespace_pb2 import Namespace
from tallykeeper_client import AsyncClient, TallykeeperError

INTERVAL_SECONDS: Final = 1.0
SAMPLES_MAX: Final = 600
"""The number of samples that are kept: ten minutes."""

TIMEOUT_SECONDS: Final = 2.0
"""The deadline of a read: the time for which the page calls a server connected that does not answer."""

UNWATCHED_SECONDS: Final = 30.0
"""The time after which a pulse ends that no page has looked at."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer: when it came, in seconds of a clock that never jumps and since 1970, and the time that it took.

    ``first`` marks the first answer of a pulse.
    """

    monotonic: float
    wall: float
    revision: int
    seconds: float
    first: bool = False


class Samples:
    """The last answers, and the figures that follow from them."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque(maxlen=SAMPLES_MAX)

    def add(self, sample: Sample) -> None:
        """Add an answer. A revision that is lower than the last one begins a new series: the namespace lost changes."""
        if self._samples and sample.revision < self._samples[-1].revision:
            self._samples.clear()
        self._samples.append(sample)

    def rates(self) -> list[tuple[float, float]]:
        """Return the changes per second before each answer except the first, with its time in seconds since 1970."""
        pairs = zip(self._samples, list(self._samples)[1:], strict=False)
        return [
            (after.wall, (after.revision - before.revision) / (after.monotonic - before.monotonic))
            for before, after in pairs
            if after.monotonic > before.monotonic
        ]

    def rate(self) -> float | None:
        """Return the changes per second between the last two answers; None before there are two."""
        rates = self.rates()
        return rates[-1][1] if rates else None

    def latencies(self) -> list[tuple[float, float]]:
        """Return the time that each answer took in seconds, with its time in seconds since 1970.

        The first answer is left out, because it may include the time to connect.
        """
        return [(sample.wall, sample.seconds) for sample in self._samples if not sample.first]

    def latency(self, quantile: float) -> float | None:
        """Return the time within which a part of the answers came, such as 0.99; None before there is one."""
        ordered = sorted(seconds for _, seconds in self.latencies())
        return ordered[min(int(len(ordered) * quantile), len(ordered) - 1)] if ordered else None


class Pulse:
    """The pulse of one namespace, for all pages that look at it."""

    def __init__(self, client: AsyncClient, namespace: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.samples = Samples()
        self.latest: Namespace | None = None
        self.error: TallykeeperError | None = None
        self._client = client
        self._namespace = namespace
        self._clock = clock
        self._looked_at = clock()

    def look(self) -> None:
        """Note that a page looks at the pulse, so that it goes on."""
        self._looked_at = self._clock()

    @property
    def unwatched(self) -> bool:
        """True if no page has looked at the pulse for some time."""
        return self._clock() - self._looked_at > UNWATCHED_SECONDS

    async def beat(self) -> None:
        """Read once, and keep the answer or the error."""
        begin = self._clock()
        try:
            response = await self._client.get_namespace(namespace=self._namespace, timeout_seconds=TIMEOUT_SECONDS)
        except TallykeeperError as error:
            self.error = error
            return
        end = self._clock()
        first = self.latest is None
        self.error, self.latest = None, response.namespace
        self.samples.add(Sample(end, time.time(), response.namespace.revision, end - begin, first=first))

    async def run(self) -> None:
        """Beat once a second until no page looks."""
        while not self.unwatched:
            begin = self._clock()
            await self.beat()
            await asyncio.sleep(max(0.0, INTERVAL_SECONDS - (self._clock() - begin)))


class Pulses:
    """The pulses of the namespaces that pages look at."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._pulses: dict[str, tuple[Pulse, asyncio.Task[None]]] = {}

    def of(self, namespace: str) -> Pulse:
        """Return the pulse of a namespace, which begins when a page first looks at it."""
        if namespace not in self._pulses:
            pulse = Pulse(self._client, namespace)
            task = asyncio.create_task(pulse.run())
            task.add_done_callback(lambda _: self._pulses.pop(namespace, None))
            self._pulses[namespace] = (pulse, task)
        pulse = self._pulses[namespace][0]
        pulse.look()
        return pulse

    def __len__(self) -> int:
        """Return the number of pulses that beat."""
        return len(self._pulses)

    async def close(self) -> None:
        """End all pulses."""
        tasks = [task for _, task in self._pulses.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
