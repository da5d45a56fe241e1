"""The opening of a client in a test, which reads the same for the blocking and the asyncio client."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

from tallykeeper_client import AsyncClient, Client


class Connect(Protocol):
    """A function that opens a client. The client is closed when the test ends."""

    async def __call__(
        self, target: str, *, namespace: str = "default", timeout_seconds: float = 10.0
    ) -> AsyncClient: ...


class Threaded:
    """The blocking client with each method run in a thread, so that one test reads for both clients."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)

        def call(*args: object, **options: object) -> Awaitable[object]:
            return asyncio.to_thread(method, *args, **options)

        async def iterate(*args: object, **options: object) -> AsyncIterator[object]:
            iterator, end = method(*args, **options), object()
            try:
                while (each := await asyncio.to_thread(next, iterator, end)) is not end:
                    yield each
            finally:
                iterator.close()

        return iterate if name.startswith(("iterate_", "watch")) else call
