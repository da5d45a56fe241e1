"""One open connection to a node: opens it by the node's options, sends commands, and returns their replies."""

import asyncio
import socket
import ssl
from collections.abc import Sequence
from typing import Any, Final, cast

import hiredis
from hiredis import ReplyError

from tallykeeper_server.store.nodes.commands import NOT_SERVING, Command, Reply, code_of
from tallykeeper_server.store.nodes.node_options import NodeOptions, TlsOptions
from tallykeeper_server.store.nodes.replies import Replies

_KEEPALIVE: Final = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
"""The names of socket options, and their values: two times in seconds, and a number of probes."""
_PASSWORD_BYTES_MAX: Final = 4_096
"""The maximum size of a password. A longer file is something else, put there by mistake."""
_PING: Final[Command] = ("PING",)
_VERIFY_MODES: Final = {"required": ssl.CERT_REQUIRED, "optional": ssl.CERT_OPTIONAL, "none": ssl.CERT_NONE}


class Wire:
    """An open connection to a node, which one caller at a time uses."""

    def __init__(self, transport: asyncio.WriteTransport, replies: Replies) -> None:
        """Take a transport whose protocol is ``replies``."""
        self._transport = transport
        self._replies = replies

    @property
    def is_usable(self) -> bool:
        """Whether neither side has ended the connection and no byte on it is left over."""
        return not self._transport.is_closing() and self._replies.are_clean

    async def exchange(self, commands: Sequence[Command], *, timeout_seconds: float) -> list[Reply]:
        """Send commands in one write, and return their replies in the same order.

        :raises TimeoutError: the replies did not arrive within ``timeout_seconds``.
        :raises hiredis.ProtocolError: the other side sent bytes that are no reply.
        :raises OSError: the connection was lost.
        """
        self._transport.writelines([hiredis.pack_command(cast("tuple[Any]", command)) for command in commands])
        return cast("list[Reply]", await self._replies.next(len(commands), timeout_seconds=timeout_seconds))

    def close(self) -> None:
        """Begin to close the connection. With TLS, the other side must answer before it is closed."""
        self._transport.close()

    async def wait_closed(self) -> None:
        """Return when the connection is closed on both sides."""
        await self._replies.ended.wait()


async def open_wire(options: NodeOptions, tls: ssl.SSLContext | None, *, timeout_seconds: float) -> Wire:
    """Connect to a node, log in, and choose the database. ``timeout_seconds`` bounds the wait for the node's replies.

    :raises hiredis.ReplyError: the node refused the login, the name of the client or the database.
    :raises hiredis.ProtocolError: the other side is no Redis and no Valkey.
    :raises OSError: the node cannot be reached, or did not reply in time.
    :raises ValueError: the host is no name that can be looked up.
    """
    loop = asyncio.get_running_loop()
    transport: asyncio.BaseTransport
    if options.path:
        transport, replies = await loop.create_unix_connection(Replies, options.path)
    else:
        transport, replies = await loop.create_connection(Replies, *options.address, ssl=tls)
    wire = Wire(cast("asyncio.WriteTransport", transport), replies)
    try:
        if not options.path:
            _keep_alive(transport)
        await _greet(wire, options, timeout_seconds)
    except BaseException:
        wire.close()
        raise
    return wire


def tls_context(options: TlsOptions) -> ssl.SSLContext:
    """Return the TLS settings of a client. It reads the files that the options name.

    :raises OSError: a file cannot be read or used.
    """
    context = ssl.create_default_context()
    context.check_hostname = options.check_hostname and options.verify != "none"
    context.verify_mode = _VERIFY_MODES[options.verify]
    if options.certificate_file or options.key_file:
        # With an empty password, OpenSSL refuses an encrypted key. With none, it would ask for one at the terminal.
        context.load_cert_chain(options.certificate_file or "", options.key_file or None, options.key_password or "")
    if options.ca_file or options.ca_directory:
        context.load_verify_locations(options.ca_file or None, options.ca_directory or None)
    return context


def _keep_alive(transport: asyncio.BaseTransport) -> None:
    """Make the kernel find out in about 45 s that the other machine is gone, though nothing is sent."""
    connected: socket.socket = transport.get_extra_info("socket")
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        if hasattr(socket, name):
            connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def _greet(wire: Wire, options: NodeOptions, timeout_seconds: float) -> None:
    """Send the commands that a new connection begins with, or PING if there are none, and wait for the replies.

    A node that takes no more connections, and a proxy without a node behind it, accept a connection and end it. Without
    a reply before the first command, nobody would know whether that command was carried out.

    :raises hiredis.ReplyError: the node refused a command of the greeting.
    """
    greeting = _greeting(options)
    for reply in await wire.exchange(greeting or [_PING], timeout_seconds=timeout_seconds):
        # The first command gets the same refusal as PING from a node that does not serve now: SHUTDOWN may be allowed.
        if isinstance(reply, ReplyError) and (greeting or code_of(reply) not in NOT_SERVING):
            raise reply


def _greeting(options: NodeOptions) -> list[Command]:
    """Return the commands that a new connection begins with: none for the default user and database 0.

    :raises OSError: the file with the password cannot be used.
    """
    commands: list[Command] = []
    password = _password_of(options)
    if options.username:
        commands.append(("AUTH", options.username, password))
    elif password:
        commands.append(("AUTH", password))
    if options.client_name:
        commands.append(("CLIENT", "SETNAME", options.client_name))
    if options.database:
        commands.append(("SELECT", options.database))
    return commands


def _password_of(options: NodeOptions) -> str | bytes:
    """Return the password: that of its file, if the options name one, as the file is now.

    :raises OSError: the file cannot be read, or does not hold one line that a password can be.
    """
    path = options.password_file
    if not path:
        return options.password
    try:
        with open(path, "rb") as file:  # noqa: PTH123  # a bounded part of the file
            password = file.read(_PASSWORD_BYTES_MAX + 1).removesuffix(b"\n").removesuffix(b"\r")
    except OSError as error:
        message = f"password_file {path} cannot be read: {error.strerror}"
        raise OSError(message) from error
    if not password or len(password) > _PASSWORD_BYTES_MAX or b"\n" in password:
        message = f"password_file {path} must hold the password in one line of 1 to {_PASSWORD_BYTES_MAX:,} bytes"
        raise OSError(message)
    return password
