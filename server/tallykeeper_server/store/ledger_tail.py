"""The end of a namespace's ledger: waits for its next entries, on its own connection."""

import asyncio
from collections.abc import Sequence
from typing import Final, cast

from tallykeeper_server.domain.entries import Entry
from tallykeeper_server.domain.errors import StoreUnavailableError
from tallykeeper_server.store import keys
from tallykeeper_server.store.nodes.routes import Routes
from tallykeeper_server.store.stored_text import StreamEntries, decode_stream, revision_of

_SCRIPTS_AT_ONCE_MAX: Final = 8
"""The scripts whose entries are read at once. A script writes up to 1,000, and every watcher's buffer must hold all."""
_WAIT_MAX_SECONDS: Final = 3_600.0


class LedgerTail:
    """Waits for entries. It keeps one connection to the store busy, so all who watch a namespace share one tail."""

    def __init__(self, routes: Routes, namespace: str, *, timeout_seconds: float) -> None:
        """Take ``timeout_seconds``, the time that the store may take in addition to the wait it is asked for."""
        self._ledger = keys.ledger(namespace)
        self._channel = routes.following(self._ledger, timeout_seconds=timeout_seconds + _WAIT_MAX_SECONDS)
        self._timeout_seconds = timeout_seconds
        self._stray_id: bytes | None = None
        """The last entry that was read, if no script has written its ID: only entries of the same kind can follow it.
        """

    async def read(self, after: int, *, wait_seconds: float) -> Sequence[Entry]:
        """Return entries after a revision, in order, as soon as there are some; none when the time is up.

        :raises TallyError: the store is away.
        """
        wait_ms = max(1, int(min(wait_seconds, _WAIT_MAX_SECONDS) * 1_000))
        position = self._stray_id or f"0-{after}"
        command = ("XREAD", "COUNT", _SCRIPTS_AT_ONCE_MAX, "BLOCK", wait_ms, "STREAMS", self._ledger, position)
        try:
            async with asyncio.timeout(wait_ms / 1_000 + self._timeout_seconds):
                streams = cast("list[tuple[bytes, StreamEntries]] | None", await self._channel.call(*command))
        except TimeoutError as error:
            message = "the store does not answer"
            raise StoreUnavailableError(message) from error
        if not streams:
            return []
        _, stream = streams[0]
        if revision_of(stream[-1][0]) is None:
            self._stray_id = stream[-1][0]
        return [entry for entry in decode_stream(stream) if entry.revision > after]

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()
