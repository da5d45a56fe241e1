"""The pool of workers: it keeps each of them running, replaces them on a reload, and drains them at the end."""

import asyncio
from collections.abc import Collection
from dataclasses import replace
from typing import Any, Final

import structlog

from tallykeeper_server.app.server_facts import ServerFacts
from tallykeeper_server.app.store_startup import StartError
from tallykeeper_server.metrics.meters import PoolMeter
from tallykeeper_server.metrics.snapshots import Snapshot
from tallykeeper_server.settings import Settings
from tallykeeper_server.workers.control_channel import Answers
from tallykeeper_server.workers.worker_process import WorkerProcess, ending

_RESTART_FIRST_SECONDS: Final = 0.1
_RESTART_MAX_SECONDS: Final = 5.0
_HEALTHY_SECONDS: Final = 10.0
"""A worker that ran this long before it ended is started again without a longer pause."""

_ASK_EVERY_SECONDS: Final = 2.0

log = structlog.get_logger()


class Place:
    """The slot of one worker in the pool. A worker that ends is replaced by a new one in the same slot."""

    def __init__(self, facts: ServerFacts, workers: set[WorkerProcess], meter: PoolMeter, answers: Answers) -> None:
        """``facts`` has the number of the slot. ``workers`` holds all workers that run, with those of this slot.

        ``answers`` answers their questions.
        """
        self._facts = facts
        self._number = facts.worker
        self._workers = workers
        self._meter = meter
        self._answers = answers
        self._worker: WorkerProcess | None = None
        self._settings: Settings | None = None
        self._changing = asyncio.Lock()
        self._delay = _RESTART_FIRST_SECONDS

    async def replace(self, settings: Settings) -> WorkerProcess | None:
        """Start a worker with these settings in this slot, and return its predecessor, which still serves.

        :raises StartError: the new worker does not serve. The predecessor stays.
        """
        async with self._changing:
            worker = await WorkerProcess.started(self._facts, settings, self._answers)
            self._workers.add(worker)
            before, self._worker, self._settings = self._worker, worker, settings
        return before

    async def keep(self) -> None:
        """Start the worker again each time it ends. The pause grows with each failure in a row."""
        loop = asyncio.get_running_loop()
        while self._worker is not None:
            worker, since = self._worker, loop.time()
            status = await worker.ended()
            self._workers.discard(worker)
            if worker is not self._worker:
                continue
            if loop.time() - since > _HEALTHY_SECONDS:
                self._delay = _RESTART_FIRST_SECONDS
            tell = log.info if status == 0 else log.error  # 0: the supervisor has ended it
            tell("a worker ended", worker=self._number, how=ending(status), again_in_seconds=self._delay)
            await self._start_again(worker)

    async def watch(self) -> None:
        """Kill a worker that does not answer, because it was stopped or its event loop hangs.

        It has two attempts: if this process itself was stopped, the first answer may be late without a fault of the
        worker.
        """
        while self._settings is not None:
            seconds = self._settings.worker_answer_seconds
            await asyncio.sleep(min(seconds, _ASK_EVERY_SECONDS))
            worker = self._worker
            if worker is None or await worker.answers(seconds) or await worker.answers(seconds):
                continue
            if worker is self._worker:
                told = {"worker": self._number, "process_id": worker.process_id, "seconds": 2 * seconds}
                log.error("a worker does not answer; it is killed", **told)
                worker.kill()
                await worker.ended()

    async def _start_again(self, ended: WorkerProcess) -> None:
        """Return when another worker has the slot. A reload may have put it there."""
        while True:
            await asyncio.sleep(self._delay)
            self._delay = min(2 * self._delay, _RESTART_MAX_SECONDS)
            async with self._changing:
                if self._worker is not ended or self._settings is None:
                    return
                try:
                    worker = await WorkerProcess.started(self._facts, self._settings, self._answers)
                except StartError as error:
                    told = {"worker": self._number, "error": str(error), "again_in_seconds": self._delay}
                    log.error("the worker does not start", **told)  # noqa: TRY400  # the line says it all
                    continue
                self._workers.add(worker)
                self._worker = worker
            self._meter.restarts.add()
            log.info("the worker runs again", worker=self._number, process_id=worker.process_id)
            return


class Pool:
    """A number of workers with the same settings."""

    def __init__(self, facts: ServerFacts, meter: PoolMeter, answers: Answers) -> None:
        """Make a pool of ``facts.workers`` without starting a worker. ``answers`` answers the workers' questions."""
        self._workers: set[WorkerProcess] = set()
        each = (replace(facts, worker=number) for number in range(1, facts.workers + 1))
        self._places = [Place(of_worker, self._workers, meter, answers) for of_worker in each]
        meter.workers.read = lambda: len(self._workers)
        self._keepers: list[asyncio.Task[None]] = []

    async def start(self, settings: Settings) -> None:
        """Start all workers, and keep them running.

        :raises StartError: a worker does not serve. All others are ended.
        """
        starts = [asyncio.create_task(place.replace(settings)) for place in self._places]
        try:
            await asyncio.gather(*starts)
        except BaseException:
            await _cancel(starts)
            self.kill()
            await asyncio.gather(*(worker.ended() for worker in self._workers))
            raise
        self._keepers = [asyncio.create_task(each) for place in self._places for each in (place.keep(), place.watch())]

    async def reload(self, settings: Settings) -> None:
        """Replace the workers one after another. Each ends when its successor serves.

        :raises StartError: a successor does not serve. Its predecessor and the workers after it stay.
        """
        for place in self._places:
            before = await place.replace(settings)
            if before is not None:
                await before.drain(settings.drain_seconds)
                self._workers.discard(before)

    async def stop(self, drain_seconds: float) -> None:
        """End all workers within a number of seconds.

        All of them announce their end through the health service. Then they are drained one after another, so that a
        client whose worker drains finds another one. If a worker does not end in its share of the time, the next one
        begins to drain too.
        """
        await _cancel(self._keepers)
        await asyncio.gather(*(worker.leave() for worker in self._workers))
        loop = asyncio.get_running_loop()
        deadline = loop.time() + drain_seconds
        draining = []
        for worker in list(self._workers):
            draining.append(asyncio.create_task(worker.drain(max(0.0, deadline - loop.time()))))
            await asyncio.wait(draining[-1:], timeout=drain_seconds / len(self._workers))
        await asyncio.gather(*draining)
        self._workers.clear()

    async def metrics(self) -> list[Snapshot]:
        """Return the metrics of the workers that answer in time."""
        told = await asyncio.gather(*(worker.metrics() for worker in self._workers))
        return [snapshot for snapshot in told if snapshot is not None]

    def kill(self) -> None:
        """Kill all workers with their calls in flight."""
        for worker in self._workers:
            worker.kill()


async def _cancel(tasks: Collection[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
