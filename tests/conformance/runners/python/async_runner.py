"""The runner of the client for asyncio, with a task for each message."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any

from tallykeeper_client import AsyncClient
from tests.conformance.runners.python.translation import (
    arguments,
    batch_arguments,
    client_options,
    error_json,
    known,
    method_name,
    new_request_id,
    reply,
    response_json,
)


class Runner:
    """The clients and the watches, by the names that the harness gives them."""

    def __init__(self) -> None:
        self._clients: dict[str, AsyncClient] = {}
        self._watches: dict[int, asyncio.Task[None]] = {}
        self._actions: Mapping[str, Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]] = {
            "connect": self._connect,
            "call": self._call,
            "batch": self._batch,
            "stop": self._stop,
            "request_id": self._request_id,
            "close": self._close,
        }

    async def handle(self, message: Mapping[str, Any]) -> None:
        """Execute a message, and reply."""
        try:
            if message["do"] == "watch":
                await self._watch(message)
                return
            action = known(self._actions, message["do"])
            reply(message["id"], **await action(message))
        except Exception as error:  # noqa: BLE001  # the harness judges each of them
            reply(message["id"], error=error_json(error))

    async def _connect(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        self._clients[message["client"]] = AsyncClient(message["address"], **client_options(message))
        return {"ok": {}}

    async def _call(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        method = getattr(self._clients[message["client"]], method_name(message["method"]))
        return {"ok": response_json(await method(**arguments(method, message["method"], message)))}

    async def _batch(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"ok": response_json(await self._clients[message["client"]].apply(**batch_arguments(message)))}

    async def _watch(self, message: Mapping[str, Any]) -> None:
        client = self._clients[message["client"]]
        watch = self._watches[message["id"]] = asyncio.create_task(_read(client, message))
        watch.add_done_callback(lambda _: _report_end(message["id"], watch))
        await asyncio.wait([watch])

    async def _stop(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        watch = self._watches.pop(message["watch"])
        watch.cancel()
        await asyncio.wait([watch])
        return {"ok": {}}

    async def _request_id(self, _: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"ok": {"request_id": new_request_id()}}

    async def _close(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        await self._clients.pop(message["client"]).close()
        return {"ok": {}}


async def _read(client: AsyncClient, message: Mapping[str, Any]) -> None:
    method = client.watch_responses
    async with aclosing(method(**arguments(method, "LedgerService.Watch", message))) as responses:
        async for response in responses:
            reply(message["id"], event=response_json(response))


def _report_end(message_id: int, watch: asyncio.Task[None]) -> None:
    """Reply before the reply to the message that stopped the watch."""
    error = None if watch.cancelled() else watch.exception()
    if isinstance(error, Exception):
        reply(message_id, error=error_json(error))
    else:
        reply(message_id, end={})


async def main() -> None:
    """Handle each message in a task until standard input ends."""
    runner = Runner()
    tasks: set[asyncio.Task[None]] = set()
    while line := await asyncio.to_thread(sys.stdin.readline):
        task = asyncio.create_task(runner.handle(json.loads(line)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


if __name__ == "__main__":
    asyncio.run(main())
