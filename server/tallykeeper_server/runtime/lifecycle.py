"""The life of a process of the server: one event loop, from its start to the signal that stops it."""

import asyncio
import gc
import os
import resource
import signal
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, TypeVar

from tallykeeper_server.runtime.logs import log_descriptor

Running = TypeVar("Running")

_ALLOCATIONS: Final = 50_000


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end on a new event loop."""
    _take_open_files()
    with asyncio.Runner(loop_factory=_new_event_loop) as runner:
        runner.run(main)


async def live(
    service: AbstractAsyncContextManager[Running], stop: asyncio.Event, *, started: Callable[[Running], None]
) -> None:
    """Start a service, call ``started``, and end the service in order as soon as ``stop`` is set.

    If ``stop`` is set during the start, the start is cancelled, so that a stop need not wait until a store has loaded
    its data. An exception of the start is raised.
    """
    stopped = asyncio.create_task(stop.wait())
    start = asyncio.create_task(service.__aenter__())
    try:
        await asyncio.wait([start, stopped], return_when=asyncio.FIRST_COMPLETED)
        if not start.done():
            start.cancel()
            await asyncio.wait([start])
            if start.cancelled() or start.exception() is not None:
                return
        started(await start)
        tune_garbage_collector()
        await stopped
    finally:
        stopped.cancel()
    await service.__aexit__(None, None, None)


def tune_garbage_collector() -> None:
    """Run the garbage collector less often, and never over objects that the process keeps for its whole life.

    Call this function after the setup. Reference counts free the objects of a call at once, so that the collector finds
    little.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS, 20, 100)


class StopSignals:
    """The signals SIGTERM and SIGINT, which end a server, and SIGHUP, which makes it read its settings again."""

    def __init__(self, *, reload: Callable[[], None], hurry: Callable[[], None] | None = None) -> None:
        """Install the handlers. ``hurry`` is called if a second signal arrives while the server stops."""
        self.stop = asyncio.Event()
        self._reload = reload
        self._hurry = hurry
        self._had_terminal = os.isatty(log_descriptor())
        loop = asyncio.get_running_loop()
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signal_number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)

    def _stop(self) -> None:
        if self.stop.is_set() and self._hurry is not None:
            self._hurry()
        self.stop.set()

    def _hang_up(self) -> None:
        """Reload. Stop instead if the terminal that started the server has been closed, because nobody sees the log."""
        if self._had_terminal and not os.isatty(log_descriptor()):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, log_descriptor())  # writing a line to a closed terminal would be an error
            os.close(nowhere)
            self._stop()
        else:
            self._reload()


def _take_open_files() -> None:
    """Raise the limit of open files to the maximum that the process may have, because each connection needs one.

    A shell's usual limit of 1,024 protects programs that use select.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _new_event_loop() -> asyncio.AbstractEventLoop:
    """Return uvloop's event loop, which is about twice as fast, or asyncio's own if uvloop is not installed."""
    try:
        import uvloop  # noqa: PLC0415  # it does not exist for every platform
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
