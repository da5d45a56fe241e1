"""Where the server listens: an address is kept for the listeners that share it, before gRPC binds it.

gRPC does not say why an address cannot be bound, would take a unix socket from a server that runs, and would share
a port with one that does not mean to.
"""

import contextlib
import errno
import socket
from collections.abc import Iterator

from tallykeeper_server.app.store_startup import StartError

Address = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
"""What Python binds a socket to, in its several families."""


def is_unix(listen: str) -> bool:
    """Tell whether an address is a unix socket, which workers cannot share."""
    return listen.startswith("unix:")


@contextlib.contextmanager
def binding(listen: str) -> Iterator[None]:
    """Bind an address within this context.

    :raises StartError: it cannot be bound.
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
    """Keep an address for those that share it; give it with the port that was chosen where it asks for any.

    The socket that keeps it never listens, so it gets no connection (Linux and BSD hand them to those that listen).
    A unix socket is not kept, for it has one listener.

    :raises StartError: it is in use, or not an address of this machine.
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
    """Bind an address that no other socket has; those that share it come after.

    With SO_REUSEADDR alone, two servers that start at the same moment would both have it, as neither listens yet.
    Without, it cannot be had for a minute after a server that did not share it. So the one after the other.

    :raises OSError: it is in use, or not an address of this machine.
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
    """Give a socket and what to bind it to: the first address of the host."""
    host, port = host_and_port(listen)
    found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    family, kind, protocol, _, address = found[0]
    with socket.socket(family, kind, protocol) as one:
        yield one, address
