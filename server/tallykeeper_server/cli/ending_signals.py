"""Lets a command that changes files end in order when a signal ends it."""

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, NoReturn, TypeVar

Result = TypeVar("Result")

_ENDING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
EXIT_SIGNAL: Final = 128
"""The number that a shell adds to the number of the signal that ended a program."""


class EndedError(BaseException):
    """A signal has ended the command."""

    def __init__(self, number: signal.Signals) -> None:
        """Take the signal."""
        super().__init__(number)
        self.signal = number
        self.exit_code = EXIT_SIGNAL + number


class EndingSignals:
    """The signals that end a command. The first one counts, and later ones are ignored."""

    def __init__(self) -> None:
        self._cancel: Callable[[], object] | None = None
        self._ended: EndedError | None = None

    def receive(self, number: int, _: FrameType | None) -> None:
        """Raise EndedError, or cancel the coroutine that runs.

        :raises EndedError: no coroutine runs.
        """
        for each in _ENDING:
            signal.signal(each, signal.SIG_IGN)
        self._ended = EndedError(signal.Signals(number))
        if self._cancel is None:
            raise self._ended
        self._cancel()

    def run(self, main: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine on a new event loop. A signal cancels it, so that it can end what it has started.

        :raises EndedError: a signal has cancelled it.
        """
        try:
            return asyncio.run(self._cancellable(main))
        except asyncio.CancelledError as error:
            self._raise(error)
        finally:
            self._cancel = None

    async def _cancellable(self, main: Coroutine[Any, Any, Result]) -> Result:
        loop, task = asyncio.get_running_loop(), asyncio.ensure_future(main)
        self._cancel = lambda: loop.call_soon_threadsafe(task.cancel)
        return await task

    def _raise(self, error: BaseException) -> NoReturn:
        raise (self._ended or error) from error


@contextmanager
def ended_by_signals() -> Iterator[EndingSignals]:
    """Raise ``EndedError`` at the first SIGTERM, SIGINT or SIGHUP in this context, and ignore later ones.

    SIGHUP comes from a terminal that was closed. Signals that were ignored before, as under nohup, stay ignored.
    """
    signals = EndingSignals()
    before = {number: signal.getsignal(number) for number in _ENDING}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, signals.receive)
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
