"""A worker from the supervisor's side: its process, and the control channel to it."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from dataclasses import asdict
from typing import Final, Self, cast

import structlog

from tallykeeper_server.app.server_facts import ServerFacts
from tallykeeper_server.app.store_startup import StartError
from tallykeeper_server.metrics.snapshots import Snapshot
from tallykeeper_server.runtime.logs import log_descriptor
from tallykeeper_server.runtime.stray_output import READ_BYTES, StrayLines
from tallykeeper_server.settings import Settings
from tallykeeper_server.workers.control_channel import Answers, ControlClosedError, ControlEnd

_START_SECONDS: Final = 60.0
"""The maximum time until a worker serves. It usually takes half a second, because the store is ready before."""
_ANSWER_SECONDS: Final = 2.0
_END_SECONDS: Final = 3.0
"""The time that a worker may take to end after its calls in flight."""

_LAST_LINES_SECONDS: Final = 1.0
"""The time to wait for the last output of a process that has ended. A child of it may hold the output open."""

log = structlog.get_logger()


class WorkerProcess:
    """A worker's process. It ends with this process, because that closes the control channel."""

    def __init__(
        self,
        facts: ServerFacts,
        process: asyncio.subprocess.Process,
        control: ControlEnd,
        log_file: int,
        answers: Answers,
    ) -> None:
        """Use ``started`` to make one."""
        self.number = facts.worker
        self._facts = facts
        self._process = process
        self._control = control
        self._log_file = log_file
        self._answering = asyncio.create_task(control.listen(answers))
        self._listening = asyncio.create_task(self._log_stray_output())

    @classmethod
    async def started(cls, facts: ServerFacts, settings: Settings, answers: Answers | None = None) -> Self:
        """Start the worker ``facts.worker`` and return it when it serves. ``answers`` are those to its questions.

        It is a fresh interpreter and not a fork of this process.

        :raises StartError: the worker does not serve.
        """
        try:
            process, control, log_file = await _spawn()
        except OSError as error:
            message = f"worker {facts.worker} cannot be started: {error.strerror}"
            raise StartError(message) from error
        worker = cls(facts, process, control, log_file, answers or {})
        try:
            await worker._serve(settings)
        except BaseException:
            worker.kill()
            await worker.ended()
            raise
        return worker

    @property
    def process_id(self) -> int:
        """The id of the process."""
        return self._process.pid

    async def leave(self) -> None:
        """Make the worker report that it stops, while it still serves."""
        with contextlib.suppress(ControlClosedError, TimeoutError):
            await self._control.ask("leave", seconds=_ANSWER_SECONDS)

    async def drain(self, seconds: float) -> None:
        """Make the worker finish its calls in flight within a number of seconds. Return when it has ended."""
        with contextlib.suppress(ControlClosedError, TimeoutError):
            await self._control.ask("drain", seconds, seconds=_ANSWER_SECONDS)
        try:
            async with asyncio.timeout(seconds + _END_SECONDS):
                await self.ended()
        except TimeoutError:
            log.warning("a worker does not end; it is killed", worker=self.number, process_id=self.process_id)
            self.kill()
            await self.ended()

    async def metrics(self) -> Snapshot | None:
        """Return the worker's metrics; None if it does not answer in time."""
        with contextlib.suppress(ControlClosedError, TimeoutError):
            return cast("Snapshot", await self._control.ask("metrics", seconds=_ANSWER_SECONDS))
        return None

    async def answers(self, seconds: float) -> bool:
        """Return True if the worker answers in time or has ended. `Pool` notices the end by itself."""
        try:
            await self._control.ask("ping", seconds=seconds)
        except TimeoutError:
            return False
        except ControlClosedError:
            return True
        return True

    def kill(self) -> None:
        """Kill the worker with its calls in flight."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def ended(self) -> int:
        """Wait for the end and return the exit status; the negative number of a signal that ended it."""
        status = await self._process.wait()
        await asyncio.wait([self._listening], timeout=_LAST_LINES_SECONDS)
        self._answering.cancel()
        self._control.close()
        return status

    async def _serve(self, settings: Settings) -> None:
        question = {"facts": asdict(self._facts), "log": self._log_file, "settings": settings.to_json()}
        try:
            refusal = await self._control.ask("serve", question, seconds=_START_SECONDS)
        except ControlClosedError as error:
            message = f"worker {self.number} ended before it served: {ending(await self.ended())}"
            raise StartError(message) from error
        except TimeoutError as error:
            message = f"worker {self.number} did not serve within {_START_SECONDS:.0f} s"
            raise StartError(message) from error
        if refusal is not None:
            raise StartError(refusal)

    async def _log_stray_output(self) -> None:
        """Log the output that does not come through the log, so that the last words of a crash are kept."""
        lines, output = StrayLines(), self._process.stdout
        data = b"\n"
        while output is not None and data:
            data = await output.read(READ_BYTES)
            for line in lines.take(data):
                log.warning("stray output", worker=self.number, line=line)


def ending(status: int) -> str:
    """Return a phrase about the end of a process."""
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


async def _spawn() -> tuple[asyncio.subprocess.Process, ControlEnd, int]:
    """Start a process that waits for its settings. Return it, and the descriptor by which it knows the log.

    :raises OSError: the machine has no room for another process.
    """
    ours, theirs = socket.socketpair()
    with theirs, open(os.dup(log_descriptor()), "wb", buffering=0) as log_file:  # noqa: PTH123, ASYNC230  # open already
        control = await ControlEnd.over(ours)
        try:
            process = await asyncio.create_subprocess_exec(
                *(
                    sys.executable,
                    "-P",
                    "-m",
                    "tallykeeper_server.workers.worker",
                ),  # -P: import nothing from where this runs
                stdin=theirs.fileno(),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                pass_fds=[log_file.fileno()],
                start_new_session=True,  # Ctrl-C is for the supervisor, which drains the workers one after another
            )
        except BaseException:
            control.close()  # this closes the channel, so that a process that did start ends
            raise
        return process, control, log_file.fileno()
