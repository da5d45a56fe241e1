"""The standard health service, which does not hold up the end of the server."""

import asyncio
from typing import Final

import grpc.aio
from grpc_health.v1 import health_pb2
from grpc_health.v1._async import HealthServicer

_LAST_WORD_SECONDS: Final = 0.1
"""How long those who watch have to be told that the server stops."""

WatchContext = grpc.aio.ServicerContext[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]


class Health(HealthServicer):
    """One status for the whole server and each of its services."""

    def __init__(self, services: tuple[str, ...]) -> None:
        """Take the services' full names; what they do is said by ``tell``. The whole server's is the empty text."""
        super().__init__()
        self._services = ("", *services)
        self._watches: set[asyncio.Task[None]] = set()

    async def tell(self, *, serves: bool) -> None:
        """Say whether they serve."""
        response = health_pb2.HealthCheckResponse
        for service in self._services:
            await self.set(service, response.SERVING if serves else response.NOT_SERVING)

    async def end(self) -> None:
        """Say that they do not serve any more, and then end the streams of those who watch."""
        await self.enter_graceful_shutdown()
        if self._watches:
            await asyncio.wait(self._watches, timeout=_LAST_WORD_SECONDS)
        for watch in self._watches:
            watch.cancel()

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: WatchContext) -> None:
        """Tell of each change of a service's status until the caller leaves or the server ends."""
        watch = asyncio.create_task(super().Watch(request, context))
        self._watches.add(watch)
        try:
            await asyncio.wait([watch])
            if not watch.cancelled():
                watch.result()
        finally:
            self._watches.discard(watch)
            watch.cancel()
