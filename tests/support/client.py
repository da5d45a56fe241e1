"""Calls with the messages of the protos, as a client in another language makes them, without the Python client."""

from base64 import b64encode
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import quote

import grpc
import grpc.aio
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2

from tallykeeper.v1 import (
    batch_pb2,
    counter_pb2,
    inventory_pb2,
    ledger_pb2,
    namespace_pb2,
    reservation_pb2,
    server_pb2,
)
from tallykeeper.v1.ledger_pb2 import VerifyNamespaceRequest, VerifyResult

METHODS: Final = {
    method.input_type.full_name: method
    for file in (counter_pb2, inventory_pb2, reservation_pb2, batch_pb2, ledger_pb2, namespace_pb2, server_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
OWN_CONNECTION: Final = (("grpc.use_local_subchannel_pool", 1),)
"""The option that gives a channel its own connection. Without it, gRPC shares connections between channels."""
REQUEST_TYPES: Final = tuple(GetMessageClass(method.input_type) for method in METHODS.values())


@dataclass(eq=False)
class Failure(Exception):  # noqa: N818  # a result that tests compare
    """A call that failed, with the details of its error."""

    code: grpc.StatusCode
    message: str
    reason: str
    metadata: dict[str, str]
    violations: dict[str, str]
    preconditions: tuple[tuple[str, str], ...]
    retry_delay_seconds: float | None
    pushback_ms: int | None
    shortages: tuple[tuple[str, str, int, int], ...]
    """The lines that ask for too many copies: item, location, copies requested, and copies available or reserved."""
    failed: tuple[tuple[int, str, dict[str, str]], ...]
    """The operations that a refused batch lists: the index, the reason and the metadata of each operation."""
    trailer_bytes: int
    """The approximate size of the trailers on the wire, in bytes."""

    def __str__(self) -> str:
        return f"{self.code} {self.reason}: {self.message} {self.metadata}"


class Caller:
    """A channel that takes requests by their type. ``options`` can give it its own connection."""

    def __init__(
        self,
        target: str,
        options: Sequence[tuple[str, object]] = (),
        *,
        credentials: grpc.ChannelCredentials | None = None,
        metadata: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.channel: Any = (
            grpc.secure_channel(target, credentials, options) if credentials else grpc.insecure_channel(target, options)
        )
        self._metadata = metadata

    def verify(self, namespace: str = "", *, timeout: float | None = 60.0) -> VerifyResult:
        """Verify a namespace and return the result at the end of the stream."""
        with self.stream(VerifyNamespaceRequest(namespace=namespace), timeout=timeout) as responses:
            *_, last = responses
        result: VerifyResult = last.result
        return result

    def __call__(self, request: Message, *, timeout: float | None = 20.0) -> Any:  # noqa: ANN401  # by request type
        """Call the RPC of this type of request; raise Failure if it fails. Of a stream, return the first response."""
        return self.send(type(request), request.SerializeToString(), timeout=timeout)

    def send(self, request_type: type[Message], raw: bytes, *, timeout: float | None = 20.0) -> Any:  # noqa: ANN401
        """Call the RPC of this type of request with bytes that need not be a request."""
        if METHODS[request_type.DESCRIPTOR.full_name].server_streaming:
            with self._streaming(request_type, raw, timeout=timeout) as responses:
                return next(responses)
        try:
            return self._callable(request_type)(raw, timeout=timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            raise failure_of(error) from error

    def pages(self, request: Any) -> Iterator[Any]:  # noqa: ANN401  # any listing
        """Yield the pages of a listing, from the page that the request asks for to the last."""
        while True:
            page = self(request)
            yield page
            request.page_token = page.next_page_token
            if not request.page_token:
                return

    @contextmanager
    def stream(self, request: Message, *, timeout: float | None = 60.0) -> Iterator[Iterator[Any]]:
        """Call the RPC that answers this type of request with a stream, which ends with the context.

        The responses raise Failure if the call fails.
        """
        with self._streaming(type(request), request.SerializeToString(), timeout=timeout) as responses:
            yield responses

    @contextmanager
    def _streaming(self, request_type: type[Message], raw: bytes, *, timeout: float | None) -> Iterator[Iterator[Any]]:
        call = self._callable(request_type)(raw, timeout=timeout, metadata=self._metadata)
        try:
            yield _responses(call)
        finally:
            call.cancel()

    def _callable(self, request_type: type[Message]) -> Any:  # noqa: ANN401  # of either arity
        return _callable_on(self.channel, request_type)

    def close(self) -> None:
        """Close the channel."""
        self.channel.close()


class AsyncCaller:
    """A channel like Caller, with coroutines, for many calls at once."""

    def __init__(self, target: str, options: Sequence[tuple[str, object]] = ()) -> None:
        self.channel = grpc.aio.insecure_channel(target, options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.channel.close()

    async def __call__(self, request: Message, *, timeout: float | None = 60.0) -> Any:  # noqa: ANN401, ASYNC109  # of the RPC
        """Call the RPC of this type of request; raise Failure if it fails."""
        try:
            return await _callable_on(self.channel, type(request))(request.SerializeToString(), timeout=timeout)
        except grpc.RpcError as error:
            raise failure_of(error) from error

    async def stream(self, request: Message) -> AsyncIterator[Any]:
        """Yield the responses to this type of request; raise Failure if it fails. The call ends with the iterator."""
        call = _callable_on(self.channel, type(request))(request.SerializeToString())
        try:
            async for response in call:
                yield response
        except grpc.RpcError as error:
            raise failure_of(error) from error
        finally:
            call.cancel()


def _callable_on(channel: Any, request_type: type[Message]) -> Any:  # noqa: ANN401  # of either kind and arity
    method = METHODS[request_type.DESCRIPTOR.full_name]
    make = channel.unary_stream if method.server_streaming else channel.unary_unary
    return make(
        f"/{method.containing_service.full_name}/{method.name}",
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )


def _responses(call: Any) -> Iterator[Any]:  # noqa: ANN401  # a call that is an iterator, which grpc's types do not say
    try:
        yield from call
    except grpc.RpcError as error:
        raise failure_of(error) from error


def failure_of(error: Any) -> Failure:  # noqa: ANN401  # grpc's errors are calls too, which its types do not say
    """Return a Failure with the details that a gRPC error has in its trailers."""
    trailers = dict(error.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailers.get("grpc-status-details-bin", b""))
    info, bad, precondition = (
        error_details_pb2.ErrorInfo(),
        error_details_pb2.BadRequest(),
        error_details_pb2.PreconditionFailure(),
    )
    retry, refused, shortages = error_details_pb2.RetryInfo(), batch_pb2.BatchRefused(), inventory_pb2.Shortages()
    for detail in status.details:
        for message in (info, bad, precondition, retry, refused, shortages):
            detail.Unpack(message)
    if status.details:
        assert info.domain == "tallykeeper.io"
    return Failure(
        code=error.code(),
        message=error.details(),
        reason=info.reason,
        metadata=dict(info.metadata),
        violations={violation.field: violation.description for violation in bad.field_violations},
        preconditions=tuple((violation.type, violation.subject) for violation in precondition.violations),
        retry_delay_seconds=retry.retry_delay.ToMilliseconds() / 1000 if retry.HasField("retry_delay") else None,
        pushback_ms=int(trailers["grpc-retry-pushback-ms"]) if "grpc-retry-pushback-ms" in trailers else None,
        shortages=tuple(
            (each.item, each.location, each.requested, each.available + each.reserved) for each in shortages.shortages
        ),
        failed=tuple((each.index, *reason_of(each.error)) for each in refused.operations),
        trailer_bytes=len(quote(error.details() or "")) + sum(map(_wire_bytes, trailers.items())),
    )


def reason_of(error: batch_pb2.Status) -> tuple[str, dict[str, str]]:
    """Return the reason and the metadata of an operation's error."""
    info = error_details_pb2.ErrorInfo()
    assert error.details[0].Unpack(info)
    assert info.domain == "tallykeeper.io"
    return info.reason, dict(info.metadata)


def simplify(error: batch_pb2.Status) -> None:
    """Reduce an operation's error to its code, reason and metadata, always with the same bytes, to compare it."""
    reason, metadata = reason_of(error)
    del error.details[:]
    error.ClearField("message")
    info = error_details_pb2.ErrorInfo(reason=reason, domain="tallykeeper.io", metadata=metadata)
    error.details.add().Pack(info, deterministic=True)


def _wire_bytes(header: tuple[str, str | bytes]) -> int:
    name, value = header
    return len(name) + (len(b64encode(value)) if isinstance(value, bytes) else len(value))
