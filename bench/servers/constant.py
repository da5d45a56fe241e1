"""The ceiling: listeners, event loop and collector as our server has them, and handlers that return a constant.

Usage: python -m bench.servers.constant PORT
"""

import asyncio
import sys
from typing import Any

import grpc
import grpc.aio
import uvloop

from tallykeeper.v1 import counter_pb2, counter_pb2_grpc, inventory_pb2, inventory_pb2_grpc
from tallykeeper_server.app import LISTENERS
from tallykeeper_server.lifetime import tune_garbage_collector

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


class ConstantInventory(inventory_pb2_grpc.InventoryServiceServicer):
    """Takes copies of nothing."""

    async def DecrementCopies(self, request: inventory_pb2.DecrementCopiesRequest, context: Any) -> Any:  # noqa: ANN401, ARG002, N802  # as generated
        """Return a constant."""
        return _DECREMENTED


class ConstantCounters(counter_pb2_grpc.CounterServiceServicer):
    """Counts nothing."""

    async def Increment(self, request: counter_pb2.IncrementRequest, context: Any) -> Any:  # noqa: ANN401, ARG002, N802  # as generated
        """Return a constant."""
        return _INCREMENTED


async def main(port: int) -> None:
    """Serve until the process ends."""
    servers = [grpc.aio.server(options=[("grpc.so_reuseport", 1)]) for _ in range(LISTENERS)]
    for server in servers:
        inventory_pb2_grpc.add_InventoryServiceServicer_to_server(ConstantInventory(), server)  # type: ignore[no-untyped-call]  # generated
        counter_pb2_grpc.add_CounterServiceServicer_to_server(ConstantCounters(), server)  # type: ignore[no-untyped-call]  # generated
        server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
    tune_garbage_collector()
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1])))
