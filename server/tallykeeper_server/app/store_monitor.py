"""Keeping an eye on the store while it serves: whether it answers, and whether the promises still hold."""

import asyncio

import structlog

from tallykeeper_server.domain.errors import TallyError
from tallykeeper_server.store.redis_store import RedisStore
from tallykeeper_server.transport.health import Health

log = structlog.get_logger()


class StoreGuard:
    """Asks the store now and again, and says what has changed."""

    def __init__(self, store: RedisStore, health: Health, *, check_seconds: float, tells: bool) -> None:
        """``check_seconds``: how often the promises are looked at. ``tells``: what became of them is logged here."""
        self._store = store
        self._health = health
        self._check_seconds = check_seconds
        self._tells = tells
        self._shortcomings: tuple[str, ...] | None = None
        self._check_at = 0.0

    async def check(self) -> None:
        """Look at what the promises rest on; a store that cannot be asked is asked again with the next ping."""
        try:
            report = await self._store.check()
        except TallyError as error:
            self._check_at = 0.0
            self._note((error.message,))
        else:
            self._check_at = asyncio.get_running_loop().time() + self._check_seconds
            self._note(report.shortcomings)

    async def watch(self, interval_seconds: float) -> None:
        """Say that the services serve while the store answers, and that they do not while it is away."""
        serves = True
        while True:
            served_before = serves
            try:
                await self._store.ping()
            except TallyError as error:
                serves = False
                self._check_at = 0.0  # another may answer when it is back
                if served_before:
                    log.warning("not serving", error=error.message)
            else:
                serves = True
                if not served_before:
                    log.info("serving again")
                if asyncio.get_running_loop().time() >= self._check_at:
                    await self.check()
            if serves != served_before:
                self._health.tell(serves=serves)
            await asyncio.sleep(interval_seconds)

    def _note(self, shortcomings: tuple[str, ...]) -> None:
        """Log what does not hold any more, and what holds again; at first, the start has said it."""
        before, self._shortcomings = self._shortcomings, shortcomings
        if before is None or not self._tells:
            return
        for shortcoming in shortcomings:
            if shortcoming not in before:
                log.warning("a promise does not hold any more", reason=shortcoming)
        if before and not shortcomings:
            log.info("every promise holds again")
