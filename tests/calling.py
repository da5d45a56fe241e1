"""Calls by message, as a client in another language makes them: nothing of the Python client is in between."""

from dataclasses import dataclass
from typing import Any, Final

import grpc
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2

from tallykeeper.v1 import counter_pb2, inventory_pb2

_METHODS: Final = {
    method.input_type.full_name: method
    for file in (counter_pb2, inventory_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
REQUEST_TYPES: Final = tuple(GetMessageClass(method.input_type) for method in _METHODS.values())


@dataclass(eq=False)
class Failure(Exception):  # noqa: N818  # what a call ended in, compared as a value
    """A call that failed, with all that its error says."""

    code: grpc.StatusCode
    message: str
    reason: str
    metadata: dict[str, str]
    violations: dict[str, str]
    preconditions: tuple[tuple[str, str], ...]
    retry_delay_seconds: float | None
    pushback_ms: int | None

    def __str__(self) -> str:
        return f"{self.code} {self.reason}: {self.message} {self.metadata}"


class Caller:
    """A channel that takes requests by their type."""

    def __init__(self, target: str) -> None:
        self.channel = grpc.insecure_channel(target)

    def __call__(self, request: Message, *, timeout: float | None = 20.0) -> Any:  # noqa: ANN401  # by request type
        """Call the RPC that takes this type of request; raise Failure if it fails."""
        return self.send(type(request), request.SerializeToString(), timeout=timeout)

    def send(self, request_type: type[Message], raw: bytes, *, timeout: float | None = 20.0) -> Any:  # noqa: ANN401
        """Call the RPC that takes this type of request with bytes that need not be one."""
        method = _METHODS[request_type.DESCRIPTOR.full_name]
        call: grpc.UnaryUnaryMultiCallable[bytes, Message] = self.channel.unary_unary(
            f"/{method.containing_service.full_name}/{method.name}",
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        try:
            return call(raw, timeout=timeout)
        except grpc.RpcError as error:
            raise failure_of(error) from error

    def close(self) -> None:
        """Close the channel."""
        self.channel.close()


def failure_of(error: Any) -> Failure:  # noqa: ANN401  # grpc's errors are calls too, which its types do not say
    """Return what a gRPC error says, with the details of its trailers."""
    trailers = dict(error.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailers.get("grpc-status-details-bin", b""))
    info, bad, precondition = (
        error_details_pb2.ErrorInfo(),
        error_details_pb2.BadRequest(),
        error_details_pb2.PreconditionFailure(),
    )
    retry = error_details_pb2.RetryInfo()
    for detail in status.details:
        for message in (info, bad, precondition, retry):
            detail.Unpack(message)
    if status.details:
        assert info.domain == "tallykeeper"
    return Failure(
        code=error.code(),
        message=error.details(),
        reason=info.reason,
        metadata=dict(info.metadata),
        violations={violation.field: violation.description for violation in bad.field_violations},
        preconditions=tuple((violation.type, violation.subject) for violation in precondition.violations),
        retry_delay_seconds=retry.retry_delay.ToMilliseconds() / 1000 if retry.HasField("retry_delay") else None,
        pushback_ms=int(trailers["grpc-retry-pushback-ms"]) if "grpc-retry-pushback-ms" in trailers else None,
    )
