"""The server under test of gRPC's interoperability clients: grpc.testing.TestService on the transport.

https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md describes the service. The first argument is
the folder with the generated code of testing.proto. The server writes its port to stdout, and serves until SIGTERM.
"""

import asyncio
import importlib
import signal
import sys
from collections.abc import AsyncGenerator
from typing import Any, Final

from tallykeeper_server.transport.call import Call
from tallykeeper_server.transport.methods import Method, direct, request_stream, response_stream, stream, unary
from tallykeeper_server.transport.requests import Requests
from tallykeeper_server.transport.server import TransportServer
from tallykeeper_server.transport.status import StatusError

_SERVICE: Final = "/grpc.testing.TestService"
_ECHO_INITIAL: Final = "x-grpc-test-echo-initial"
_ECHO_TRAILING: Final = "x-grpc-test-echo-trailing-bin"


class InteropService:
    """The service. UnimplementedCall and UnimplementedService are not among its methods."""

    def __init__(self, protos: Any) -> None:  # noqa: ANN401  # a module that is generated when the suite runs
        self._protos = protos

    def methods(self) -> tuple[Method, ...]:
        """Return the service's methods."""
        return (
            direct(f"{_SERVICE}/EmptyCall", self._empty),
            unary(f"{_SERVICE}/UnaryCall", self._unary),
            request_stream(f"{_SERVICE}/StreamingInputCall", self._input),
            response_stream(f"{_SERVICE}/StreamingOutputCall", self._output),
            stream(f"{_SERVICE}/FullDuplexCall", self._duplex),
        )

    def _empty(self, _: bytes, call: Call) -> None:
        call.reply(b"")

    async def _unary(self, payload: bytes, call: Call) -> bytes:
        request = self._protos.SimpleRequest.FromString(payload)
        _echo_metadata(call)
        _fail_as_asked(request)
        response = self._protos.SimpleResponse(payload=self._payload(request.response_size))
        return bytes(response.SerializeToString())

    async def _input(self, payloads: Requests, _: Call) -> bytes:
        request_type = self._protos.StreamingInputCallRequest
        size = sum([len(request_type.FromString(payload).payload.body) async for payload in payloads])
        response = self._protos.StreamingInputCallResponse(aggregated_payload_size=size)
        return bytes(response.SerializeToString())

    async def _output(self, payload: bytes, call: Call) -> AsyncGenerator[bytes, None]:
        request = self._protos.StreamingOutputCallRequest.FromString(payload)
        _echo_metadata(call)
        async for response in self._streamed(request):
            yield response

    async def _duplex(self, payloads: Requests, call: Call) -> AsyncGenerator[bytes, None]:
        _echo_metadata(call)
        async for payload in payloads:
            async for response in self._streamed(self._protos.StreamingOutputCallRequest.FromString(payload)):
                yield response

    async def _streamed(self, request: Any) -> AsyncGenerator[bytes, None]:  # noqa: ANN401
        _fail_as_asked(request)
        for asked in request.response_parameters:
            await asyncio.sleep(asked.interval_us / 1_000_000)
            response = self._protos.StreamingOutputCallResponse(payload=self._payload(asked.size))
            yield bytes(response.SerializeToString())

    def _payload(self, size: int) -> Any:  # noqa: ANN401
        return self._protos.Payload(body=bytes(size))


def _echo_metadata(call: Call) -> None:
    call.set_initial_metadata([pair for pair in call.metadata if pair[0] == _ECHO_INITIAL])
    call.set_trailing_metadata([pair for pair in call.metadata if pair[0] == _ECHO_TRAILING])


def _fail_as_asked(request: Any) -> None:  # noqa: ANN401
    if request.HasField("response_status"):
        raise StatusError(request.response_status.code, request.response_status.message)


async def serve(protos: str) -> None:
    """Serve until SIGTERM."""
    sys.path.insert(0, protos)
    service = InteropService(importlib.import_module("testing_pb2"))
    server = TransportServer(service.methods())
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    address = await server.listen("127.0.0.1:0")
    sys.stdout.write(f"{address.rpartition(':')[2]}\n")
    sys.stdout.flush()
    await stopped.wait()
    await server.stop(1.0)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
