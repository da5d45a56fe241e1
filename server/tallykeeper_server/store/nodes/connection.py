"""One connection to Redis or Valkey, used by one caller at a time. It reports reliably if a command was not run.

It never sends a command again by itself: only its caller knows which commands may be sent twice.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from hiredis import ProtocolError, ReplyError

from tallykeeper_server.domain.errors import OutcomeUnknownError, StoreUnavailableError
from tallykeeper_server.store.nodes.client_tls import ClientTls
from tallykeeper_server.store.nodes.commands import Argument, Command, Reply, answered, code_of
from tallykeeper_server.store.nodes.node_options import Address
from tallykeeper_server.store.nodes.store_url import node_options
from tallykeeper_server.store.nodes.wire import Wire, open_wire

Locate: TypeAlias = Callable[[], Awaitable[Address]]
"""Returns the address of the primary at this moment."""

_CLOSE_SECONDS: Final = 0.5
"""The longest wait for the other side when a connection is closed."""
_NOT_PRIMARY: Final = frozenset({"MASTERDOWN", "READONLY", "UNBLOCKED"})
"""The codes of a node that was, or has become, a replica."""


class Connection:
    """A connection that is made when it is first needed, and again after it was lost."""

    def __init__(self, url: str, *, timeout_seconds: float, locate: Locate | None = None) -> None:
        """Take a redis://, rediss:// or unix:// URL. ``timeout_seconds`` bounds connecting, and each round trip.

        ``locate`` returns the address to connect to in place of the URL's. It is called for each new connection, and
        the node there must be a primary.

        :raises ValueError: the URL is wrong.
        """
        self._options = node_options(url)
        self._timeout_seconds = timeout_seconds
        self._locate = locate
        self._tls = None if self._options.tls is None else ClientTls(self._options.tls)
        self._lock = asyncio.Lock()
        self._wire: Wire | None = None
        self.users = 0
        """The number of callers that use the connection now, or wait for it."""

    async def call(self, *command: Argument) -> Reply:
        """Send one command and return its reply.

        :raises StoreUnavailableError: the command was not carried out.
        :raises OutcomeUnknownError: the command may have been carried out.
        :raises StoreOutOfMemoryError: the store refused the command because its memory is full.
        :raises ScriptUnknownError: the command named a script that Redis does not have.
        :raises DefectError: Redis refused the command for another reason.
        """
        return answered(await self.pipeline([command]))[0]

    async def pipeline(self, commands: Sequence[Command]) -> list[Reply]:
        """Send commands together and return their replies, a ReplyError in place of each that was refused.

        :raises StoreUnavailableError: no command was carried out.
        :raises OutcomeUnknownError: any command may have been carried out.
        """
        self.users += 1
        try:
            async with self._lock:
                return await self._pipeline(commands)
        finally:
            self.users -= 1

    async def close(self) -> None:
        """Close the connection if it is open, and wait up to half a second until the other side has closed it too."""
        wire = self._wire
        self._hang_up()
        if wire is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await wire.wait_closed()

    async def _pipeline(self, commands: Sequence[Command]) -> list[Reply]:
        try:
            wire = self._wire
            if wire is None or not wire.is_usable:
                wire = await self._connect()
            replies = await self._exchange(wire, commands)
        except BaseException:
            # Also when cancelled: otherwise the next caller would get the reply to this call.
            self._hang_up()
            raise
        if any(isinstance(reply, ReplyError) and code_of(reply) in _NOT_PRIMARY for reply in replies):
            self._hang_up()  # the next caller connects again, and finds the primary in this way
        return replies

    def _hang_up(self) -> None:
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    async def _connect(self) -> Wire:
        """Connect, to a primary if ``locate`` is given.

        :raises StoreUnavailableError: the node cannot be reached, or refuses the login.
        """
        self._hang_up()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                options = self._options
                if self._locate is not None:
                    options = replace(options, address=await self._locate())
                tls = None if self._tls is None else self._tls.context()
                wire = self._wire = await open_wire(options, tls, timeout_seconds=self._timeout_seconds)
                if self._locate is not None:
                    await self._check_role(wire)
                return wire
        except ProtocolError as error:
            message = f"the store does not answer as Redis does ({_brief(error)})"
            raise StoreUnavailableError(message) from error
        except (ReplyError, OSError, ValueError) as error:  # TimeoutError is an OSError
            message = f"the store cannot be reached ({_brief(error)})"
            raise StoreUnavailableError(message) from error

    async def _check_role(self, wire: Wire) -> None:
        """Return if the node is a primary, or does not say: a sentinel may not know yet that it is none any more.

        https://valkey.io/topics/sentinel-clients asks for this.

        :raises StoreUnavailableError: it is a replica.
        """
        (role,) = await wire.exchange([("ROLE",)], timeout_seconds=self._timeout_seconds)
        if isinstance(role, list) and role[0] != b"master":
            message = "the store is failing over: its old primary is a replica now"
            raise StoreUnavailableError(message)

    async def _exchange(self, wire: Wire, commands: Sequence[Command]) -> list[Reply]:
        try:
            return await wire.exchange(commands, timeout_seconds=self._timeout_seconds)
        except ProtocolError as error:
            message = f"the store does not answer as Redis does ({_brief(error)})"
            raise OutcomeUnknownError(message) from error
        except OSError as error:  # which includes TimeoutError
            message = f"the store was lost before it answered ({_brief(error)})"
            raise OutcomeUnknownError(message) from error


class Connections:
    """Several connections. Each call takes the first that is free, or else the one for which the fewest wait."""

    def __init__(self, url: str, *, count: int, timeout_seconds: float, locate: Locate | None = None) -> None:
        """Take the number of connections, and the parameters of Connection."""
        self._connections = [Connection(url, timeout_seconds=timeout_seconds, locate=locate) for _ in range(count)]

    async def call(self, *command: Argument) -> Reply:
        """Send one command and return its reply, as Connection.call does."""
        return await self._free().call(*command)

    async def pipeline(self, commands: Sequence[Command]) -> list[Reply]:
        """Send commands together on one connection and return their replies, as Connection.pipeline does."""
        return await self._free().pipeline(commands)

    @property
    def users(self) -> int:
        """The number of callers that use the connections now, or wait for one."""
        return sum(connection.users for connection in self._connections)

    async def close(self) -> None:
        """Close all of them."""
        await asyncio.gather(*(connection.close() for connection in self._connections))

    def _free(self) -> Connection:
        return min(self._connections, key=lambda connection: connection.users)


async def call_once(url: str, *command: Argument, timeout_seconds: float) -> Reply:
    """Send one command on a connection that is made for it, and return its reply, as Connection.call does."""
    connection = Connection(url, timeout_seconds=timeout_seconds)
    try:
        return await connection.call(*command)
    finally:
        await connection.close()


def _brief(error: BaseException) -> str:
    """Return an error's words, or its name when it has none."""
    return str(error) or type(error).__name__
