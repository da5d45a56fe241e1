"""The standard health service, as load balancers and orchestrators call it."""

from collections.abc import Iterator
from typing import Final

import grpc
from grpc_health.v1 import health_pb2

from tests.support.server import PATIENCE_SECONDS

SERVING: Final = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING


def health_of(channel: grpc.Channel, service: str) -> int:
    """Return the health of a service. The empty name means the whole server."""
    check: grpc.UnaryUnaryMultiCallable[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse] = (
        channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
    )
    return int(check(health_pb2.HealthCheckRequest(service=service), timeout=PATIENCE_SECONDS).status)


def health_updates(channel: grpc.Channel, service: str) -> Iterator[int]:
    """Yield the health of a service at each change."""
    watch: grpc.UnaryStreamMultiCallable[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse] = (
        channel.unary_stream(
            "/grpc.health.v1.Health/Watch",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
    )
    return (int(update.status) for update in watch(health_pb2.HealthCheckRequest(service=service)))
