"""A watch of a runner, with its events sorted into entries and levels."""

import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from tests.conformance.cases import contract
from tests.conformance.cases.runner_process import REPLY_SECONDS, RunnerProcess


class CaseFailedError(Exception):
    """A result differs from the case's expectation. The message has the difference."""


class Watch:
    """The events of a watch, sorted into entries and levels."""

    def __init__(self, runner: RunnerProcess, message_id: int) -> None:
        self.message_id = message_id
        self._runner = runner
        self._entries: deque[contract.Reply] = deque()
        self._levels: deque[contract.Reply] = deque()
        self._revision = 0
        self._last: Mapping[str, Any] | None = None

    def next_entry(self) -> contract.Reply:
        """Return the next entry.

        :raises CaseFailedError: the watch ends first, or repeats a revision.
        """
        self._await(self._entries, "an entry")
        entry = self._entries.popleft()
        revision = int(entry.full["revision"])
        if revision <= self._revision:
            message = f"the watch gave revision {revision} after revision {self._revision}"
            raise CaseFailedError(message)
        self._revision = revision
        return entry

    def levels(self) -> contract.Reply:
        """Return the next event with levels.

        :raises CaseFailedError: the watch ends first.
        """
        self._await(self._levels, "levels")
        return self._levels.popleft()

    def last(self) -> Mapping[str, Any]:
        """Return the ``end`` or the ``error`` of the watch."""
        deadline = time.monotonic() + REPLY_SECONDS
        while self._last is None and time.monotonic() < deadline:
            self._take()
        assert self._last is not None
        return self._last

    def _await(self, events: deque[contract.Reply], what: str) -> None:
        deadline = time.monotonic() + REPLY_SECONDS
        while not events:
            if self._last is not None or time.monotonic() > deadline:
                message = f"expected {what}, got {self._last or 'nothing'}"
                raise CaseFailedError(message)
            self._take()

    def _take(self) -> None:
        reply = self._runner.reply(self.message_id)
        if "event" not in reply:
            self._last = reply
            return
        event = contract.reply_of("LedgerService.Watch", reply["event"])
        given = event.given.get("entries", [])
        self._entries.extend(
            contract.Reply(full=full, given=each) for full, each in zip(event.full["entries"], given, strict=True)
        )
        if event.given.get("stock_levels") or event.given.get("counters"):
            self._levels.append(event)
