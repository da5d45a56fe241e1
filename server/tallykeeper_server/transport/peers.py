"""The address and the certificate of a peer, from its socket."""

import asyncio
import ssl
from dataclasses import dataclass
from typing import Any, Final, cast

_IPV4_AS_IPV6: Final = "::ffff:"


@dataclass(frozen=True, slots=True)
class Certificate:
    """A peer's certificate, verified by mutual TLS."""

    der: bytes
    """The certificate in DER form."""
    alternative_names: tuple[str, ...]
    """Its subject alternative names, of every kind, as text."""


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a connection."""

    name: str
    """The name in gRPC's form: ``ipv4:127.0.0.1:50051``, ``ipv6:[::1]:50051``, ``unix:``."""
    address: str
    """The IP address alone; empty for a Unix socket."""
    certificate: Certificate | None = None


def peer_of(transport: asyncio.BaseTransport, peername: object) -> Peer:
    """Return the peer of a socket with this name, with its certificate if mutual TLS has verified one."""
    name, address = _name_of(peername)
    return Peer(name, address, _certificate_of(transport.get_extra_info("ssl_object")))


def ip_address_of(peername: object) -> str:
    """Return the IP address in the name of a socket's peer; empty for a Unix socket."""
    return _name_of(peername)[1]


def _name_of(peername: object) -> tuple[str, str]:
    if not isinstance(peername, tuple):
        return "unix:", ""
    host, port = str(peername[0]), int(peername[1])
    if host.startswith(_IPV4_AS_IPV6):
        host = host.removeprefix(_IPV4_AS_IPV6)
    return (f"ipv6:[{host}]:{port}" if ":" in host else f"ipv4:{host}:{port}"), host


def _certificate_of(tls: ssl.SSLObject | None) -> Certificate | None:
    if tls is None:
        return None
    der = tls.getpeercert(binary_form=True)
    if der is None:
        return None
    names = cast("Any", tls.getpeercert() or {}).get("subjectAltName", ())
    return Certificate(der, tuple(str(name) for _, name in names))
