"""Watches the store while the server serves: whether it answers, and whether its promises still hold."""

import asyncio

import structlog

from tallykeeper_server.domain.errors import TallyError
from tallykeeper_server.store.redis_store import RedisStore
from tallykeeper_server.transport.health import Health

log = structlog.get_logger()


class StoreMonitor:
    """Asks the store at intervals, and reports what has changed to the health service and the log."""

    def __init__(self, store: RedisStore, health: Health, *, check_seconds: float, logs_promises: bool) -> None:
        """Take the seconds between two checks of the promises, and whether this process logs what the checks find."""
        self._store = store
        self._health = health
        self._check_seconds = check_seconds
        self._logs_promises = logs_promises
        self._shortcomings: tuple[str, ...] | None = None
        self._check_at = 0.0

    async def check(self) -> None:
        """Check what the promises rest on. A store that does not answer is checked again with the next ping."""
        try:
            report = await self._store.check()
        except TallyError as error:
            self._check_at = 0.0
            self._note((error.message,))
        else:
            self._check_at = asyncio.get_running_loop().time() + self._check_seconds
            self._note(report.shortcomings)

    async def watch(self, interval_seconds: float) -> None:
        """Report that the services serve while the store answers, and that they do not while it is away."""
        serves = True
        while True:
            served_before = serves
            try:
                await self._store.ping()
            except TallyError as error:
                serves = False
                self._check_at = 0.0  # when the store answers again, it may be a different store
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
        """Log the promises that no longer hold, and that all hold again. The start has logged the first report."""
        before, self._shortcomings = self._shortcomings, shortcomings
        if before is None or not self._logs_promises:
            return
        for shortcoming in shortcomings:
            if shortcoming not in before:
                log.warning("a promise does not hold any more", reason=shortcoming)
        if before and not shortcomings:
            log.info("every promise holds again")
