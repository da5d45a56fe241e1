"""Servers that answer every call with the same response. Each is one process.

Usage: python -m bench.servers.constant transport|transport-with-metadata|grpc-aio|grpc-aio-many PORT

``transport`` answers with constant bytes. ``transport-with-metadata`` first decodes the metadata and reads path and
deadline, as the handlers of the service do. ``grpc-aio`` is one server of gRPC's Python package as its documentation
shows it. ``grpc-aio-many`` is eight of these servers at one port. Each accepts one call at a time, so that several are
faster. The servers of the transport also take the spans of a traced server.
"""

import asyncio
import sys
from typing import Final

import grpc
import grpc.aio

from tallykeeper.v1 import counter_pb2, inventory_pb2
from tallykeeper_server.runtime.lifecycle import run, tune_garbage_collector
from tallykeeper_server.transport.call import Call
from tallykeeper_server.transport.methods import DirectHandler, Method, direct
from tallykeeper_server.transport.server import TransportServer
from tallykeeper_server.transport.status import Code, StatusError

LISTENERS: Final = 8
"""The number of servers of grpc.aio that share a port. More servers are not faster."""
_DECREMENTED: Final = inventory_pb2.DecrementCopiesResponse(
    copies_taken=1,
    stock_level=inventory_pb2.StockLevel(item="item-0000", location="main", on_hand=999_999, available=999_999),
    revision=123_456,
)
_DECREMENTED.commit_time.GetCurrentTime()
_INCREMENTED: Final = counter_pb2.IncrementResponse(
    counter=counter_pb2.Counter(counter="item-0000", value=999_999), revision=123_456
)
_INCREMENTED.commit_time.GetCurrentTime()
_NO_TIME: Final = StatusError(Code.DEADLINE_EXCEEDED, "the deadline has passed")


async def decrement(_: inventory_pb2.DecrementCopiesRequest, __: object) -> inventory_pb2.DecrementCopiesResponse:
    """Return the constant response."""
    return _DECREMENTED


async def increment(_: counter_pb2.IncrementRequest, __: object) -> counter_pb2.IncrementResponse:
    """Return the constant response."""
    return _INCREMENTED


def _methods(*, with_metadata: bool) -> list[Method]:
    handler = _after_metadata if with_metadata else _at_once
    return [
        direct("/tallykeeper.v1.InventoryService/DecrementCopies", handler(_DECREMENTED.SerializeToString())),
        direct("/tallykeeper.v1.CounterService/Increment", handler(_INCREMENTED.SerializeToString())),
        direct("/opentelemetry.proto.collector.trace.v1.TraceService/Export", handler(b"")),
    ]


def _at_once(response: bytes) -> DirectHandler:
    def handle(_: bytes, call: Call) -> None:
        call.reply(response)

    return handle


def _after_metadata(response: bytes) -> DirectHandler:
    def handle(_: bytes, call: Call) -> None:
        remaining = call.time_remaining()
        if not call.path or not call.metadata or (remaining is not None and not remaining):
            call.fail(_NO_TIME)
            return
        call.reply(response)

    return handle


def _handlers() -> list[grpc.GenericRpcHandler]:
    """Return handlers that are found by name, because registered ones make grpc.aio slower."""
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


async def serve_by_transport(port: int, *, with_metadata: bool) -> None:
    """Serve until the process ends."""
    server = TransportServer(_methods(with_metadata=with_metadata))
    await server.listen(f"127.0.0.1:{port}")
    tune_garbage_collector()
    await asyncio.Event().wait()


async def serve_by_grpc_aio(port: int, listeners: int) -> None:
    """Serve until the process ends."""
    servers = [grpc.aio.server(options=[("grpc.so_reuseport", 1)]) for _ in range(listeners)]
    for server in servers:
        server.add_generic_rpc_handlers(_handlers())
        server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
    tune_garbage_collector()
    await asyncio.Event().wait()


if __name__ == "__main__":
    kind, at = sys.argv[1], int(sys.argv[2])
    if kind.startswith("transport"):
        run(serve_by_transport(at, with_metadata=kind == "transport-with-metadata"))
    else:
        run(serve_by_grpc_aio(at, LISTENERS if kind == "grpc-aio-many" else 1))
