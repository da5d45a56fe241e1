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

        ``service`` is the full name of one service, as in ``tallykeeper.v1.CounterService``; empty means the whole
        server. The response's ``status`` is ``SERVING``, or ``NOT_SERVING`` while the store is away or the server
        stops. Raises `TallykeeperError` with the code NOT_FOUND if the server has no such service.

            client.check_health().status == HealthCheckResponse.SERVING
        """
        return Call(
            path=_CHECK,
            request=HealthCheckRequest(service=service),
            response=HealthCheckResponse,
            timeout_seconds=defaults.timeout_seconds if timeout_seconds is None else timeout_seconds,
            request_id="",
        )
