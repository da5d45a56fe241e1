"""The fixtures of the client's tests: both clients with one interface, and a server that follows a script."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import cast

import pytest

from tallykeeper_client import AsyncClient, Client
from tests.client.connection import Connect, Threaded
from tests.client.scripted_server import ScriptedServer


@pytest.fixture(params=["blocking", "asyncio"])
async def connect(request: pytest.FixtureRequest) -> AsyncIterator[Connect]:
    """Return a function that opens either client. The test uses it as an `AsyncClient`."""
    async with AsyncExitStack() as clients:

        async def open_client(target: str, *, namespace: str = "default", timeout_seconds: float = 10.0) -> AsyncClient:
            if request.param == "asyncio":
                return await clients.enter_async_context(
                    AsyncClient(target, namespace=namespace, timeout_seconds=timeout_seconds)
                )
            client = Client(target, namespace=namespace, timeout_seconds=timeout_seconds)
            return cast("AsyncClient", Threaded(clients.enter_context(client)))

        yield open_client


@pytest.fixture
async def scripted() -> AsyncIterator[ScriptedServer]:
    """A server that gives the answers that the test scripts."""
    server = ScriptedServer()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def nobody(unused_tcp_port: int) -> str:
    """A target where no server listens."""
    return f"127.0.0.1:{unused_tcp_port}"
