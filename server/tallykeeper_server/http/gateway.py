"""Puts the HTTP server together: the RPCs' routes, and its connections, limits and application."""

from collections.abc import Callable, Collection, Mapping, Sequence

from google.protobuf.descriptor import ServiceDescriptor

from tallykeeper_server.http.application import HttpApplication, Route, rpc_route
from tallykeeper_server.http.connections import Connections
from tallykeeper_server.http.limits import HttpLimits
from tallykeeper_server.http.origins import Origins
from tallykeeper_server.http.rpcs import Admit, ConnectApplication, Rpc, has_side_effects
from tallykeeper_server.http.server import HttpServer
from tallykeeper_server.transport.methods import Method
from tallykeeper_server.transport.status import StatusError
from tallykeeper_server.transport.tls import TlsContexts


class Gateway:
    """The HTTP server of one worker, for methods that a gRPC server has as well."""

    def __init__(
        self,
        rpcs: Sequence[Rpc],
        *,
        limits: HttpLimits,
        origins: Origins,
        admit: Admit,
        explain: Callable[[StatusError], StatusError],
        pages: Mapping[str, Route] | None = None,
    ) -> None:
        """``admit`` may refuse a call by its path, ``explain`` gives refusals details, ``pages`` are other paths."""
        self.connections = Connections(limits)
        connect = ConnectApplication(rpcs, admit=admit, message_bytes_max=limits.message_bytes_max)
        routes = {
            rpc.method.path: rpc_route(
                connect, streams=rpc.method.streams_responses, has_side_effects=has_side_effects(rpc.descriptor)
            )
            for rpc in rpcs
        }
        self._application = HttpApplication(
            {**routes, **(pages or {})}, origins=origins, connections=self.connections, limits=limits, explain=explain
        )
        self._server = HttpServer(self._application, self.connections, limits)

    def listen(self, address: str, *, tls: TlsContexts | None = None, reuse_port: bool = False) -> str:
        """Accept connections on ``host:port``; return the address with its port.

        :raises OSError: the address is in use or not one of this machine.
        """
        return self._server.listen(address, tls=tls, reuse_port=reuse_port)

    async def stop(self, grace_seconds: float) -> None:
        """Finish the requests that have begun, and close. Calls that outlast the grace end with UNAVAILABLE."""
        await self._server.stop(grace_seconds, self._application.abort)


def rpcs_of(methods: Sequence[Method], services: Collection[ServiceDescriptor]) -> list[Rpc]:
    """Return the methods that the services have, each with its descriptor."""
    descriptors = {f"/{service.full_name}/{method.name}": method for service in services for method in service.methods}
    return [Rpc(method, descriptors[method.path]) for method in methods if method.path in descriptors]
