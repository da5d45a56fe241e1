"""A worker: one of several processes that serve at one address. The supervisor starts it and directs it.

Its settings come over the control channel, which is its standard input. They never stand on the command line, which
everybody on the machine can read, because the URL of a store may hold a password.
"""

import asyncio
import contextlib
import os
import signal
import socket
from typing import TYPE_CHECKING, Any, Final, cast

import structlog

from tallykeeper_server.app.process_metrics import metrics_of_this_process
from tallykeeper_server.app.server_facts import ServerFacts
from tallykeeper_server.app.store_startup import StartError
from tallykeeper_server.metrics.snapshots import GATHER_SECONDS, Snapshot
from tallykeeper_server.runtime.lifecycle import live, run
from tallykeeper_server.runtime.logs import configure_logs, write_logs_to
from tallykeeper_server.runtime.stray_output import log_what_python_reports
from tallykeeper_server.settings import Settings
from tallykeeper_server.workers.control_channel import ControlClosedError, ControlEnd

if TYPE_CHECKING:
    from tallykeeper_server.app import server

_SWEEPER: Final = 1
"""The number of the worker that expires reservations for all."""

log = structlog.get_logger()


class Worker:
    """Serves after its settings have come. It ends when the supervisor says so or has gone."""

    def __init__(self, control: ControlEnd) -> None:
        """Make a worker that waits for its settings."""
        self._control = control
        self._stop = asyncio.Event()
        self._settings: asyncio.Future[Settings | None] = asyncio.get_running_loop().create_future()
        self._started: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._server: server.Server | None = None
        self._metrics = metrics_of_this_process()
        self._facts = ServerFacts(store_is_embedded=False)

    async def work(self) -> None:
        """Wait for the settings, serve, and return at the end."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._end)
        answering = asyncio.create_task(self._answer())
        settings = await self._settings
        if settings is not None:
            await self._serve(settings)
        answering.cancel()
        await asyncio.wait([answering])
        self._control.close()

    async def _answer(self) -> None:
        """Answer the supervisor. Stop if it has gone, because nobody else would end this process."""
        try:
            await self._control.listen(
                {
                    "serve": self._begin,
                    "leave": self._leave,
                    "drain": self._drain,
                    "metrics": self._snapshot,
                    "ping": self._ping,
                }
            )
        finally:
            self._end()

    async def _serve(self, settings: Settings) -> None:
        from tallykeeper_server.app import server  # noqa: PLC0415  # loads gRPC, which is silenced first

        service = server.serving(
            settings,
            settings.store,
            self._metrics,
            gather_all=self._metrics_of_all,
            facts=self._facts,
            sweeps=self._facts.worker == _SWEEPER,
        )
        try:
            await live(service, self._stop, started=self._note_start)
        except StartError as error:
            self._started.set_result(str(error))
            await self._stop.wait()  # the supervisor ends a worker that did not start

    def _note_start(self, server: "server.Server") -> None:
        self._server = server
        self._started.set_result(None)
        log.debug("worker serves", process_id=os.getpid())

    async def _begin(self, value: dict[str, Any]) -> str | None:
        """Serve with these settings and facts. Return None as soon as it serves, or the reason why it cannot."""
        settings = Settings.from_json(value["settings"])
        self._facts = ServerFacts(**value["facts"])
        write_logs_to(value["log"])
        configure_logs(level=settings.log_level, log_format=settings.log_format, worker=self._facts.worker)
        log_what_python_reports()
        if not self._settings.done():
            self._settings.set_result(settings)
        return await self._started

    async def _leave(self, _: None) -> None:
        """Report through the health service that this server stops, while it still serves."""
        if self._server is not None:
            await self._server.leave()

    async def _ping(self, _: None) -> None:
        """Return at once. The answer shows that the event loop runs."""

    async def _snapshot(self, _: None) -> Snapshot:
        return self._metrics.snapshot()

    async def _metrics_of_all(self) -> Snapshot | None:
        """Return the metrics of all processes, which the supervisor gathers."""
        with contextlib.suppress(ControlClosedError, TimeoutError):
            return cast("Snapshot | None", await self._control.ask("metrics of all", seconds=2 * GATHER_SECONDS))
        return None

    async def _drain(self, seconds: float) -> None:
        """Finish the calls in flight within a number of seconds, and end."""
        if self._server is not None:
            self._server.drain_seconds = seconds
        self._end()

    def _end(self) -> None:
        self._stop.set()
        if not self._settings.done():
            self._settings.set_result(None)


async def _work(connection: socket.socket) -> None:
    await Worker(await ControlEnd.over(connection)).work()


def main() -> None:
    """Run a worker. Its standard input is one end of a socket pair. The supervisor has the other end."""
    # A terminal's signals are for the supervisor, which then ends its workers one after another.
    for signal_number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(signal_number, signal.SIG_IGN)
    connection = socket.socket(fileno=os.dup(0))
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123  # it is no file to be read
        os.dup2(nothing.fileno(), 0)
    with contextlib.closing(connection):
        run(_work(connection))


if __name__ == "__main__":
    main()
