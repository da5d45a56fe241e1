"""Sends the drawn requests, many at once, and returns the end of each call."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import grpc
import grpc.aio
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2

from tests.fuzz.messages import Drawn
from tests.support.client import METHODS, OWN_CONNECTION

_IN_FLIGHT: Final = 64
_TIMEOUT_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a call: a response, or a code and a reason."""

    drawn: Drawn
    code: grpc.StatusCode
    reason: str = ""
    message: str = ""
    response: Message | None = None

    def __str__(self) -> str:
        return f"{self.drawn} -> {self.code.name} {self.reason} {self.message}"


async def send_all(target: str, drawn: Iterable[Drawn], note: Callable[[Ended], None]) -> None:
    """Send all requests, and record the end of each call."""
    left = iter(drawn)
    channels = [grpc.aio.insecure_channel(target, OWN_CONNECTION) for _ in range(4)]
    try:
        await asyncio.gather(*(_send_some(channels[index % 4], left, note) for index in range(_IN_FLIGHT)))
    finally:
        for channel in channels:
            await channel.close()


async def _send_some(channel: grpc.aio.Channel, left: Iterable[Drawn], note: Callable[[Ended], None]) -> None:
    stubs: dict[type[Message], Callable[[bytes], Awaitable[Any]]] = {}
    for drawn in left:
        if drawn.request_type not in stubs:
            stubs[drawn.request_type] = _stub(channel, drawn.request_type)
        try:
            response = await stubs[drawn.request_type](drawn.raw)
        except grpc.aio.AioRpcError as error:
            note(Ended(drawn, error.code(), _reason_of(error), error.details() or ""))
        else:
            note(Ended(drawn, grpc.StatusCode.OK, response=response))


def _stub(channel: grpc.aio.Channel, request_type: type[Message]) -> Callable[[bytes], Awaitable[Any]]:
    """Return the function that calls the RPC of a type of request. Of a stream it takes the first response."""
    method = METHODS[request_type.DESCRIPTOR.full_name]
    path = f"/{method.containing_service.full_name}/{method.name}"
    parse = GetMessageClass(method.output_type).FromString
    if not method.server_streaming:
        unary: Any = channel.unary_unary(path, response_deserializer=parse)
        return lambda raw: unary(raw, timeout=_TIMEOUT_SECONDS)
    stream: Any = channel.unary_stream(path, response_deserializer=parse)

    async def first(raw: bytes) -> Any:  # noqa: ANN401  # a response
        call = stream(raw, timeout=_TIMEOUT_SECONDS)
        try:
            return await call.read()
        finally:
            call.cancel()

    return first


def _reason_of(error: grpc.aio.AioRpcError) -> str:
    trailers = dict(error.trailing_metadata() or ())
    details = status_pb2.Status.FromString(trailers.get("grpc-status-details-bin", b"")).details
    info = error_details_pb2.ErrorInfo()
    for detail in details:
        if detail.Unpack(info):
            break
    return info.reason
