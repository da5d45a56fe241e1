"""The server under test of connectconformance: its ConformanceService on the transport.

It reads a ServerCompatRequest from stdin, writes a ServerCompatResponse to stdout, and serves until SIGTERM. Its first
argument is the folder with the generated code of the suite's protos.
"""

import asyncio
import binascii
import importlib
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import connectrpc
from google.protobuf.any_pb2 import Any as Packed
from google.rpc.status_pb2 import Status

from tallykeeper_server.transport.call import Call
from tallykeeper_server.transport.limits import TransportLimits
from tallykeeper_server.transport.methods import Method, request_stream, response_stream, stream, unary
from tallykeeper_server.transport.requests import Requests
from tallykeeper_server.transport.server import TransportServer
from tallykeeper_server.transport.status import StatusError
from tallykeeper_server.transport.tls import ServerTls

_SERVICE: Final = "/connectrpc.conformance.v1.ConformanceService"
_PREFIX_BYTES: Final = 4
MESSAGE_BYTES_MAX: Final = 4 << 20


class ConformanceService:
    """The service. It does what each request says, and reports the received requests."""

    def __init__(self, protos: Any) -> None:  # noqa: ANN401  # a module that is generated when the suite runs
        self._protos = protos

    def methods(self) -> tuple[Method, ...]:
        """Return the service's methods. Unimplemented is not among them."""
        return (
            unary(f"{_SERVICE}/Unary", self._unary("Unary")),
            unary(f"{_SERVICE}/IdempotentUnary", self._unary("IdempotentUnary")),
            request_stream(f"{_SERVICE}/ClientStream", self._client_stream),
            response_stream(f"{_SERVICE}/ServerStream", self._server_stream),
            stream(f"{_SERVICE}/BidiStream", self._bidi_stream),
        )

    def _unary(self, name: str) -> Any:  # noqa: ANN401  # a function of connectrpc
        request_type = getattr(self._protos, f"{name}Request")
        response_type = getattr(self._protos, f"{name}Response")

        async def answer(payload: bytes, call: Call) -> bytes:
            request = request_type.FromString(payload)
            return await self._respond(request.response_definition, [request], call, response_type)

        return answer

    async def _client_stream(self, payloads: Requests, call: Call) -> bytes:
        requests = [self._protos.ClientStreamRequest.FromString(payload) async for payload in payloads]
        definition = requests[0].response_definition if requests else self._protos.UnaryResponseDefinition()
        return await self._respond(definition, requests, call, self._protos.ClientStreamResponse)

    async def _respond(self, definition: Any, requests: Sequence[Any], call: Call, response_type: Any) -> bytes:  # noqa: ANN401
        info = self._info(call, requests)
        _set_metadata(definition, call)
        if definition.HasField("error"):
            raise _failure(definition.error, info)
        await asyncio.sleep(definition.response_delay_ms / 1_000)
        payload = self._protos.ConformancePayload(data=definition.response_data, request_info=info)
        return bytes(response_type(payload=payload).SerializeToString())

    async def _server_stream(self, payload: bytes, call: Call) -> AsyncGenerator[bytes, None]:
        request = self._protos.ServerStreamRequest.FromString(payload)
        definition = request.response_definition
        _set_metadata(definition, call)
        if definition.response_data:
            call.send_initial_metadata()
        info = self._info(call, [request])
        for index, data in enumerate(definition.response_data):
            await asyncio.sleep(definition.response_delay_ms / 1_000)
            yield self._streamed("ServerStreamResponse", data, None if index else info)
        if definition.HasField("error"):
            raise _failure(definition.error, None if definition.response_data else info)

    async def _bidi_stream(self, payloads: Requests, call: Call) -> AsyncGenerator[bytes, None]:
        definition, full_duplex, sent = self._protos.StreamResponseDefinition(), False, 0
        requests: list[Any] = []
        first = True
        async for payload in payloads:
            request = self._protos.BidiStreamRequest.FromString(payload)
            requests.append(request)
            if first:
                first, definition, full_duplex = False, request.response_definition, request.full_duplex
                _set_metadata(definition, call)
                if full_duplex and definition.response_data:
                    call.send_initial_metadata()
            if full_duplex:
                if sent >= len(definition.response_data):
                    break
                info = self._protos.ConformancePayload.RequestInfo(requests=_packed(requests))
                info = info if sent else self._info(call, requests)
                await asyncio.sleep(definition.response_delay_ms / 1_000)
                yield self._streamed("BidiStreamResponse", definition.response_data[sent], info)
                sent, requests = sent + 1, []
        if not full_duplex and definition.response_data:
            call.send_initial_metadata()
        for data in definition.response_data[sent:]:
            await asyncio.sleep(definition.response_delay_ms / 1_000)
            yield self._streamed("BidiStreamResponse", data, None if sent else self._info(call, requests))
            sent += 1
        if definition.HasField("error"):
            raise _failure(definition.error, None if sent else self._info(call, requests))

    def _streamed(self, response_type: str, data: bytes, info: Any) -> bytes:  # noqa: ANN401
        payload = self._protos.ConformancePayload(data=data, request_info=info)
        return bytes(getattr(self._protos, response_type)(payload=payload).SerializeToString())

    def _info(self, call: Call, requests: Sequence[Any]) -> Any:  # noqa: ANN401
        info = self._protos.ConformancePayload.RequestInfo(requests=_packed(requests))
        remaining = call.time_remaining()
        if remaining is not None:
            info.timeout_ms = round(remaining * 1_000)
        values: dict[str, list[str]] = {}
        for name, value in call.metadata:
            values.setdefault(name, []).append(value if isinstance(value, str) else _base64(value))
        for name, texts in values.items():
            info.request_headers.add(name=name, value=texts)
        return info


def _packed(requests: Iterable[Any]) -> list[Packed]:
    packed = []
    for request in requests:
        packed.append(Packed())
        packed[-1].Pack(request)
    return packed


def _set_metadata(definition: Any, call: Call) -> None:  # noqa: ANN401
    call.set_initial_metadata(_pairs(definition.response_headers))
    call.set_trailing_metadata(_pairs(definition.response_trailers))


def _pairs(headers: Iterable[Any]) -> list[tuple[str, str | bytes]]:
    return [
        (header.name.lower(), _from_base64(value) if header.name.lower().endswith("-bin") else value)
        for header in headers
        for value in header.value
    ]


def _base64(value: bytes) -> str:
    return binascii.b2a_base64(value, newline=False).rstrip(b"=").decode()


def _from_base64(text: str) -> bytes:
    return binascii.a2b_base64(text + "=" * (-len(text) % 4))


def _failure(error: Any, info: Any) -> StatusError:  # noqa: ANN401
    details = [*error.details, *(_packed([info]) if info is not None else ())]
    if not details:
        return StatusError(error.code, error.message)
    status = Status(code=error.code, message=error.message, details=details)
    return StatusError(error.code, error.message, (("grpc-status-details-bin", status.SerializeToString()),))


async def serve(protos: Path) -> None:
    """Serve with the settings from stdin."""
    compat, service_protos = suite_protos(protos)
    service = ConformanceService(service_protos)
    request = question(compat)
    limits = TransportLimits(message_bytes_max=request.message_receive_limit or MESSAGE_BYTES_MAX)
    server = TransportServer(service.methods(), limits=limits)
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    answer(compat, request, await server.listen("127.0.0.1:0", tls=tls_of(request)))
    await stopped.wait()
    await server.stop(1.0)


def suite_protos(folder: Path) -> tuple[Any, Any]:
    """Return the suite's modules for the question to a server, and for its service.

    They are generated into a package that has the name of the library connectrpc, so its path is extended.
    """
    sys.path.insert(0, str(folder))
    connectrpc.__path__.append(str(folder / "connectrpc"))
    modules = ("server_compat_pb2", "service_pb2")
    compat, service = (importlib.import_module(f"connectrpc.conformance.v1.{module}") for module in modules)
    return compat, service


def question(compat: Any) -> Any:  # noqa: ANN401
    """Return the ServerCompatRequest on stdin, which says how to serve."""
    size = int.from_bytes(sys.stdin.buffer.read(_PREFIX_BYTES), "big")
    return compat.ServerCompatRequest.FromString(sys.stdin.buffer.read(size))


def answer(compat: Any, request: Any, address: str) -> None:  # noqa: ANN401
    """Write to stdout where the server listens."""
    host, _, port = address.rpartition(":")
    certificate = request.server_creds.cert if request.use_tls else b""
    response = compat.ServerCompatResponse(host=host, port=int(port), pem_cert=certificate).SerializeToString()
    sys.stdout.buffer.write(len(response).to_bytes(_PREFIX_BYTES, "big") + response)
    sys.stdout.buffer.flush()


def tls_of(request: Any, *, alpn: str = "h2") -> ServerTls | None:  # noqa: ANN401
    """Return the certificates that the suite gives; None if it asks for plaintext."""
    if not request.use_tls:
        return None
    with tempfile.TemporaryDirectory() as folder:
        certificate, key, authority = (Path(folder, name) for name in ("certificate", "key", "authority"))
        certificate.write_bytes(request.server_creds.cert)
        key.write_bytes(request.server_creds.key)
        authority.write_bytes(request.client_tls_cert)
        return ServerTls(certificate, key, authority if request.client_tls_cert else None, alpn=alpn)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
