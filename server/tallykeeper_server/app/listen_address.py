"""Keeps the address of the server for the listeners that share it, before the transport binds it.

It says why an address cannot be bound. No other server can then share the port by accident.
"""

import contextlib
import errno
import socket
from collections.abc import Iterator

from tallykeeper_server.app.store_startup import StartError

Address = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
"""The address that Python binds a socket to, in each family of addresses."""


def is_unix(listen: str) -> bool:
    """Return whether an address is a unix socket. Workers cannot share a unix socket."""
    return listen.startswith("unix:")


@contextlib.contextmanager
def binding(listen: str) -> Iterator[None]:
    """Bind an address within this context.

    :raises StartError: the address cannot be bound.
    """
    try:
        yield
    except (OSError, RuntimeError, UnicodeError) as error:  # UnicodeError: an overlong host name
        message = f"cannot listen on {listen}: {getattr(error, 'strerror', None) or error}"
        raise StartError(message) from error


def host_and_port(listen: str) -> tuple[str, int]:
    """Return the two parts of ``host:port``; the host keeps the brackets of an IPv6 address."""
    host, _, port = listen.rpartition(":")
    return host, int(port)


@contextlib.contextmanager
def kept_address(listen: str) -> Iterator[str]:
    """Keep an address within this context, and yield it; port 0 is replaced by the port that was chosen.

    The socket that keeps the address never listens, so it gets no connections: Linux and BSD give them to sockets that
    listen. A unix socket is not kept, because it has one listener.

    :raises StartError: the address is in use, or does not belong to this machine.
    """
    with contextlib.ExitStack() as stack:
        if is_unix(listen):
            yield listen
            return
        with binding(listen):
            keeper, address = stack.enter_context(_socket_for(listen))
            _bind_alone(keeper, address)
            keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        yield f"{host_and_port(listen)[0]}:{keeper.getsockname()[1]}"


@contextlib.contextmanager
def kept_http_address(listen: str) -> Iterator[str]:
    """Keep the address of the HTTP server, as ``kept_address`` does; give nothing if there is none.

    :raises StartError: it is in use, or not an address of this machine.
    """
    if not listen:
        yield ""
        return
    with contextlib.ExitStack() as stack:
        try:
            address = stack.enter_context(kept_address(listen))
        except StartError as error:
            message = f"{error}; set http_listen to another address, or to nothing for no HTTP"
            raise StartError(message) from error
        yield address


def _bind_alone(keeper: socket.socket, address: Address) -> None:
    """Bind an address that no other socket has. The listeners that share it bind it later.

    With SO_REUSEADDR, two servers that start at the same moment could both bind the address, because neither listens
    yet. Without it, an address cannot be bound for a minute after a server that did not share it has ended. So the
    address is tried without it first, and then with it.

    :raises OSError: the address is in use, or does not belong to this machine.
    """
    try:
        keeper.bind(address)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        keeper.bind(address)


@contextlib.contextmanager
def _socket_for(listen: str) -> Iterator[tuple[socket.socket, Address]]:
    """Yield a socket, and the first address of the host to bind it to."""
    host, port = host_and_port(listen)
    found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    family, kind, protocol, _, address = found[0]
    with socket.socket(family, kind, protocol) as one:
        yield one, address
