"""The address of a server: the forms of a target, and the check for an address of this machine."""

import ipaddress
import re
from typing import Final, NamedTuple

_EXAMPLE: Final = "127.0.0.1:50051"
_RESOLVED_BY_GRPC: Final = ("unix:", "unix-abstract:", "vsock:", "ipv4:", "ipv6:", "xds:", "google-c2p:")
_DNS: Final = re.compile(r"dns:(?://[^/]*/)?")
_URL: Final = re.compile(r"(https?|grpcs?|tcp)://", re.IGNORECASE)
_PORT_MAX: Final = 65_535


class Address(NamedTuple):
    """A host, without brackets, and a port."""

    host: str
    port: int


def address_of(target: str) -> Address | None:
    """Return the host and the port of a target; None if it has another form that gRPC knows, such as ``unix:path``.

    Raises ValueError for other texts. Its message shows the right form.
    """
    if not target.strip():
        message = f"the target is empty; name HOST:PORT, such as {_EXAMPLE}"
        raise ValueError(message)
    if found := _URL.match(target):
        message = f"the target {target!r} is a URL; name HOST:PORT without {found[0]}"
        raise ValueError(message)
    if target.startswith(_RESOLVED_BY_GRPC):
        return None
    host, colon, port = _DNS.sub("", target, count=1).rpartition(":")
    if colon and ":" in host and not (host.startswith("[") and host.endswith("]")):
        message = f"the target {target!r} has an IPv6 address without brackets; name it as [ADDRESS]:PORT"
        raise ValueError(message)
    if not colon or not host or not port:
        what = "no host" if colon and not host else "no port"
        message = f"the target {target!r} names {what}; name HOST:PORT, such as {_EXAMPLE}"
        raise ValueError(message)
    if not (port.isascii() and port.isdecimal() and 1 <= int(port) <= _PORT_MAX):
        message = f"the target {target!r} has the port {port!r}; a port is a number from 1 to {_PORT_MAX}"
        raise ValueError(message)
    return Address(host.strip("[]"), int(port))


def is_loopback(host: str) -> bool:
    """Return True if a host is this machine, by its name or number. This asks no resolver."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False
