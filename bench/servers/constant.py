"""The ceiling: listeners, event loop and collector as our server has them, and handlers that return a constant.

Usage: python -m bench.servers.constant PORT [PROCESSES]
"""

import asyncio
import multiprocessing
import signal
import sys

import grpc
import grpc.aio
import uvloop

from tallykeeper.v1 import counter_pb2, inventory_pb2
from tallykeeper_server.lifetime import tune_garbage_collector

_LISTENERS = 8
"""gRPC's servers that share the port. Each takes in one call at a time, and more than four gain nothing."""
_DECREMENTED = inventory_pb2.DecrementCopiesResponse(
    copies_taken=1,
    stock_level=inventory_pb2.StockLevel(item="item-0000", location="main", on_hand=999_999, available=999_999),
    revision=123_456,
)
_DECREMENTED.commit_time.GetCurrentTime()
_INCREMENTED = counter_pb2.IncrementResponse(
    counter=counter_pb2.Counter(counter="item-0000", value=999_999), revision=123_456
)
_INCREMENTED.commit_time.GetCurrentTime()


async def decrement(_: inventory_pb2.DecrementCopiesRequest, __: object) -> inventory_pb2.DecrementCopiesResponse:
    """Take copies of nothing."""
    return _DECREMENTED


async def increment(_: counter_pb2.IncrementRequest, __: object) -> counter_pb2.IncrementResponse:
    """Count nothing."""
    return _INCREMENTED


def handlers() -> list[grpc.GenericRpcHandler]:
    """Return the handlers. They are found by name, as our server's are: registered ones make a slower listener."""
    decrementing = grpc.unary_unary_rpc_method_handler(
        decrement,
        request_deserializer=inventory_pb2.DecrementCopiesRequest.FromString,
        response_serializer=inventory_pb2.DecrementCopiesResponse.SerializeToString,
    )
    incrementing = grpc.unary_unary_rpc_method_handler(
        increment,
        request_deserializer=counter_pb2.IncrementRequest.FromString,
        response_serializer=counter_pb2.IncrementResponse.SerializeToString,
    )
    return [
        grpc.method_handlers_generic_handler("tallykeeper.v1.CounterService", {"Increment": incrementing}),
        grpc.method_handlers_generic_handler("tallykeeper.v1.InventoryService", {"DecrementCopies": decrementing}),
    ]


async def main(port: int) -> None:
    """Serve until the process ends."""
    servers = [grpc.aio.server(options=[("grpc.so_reuseport", 1)]) for _ in range(_LISTENERS)]
    for server in servers:
        server.add_generic_rpc_handlers(handlers())
        server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
    tune_garbage_collector()
    await asyncio.Event().wait()


def run(port: int) -> None:
    """Serve by this process."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(port))


def run_many(port: int, count: int) -> None:
    """Serve by so many processes of their own, which end with this one."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    processes = [
        multiprocessing.get_context("spawn").Process(target=run, args=(port,), daemon=True) for _ in range(count)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()


if __name__ == "__main__":
    if len(sys.argv) > 2:  # noqa: PLR2004  # a port alone, or with a number
        run_many(int(sys.argv[1]), int(sys.argv[2]))
    else:
        run(int(sys.argv[1]))
