"""The naive service, as a tutorial would write it: each RPC calls one script that GETs a number and SETs it.

It has no request ids, no ledger and no limits of any kind, so it does far less than ours.

Usage: python -m bench.servers.naive aio|threads PORT STORE_URL
"""

import asyncio
import sys
from concurrent import futures
from typing import Any, Final

import grpc
import grpc.aio
import redis
import redis.asyncio

from tallykeeper.v1 import counter_pb2, counter_pb2_grpc, inventory_pb2, inventory_pb2_grpc

INCREMENT: Final = """
local value = tonumber(redis.call('GET', KEYS[1]) or '0') + tonumber(ARGV[1])
redis.call('SET', KEYS[1], value)
return value
"""
DECREMENT: Final = """
local value = tonumber(redis.call('GET', KEYS[1]) or '1000000000')
if value < tonumber(ARGV[1]) then
  return -1
end
value = value - tonumber(ARGV[1])
redis.call('SET', KEYS[1], value)
return value
"""


def _decremented(item: str, left: int) -> inventory_pb2.DecrementCopiesResponse:
    level = inventory_pb2.StockLevel(item=item, location="main", on_hand=left, available=left)
    return inventory_pb2.DecrementCopiesResponse(copies_taken=1, stock_level=level)


def _incremented(counter: str, value: int) -> counter_pb2.IncrementResponse:
    return counter_pb2.IncrementResponse(counter=counter_pb2.Counter(counter=counter, value=value))


class AioInventory(inventory_pb2_grpc.InventoryServiceServicer):
    """Takes copies with one script call for each request."""

    def __init__(self, store: redis.asyncio.Redis) -> None:
        self._script = store.register_script(DECREMENT)

    async def DecrementCopies(self, request: inventory_pb2.DecrementCopiesRequest, context: Any) -> Any:  # noqa: ANN401, N802  # as generated
        """Take copies."""
        left = await self._script(keys=[f"naive:{request.item}"], args=[request.copies])
        if left < 0:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "too few copies")
        return _decremented(request.item, left)


class AioCounters(counter_pb2_grpc.CounterServiceServicer):
    """Counts with one script call for each request."""

    def __init__(self, store: redis.asyncio.Redis) -> None:
        self._script = store.register_script(INCREMENT)

    async def Increment(self, request: counter_pb2.IncrementRequest, context: Any) -> Any:  # noqa: ANN401, ARG002, N802  # as generated
        """Add to a counter."""
        return _incremented(request.counter, await self._script(keys=[f"naive:c:{request.counter}"], args=[1]))


class ThreadInventory(inventory_pb2_grpc.InventoryServiceServicer):
    """Takes copies with one script call and one thread for each request."""

    def __init__(self, store: redis.Redis) -> None:
        self._script = store.register_script(DECREMENT)

    def DecrementCopies(self, request: inventory_pb2.DecrementCopiesRequest, context: Any) -> Any:  # noqa: ANN401, N802  # as generated
        """Take copies."""
        left: Any = self._script(keys=[f"naive:{request.item}"], args=[request.copies])
        if left < 0:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "too few copies")
        return _decremented(request.item, left)


class ThreadCounters(counter_pb2_grpc.CounterServiceServicer):
    """Counts with one script call and one thread for each request."""

    def __init__(self, store: redis.Redis) -> None:
        self._script = store.register_script(INCREMENT)

    def Increment(self, request: counter_pb2.IncrementRequest, context: Any) -> Any:  # noqa: ANN401, ARG002, N802  # as generated
        """Add to a counter."""
        value: Any = self._script(keys=[f"naive:c:{request.counter}"], args=[1])
        return _incremented(request.counter, value)


async def serve_aio(port: int, url: str) -> None:
    """Serve with grpc.aio until the process ends."""
    store = redis.asyncio.Redis.from_url(url)
    server = grpc.aio.server()
    inventory_pb2_grpc.add_InventoryServiceServicer_to_server(AioInventory(store), server)  # type: ignore[no-untyped-call]  # generated
    counter_pb2_grpc.add_CounterServiceServicer_to_server(AioCounters(store), server)  # type: ignore[no-untyped-call]  # generated
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


def serve_threads(port: int, url: str) -> None:
    """Serve with a pool of threads until the process ends."""
    store = redis.Redis.from_url(url)
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=32))
    inventory_pb2_grpc.add_InventoryServiceServicer_to_server(ThreadInventory(store), server)  # type: ignore[no-untyped-call]  # generated
    counter_pb2_grpc.add_CounterServiceServicer_to_server(ThreadCounters(store), server)  # type: ignore[no-untyped-call]  # generated
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    if sys.argv[1] == "aio":
        asyncio.run(serve_aio(int(sys.argv[2]), sys.argv[3]))
    else:
        serve_threads(int(sys.argv[2]), sys.argv[3])
