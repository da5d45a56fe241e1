"""The HTTP server of this process, put together from the settings."""

from collections.abc import Collection, Sequence

from google.protobuf.descriptor import ServiceDescriptor

from tallykeeper_server.app.certificates import tls_files
from tallykeeper_server.app.listen_address import binding
from tallykeeper_server.http.gateway import Gateway, rpcs_of
from tallykeeper_server.http.limits import HttpLimits
from tallykeeper_server.http.origins import Origins
from tallykeeper_server.http.pages import pages_of
from tallykeeper_server.http.statuses import explained
from tallykeeper_server.metrics.snapshots import GatherAll
from tallykeeper_server.rpc.admission import Overload
from tallykeeper_server.settings import Settings
from tallykeeper_server.transport.health import Health
from tallykeeper_server.transport.methods import Method


def gateway_of(
    methods: Sequence[Method],
    services: Collection[ServiceDescriptor],
    *,
    settings: Settings,
    overload: Overload,
    health: Health,
    gather_all: GatherAll,
) -> Gateway:
    """Return the HTTP server of the methods that the services have. It does not listen yet."""
    rpcs = rpcs_of(methods, services)
    return Gateway(
        rpcs,
        limits=_limits(settings),
        origins=Origins(settings.origins, only_loopback_hosts=settings.is_http_local and settings.access_file is None),
        admit=overload.admit,
        explain=explained,
        pages=pages_of(rpcs, health=health, gather_all=gather_all),
    )


def listen(gateway: Gateway, settings: Settings) -> None:
    """Accept connections at the address of the HTTP server.

    :raises StartError: it cannot be bound, or the certificate cannot be used.
    """
    tls = tls_files(settings, alpn="http/1.1")
    with binding(settings.http_listen):
        gateway.listen(settings.http_listen, tls=tls, reuse_port=True)


def _limits(settings: Settings) -> HttpLimits:
    return HttpLimits(
        connections_max=settings.http_connections_max,
        connections_per_address_max=settings.http_connections_per_address_max,
        handshake_seconds=settings.handshake_seconds,
        header_bytes_max=settings.http_header_bytes_max,
        header_seconds=settings.http_header_seconds,
        body_seconds=settings.http_body_seconds,
        idle_seconds=settings.http_idle_seconds,
        stalled_seconds=settings.stalled_seconds,
        message_bytes_max=settings.message_bytes_max,
        waiting_request_bytes_max=settings.request_bytes_max,
        unread_response_bytes_max=settings.unread_bytes_max,
    )
