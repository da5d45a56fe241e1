"""The service's own handlers behind gRPC's Python server, in one process.

Usage: python -m bench.servers.on_grpc_aio PORT STORE_URL
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any
from unittest.mock import patch

from bench.servers.constant import LISTENERS
from tallykeeper_server.app import server
from tallykeeper_server.app.server_facts import ServerFacts
from tallykeeper_server.metrics.registry import Metrics
from tallykeeper_server.metrics.snapshots import merged
from tallykeeper_server.runtime.lifecycle import run, tune_garbage_collector
from tallykeeper_server.settings import Settings
from tallykeeper_server.transport.methods import Method
from tallykeeper_server.transport.server import TransportServer
from tests.support.grpc_aio_server import aio_servers


@contextlib.asynccontextmanager
async def tallykeeper_methods(store_url: str) -> AsyncIterator[Sequence[Method]]:
    """Yield the methods of one worker with the default settings. Its own transport runs without calls."""
    offered: list[Method] = []

    class Transport(TransportServer):
        def __init__(self, methods: Iterable[Method], **options: Any) -> None:  # noqa: ANN401  # those of its base
            offered.extend(methods)
            super().__init__(offered, **options)

    settings, metrics = Settings(store=store_url, listen="127.0.0.1:0", http_listen=""), Metrics()
    with patch.object(server, "TransportServer", Transport):
        facts = ServerFacts(store_is_embedded=False)
        async with server.serving(settings, store_url, metrics, gather_all=merged(metrics.gather), facts=facts):
            yield offered


async def serve(port: int, store_url: str) -> None:
    """Serve until the process ends."""
    async with tallykeeper_methods(store_url) as methods:
        for server in aio_servers(methods, count=LISTENERS):
            server.add_insecure_port(f"127.0.0.1:{port}")
            await server.start()
        tune_garbage_collector()
        await asyncio.Event().wait()


if __name__ == "__main__":
    run(serve(int(sys.argv[1]), sys.argv[2]))
