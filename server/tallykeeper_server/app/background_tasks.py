"""The tasks that run while a server serves: it sweeps reservations, and follows its access file."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any, Final

import structlog

from tallykeeper_server.access.authorizer import Authorizer
from tallykeeper_server.domain.errors import TallyError
from tallykeeper_server.store.redis_store import RedisStore

_ACCESS_CHECK_SECONDS: Final = 1.0
"""The time between two looks at the access file, in seconds."""

log = structlog.get_logger()


@contextlib.asynccontextmanager
async def running_tasks(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run coroutines as tasks within this context. At its end, cancel them and wait until each has ended."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in reversed(tasks):
            task.cancel()
            await asyncio.wait([task])


async def sweep_forever(store: RedisStore, interval_seconds: float) -> None:
    """Expire the reservations whose time is up, once in each interval.

    Several servers may sweep at the same time: each reservation is expired by one of them.
    """
    swept = True
    while True:
        swept_before = swept
        try:
            expired = await store.sweep()
        except TallyError as error:
            swept = False
            if swept_before:
                log.warning("reservations are not swept", error=error.message)
        else:
            swept = True
            if expired:
                log.debug("swept", reservations=expired)
        await asyncio.sleep(interval_seconds)


async def follow_access_file(authorizer: Authorizer) -> None:
    """Let permissions change with the access file, within a second after each change."""
    while True:
        await asyncio.sleep(_ACCESS_CHECK_SECONDS)
        await asyncio.to_thread(authorizer.follow)
