"""The standard health service: Check, Watch and List (https://github.com/grpc/grpc/blob/master/doc/health-checking.md)."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from typing import Any, Final

from google.protobuf.message import DecodeError, Message
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from tallykeeper_server.transport.call import Call
from tallykeeper_server.transport.methods import Method, response_stream, unary
from tallykeeper_server.transport.status import Code, StatusError

SERVICE: Final = "grpc.health.v1.Health"
_STOPS: Final = "the server stops"


class Health:
    """The health of the server, under the empty name, and of each of its services."""

    def __init__(self, services: Iterable[str]) -> None:
        """Take the services' full names. All are NOT_SERVING until the first ``tell``."""
        self._statuses: dict[str, Any] = dict.fromkeys(("", *services), HealthCheckResponse.NOT_SERVING)
        self._leaving = False
        self._closed = False
        self._watchers: set[asyncio.Event] = set()

    def methods(self) -> tuple[Method, ...]:
        """Return the methods of the service."""
        return (
            unary(f"/{SERVICE}/Check", self._check),
            response_stream(f"/{SERVICE}/Watch", self._watch),
            unary(f"/{SERVICE}/List", self._list),
        )

    @property
    def serves(self) -> bool:
        """The server serves, and does not stop."""
        return bool(self._statuses[""] == HealthCheckResponse.SERVING)

    def tell(self, *, serves: bool) -> None:
        """Set the status of the server and its services. This has no effect after ``leave``."""
        if self._leaving:
            return
        status = HealthCheckResponse.SERVING if serves else HealthCheckResponse.NOT_SERVING
        self._statuses = dict.fromkeys(self._statuses, status)
        self._wake()

    def leave(self) -> None:
        """Report NOT_SERVING from now on, while the server still serves, so that load balancers choose others."""
        self.tell(serves=False)
        self._leaving = True

    def close(self) -> None:
        """End the streams of watchers with UNAVAILABLE after they have the last status, so that a drain ends."""
        self.leave()
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        for changed in self._watchers:
            changed.set()

    async def _check(self, payload: bytes, _: Call) -> bytes:
        service = _service_of(payload)
        status = self._statuses.get(service)
        if status is None:
            message = f"the server has no service {service!r}"
            raise StatusError(Code.NOT_FOUND, message)
        return HealthCheckResponse(status=status).SerializeToString()

    async def _list(self, _: bytes, __: Call) -> bytes:
        statuses = {name: HealthCheckResponse(status=status) for name, status in self._statuses.items()}
        response: Message = health_pb2.HealthListResponse(statuses=statuses)  # type: ignore[attr-defined]  # stubs lag
        return response.SerializeToString()

    async def _watch(self, payload: bytes, _: Call) -> AsyncGenerator[bytes, None]:
        service = _service_of(payload)
        changed = asyncio.Event()
        self._watchers.add(changed)
        sent = None
        try:
            while True:
                status = self._statuses.get(service, HealthCheckResponse.SERVICE_UNKNOWN)
                if status != sent:
                    sent = status
                    yield HealthCheckResponse(status=status).SerializeToString()
                    continue  # the status may have changed while the response was sent
                if self._closed:
                    raise StatusError(Code.UNAVAILABLE, _STOPS)
                await changed.wait()
                changed.clear()
        finally:
            self._watchers.discard(changed)


def _service_of(payload: bytes) -> str:
    try:
        return HealthCheckRequest.FromString(payload).service
    except DecodeError as error:
        message = "the request is not a grpc.health.v1.HealthCheckRequest"
        raise StatusError(Code.INTERNAL, message) from error
