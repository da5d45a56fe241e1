"""How a process of the server lives: on one event loop, from its start until it is told to stop."""

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
    """Run a coroutine to its end."""
    _take_open_files()
    with asyncio.Runner(loop_factory=_new_event_loop) as runner:
        runner.run(main)


async def live(
    service: AbstractAsyncContextManager[Running], stop: asyncio.Event, *, started: Callable[[Running], None]
) -> None:
    """Start a service, say so, and end it in order as soon as ``stop`` is set; raise what its start raises.

    A start that still lasts then is given up: who wants to stop need not wait until a store has loaded its data.
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
    """Look for garbage less often, and never in what the process holds for good. To be called once all is set up.

    What serving a call leaves is freed at once, by reference counts; there is little for the collector to find.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS, 20, 100)


class StopSignals:
    """SIGTERM and SIGINT, which end a server, and SIGHUP, which lets it read its settings again."""

    def __init__(self, *, reload: Callable[[], None], hurry: Callable[[], None] | None = None) -> None:
        """Listen from now on. ``hurry`` is called when a server that stops is told so once more."""
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
        """Reload; but stop if the terminal that the server was started on is gone, for nobody sees it any more."""
        if self._had_terminal and not os.isatty(log_descriptor()):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, log_descriptor())  # a line to a terminal that is gone would be an error
            os.close(nowhere)
            self._stop()
        else:
            self._reload()


def _take_open_files() -> None:
    """Let this process have as many files open as it is allowed: each connection is one.

    The limit that a shell gives, often 1,024, is there for programs that use select.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _new_event_loop() -> asyncio.AbstractEventLoop:
    """Return uvloop's event loop where there is one: it is about twice as fast."""
    try:
        import uvloop  # noqa: PLC0415  # it does not exist for every platform
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
