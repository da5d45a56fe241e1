"""Addresses to listen on: TCP with IPv4 and IPv6, and Unix sockets."""

import contextlib
import errno
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_UNIX: Final = "unix:"
_BACKLOG: Final = 1_024
"""The number of connections that the kernel accepts while the process is busy."""


def listening_sockets(address: str, *, reuse_port: bool) -> list[socket.socket]:
    """Return sockets that listen on ``host:port``, ``[ipv6]:port`` or ``unix:path``.

    A host with several addresses gets a socket for each. Port 0 takes a free port, the same for all of them. ``[::]``
    accepts IPv4, too. ``reuse_port`` lets several processes share a TCP port (SO_REUSEPORT).

    :raises OSError: the address is in use or not one of this machine.
    :raises ValueError: it is not written like that.
    """
    if address.startswith(_UNIX):
        return [_unix_socket(address.removeprefix(_UNIX))]
    host, colon, port_text = address.rpartition(":")
    if not (host and colon and port_text.isdigit()):
        message = f"the address {address!r} is not host:port, [ipv6]:port or unix:path"
        raise ValueError(message)
    port = int(port_text)
    with contextlib.ExitStack() as on_failure:
        sockets = []
        for family, target in _targets(host.strip("[]"), port):
            one = socket.socket(family)
            on_failure.callback(one.close)
            sockets.append(one)
            _bind(one, (target[0], port, *target[2:]), reuse_port=reuse_port)
            port = one.getsockname()[1]
        on_failure.pop_all()
    return sockets


def _targets(host: str, port: int) -> Iterator[tuple[socket.AddressFamily, tuple[str, ...]]]:
    seen = set()
    for family, _, _, _, target in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
        if target not in seen:
            seen.add(target)
            yield family, target  # type: ignore[misc]  # the stubs know more kinds of address than there are for TCP


def _bind(one: socket.socket, target: tuple[object, ...], *, reuse_port: bool) -> None:
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuse_port:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if one.family is socket.AF_INET6:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(target[0] != "::"))
    one.bind(target)
    one.listen(_BACKLOG)
    one.settimeout(0)


def _unix_socket(path: str) -> socket.socket:
    one = socket.socket(socket.AF_UNIX)
    try:
        try:
            one.bind(path)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not _is_abandoned(path):
                raise
            Path(path).unlink()
            one.bind(path)
        one.listen(_BACKLOG)
        one.settimeout(0)
    except OSError:
        one.close()
        raise
    return one


def _is_abandoned(path: str) -> bool:
    """Return True if nobody listens on a Unix socket, because its server was killed."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(0)  # a server without room for another connection still listens
        return Path(path).is_socket() and probe.connect_ex(path) == errno.ECONNREFUSED


def address_of(one: socket.socket) -> str:
    """Return the address of a listening socket in the form that listening_sockets takes."""
    name = one.getsockname()
    if one.family is socket.AF_UNIX:
        return f"{_UNIX}{name}"
    return f"[{name[0]}]:{name[1]}" if one.family is socket.AF_INET6 else f"{name[0]}:{name[1]}"
