"""The call of the standard gRPC health service, which load balancers and orchestrators use too.

Each function with `Rpc` becomes a method of the clients. A client passes its own defaults as the first argument.
"""

from typing import Final

from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from tallykeeper_client._calls.base import Call, Defaults, Rpc

_CHECK: Final = "/grpc.health.v1.Health/Check"


class HealthReads:
    """The read of the health service."""

    @Rpc
    def check_health(
        defaults: Defaults, service: str = "", *, timeout_seconds: float | None = None
    ) -> Call[HealthCheckResponse]:
        """Ask whether the server serves. No token is needed.

        Args:
            service: The full name of one service, such as ``tallykeeper.v1.CounterService``; empty for the
                whole server.
            timeout_seconds: The deadline of the call in seconds, more than 0; None for the client's own.

        Returns:
            The response. Its ``status`` is ``SERVING``, or ``NOT_SERVING`` while the store is away or the server stops.

        Raises:
            TallykeeperError: The server has no such service (code NOT_FOUND), or does not answer.

        """
        return Call(
            path=_CHECK,
            request=HealthCheckRequest(service=service),
            response=HealthCheckResponse,
            timeout_seconds=defaults.timeout_seconds if timeout_seconds is None else timeout_seconds,
            request_id="",
        )
