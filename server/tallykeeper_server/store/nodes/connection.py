"""One connection to Redis or Valkey, used by one caller at a time, that says truly what became of a command.

redis-py's own retries are off: it cannot know which commands may be sent twice.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeAlias, cast

import hiredis
from redis import exceptions
from redis.asyncio import connection as redis_connection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from tallykeeper_server.domain.errors import (
    DefectError,
    OutcomeUnknownError,
    StoreOutOfMemoryError,
    StoreUnavailableError,
)
from tallykeeper_server.store.nodes.replies import Replies
from tallykeeper_server.store.nodes.store_url import Address, connection_parameters

Argument: TypeAlias = str | bytes | int
Command: TypeAlias = tuple[Argument, ...]
Reply: TypeAlias = "bytes | int | list[Reply] | RedisError | None"
"""What Redis answers; in a pipeline an error too."""
Locate: TypeAlias = Callable[[], Awaitable[Address]]
"""Says where the primary is now."""

_CLOSE_SECONDS: Final = 0.5
"""How long a connection may take to be closed until it is left to itself."""
_NOT_SERVING: Final = frozenset(
    {"BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "NOAUTH", "NOPERM", "NOREPLICAS"}
    | {"READONLY", "TRYAGAIN", "UNBLOCKED", "WRONGPASS"}
)
"""The codes with which Redis refuses every command for a while, or until someone has seen to it."""
_NOT_PRIMARY: Final = frozenset({"MASTERDOWN", "READONLY", "UNBLOCKED"})
"""The codes of a node that was, or has become, a replica."""
_NOT_SERVING_A_SCRIPT: Final = ("access a non local key", "while the cluster is down")
"""What the node of a cluster says of a command within a script, where it gives TRYAGAIN or CLUSTERDOWN to others: the
slot is being moved, and keys are missing here, or slots are not served."""


class ScriptUnknownError(Exception):
    """Redis does not have the script that was called. Nothing happened."""


class Connection:
    """A connection that is made when it is first needed, and again after it was lost."""

    def __init__(self, url: str, *, timeout_seconds: float, locate: Locate | None = None) -> None:
        """Take a redis://, rediss:// or unix:// URL; ``timeout_seconds`` bounds connecting, and each round trip.

        ``locate`` says where to connect to instead of the URL's host, each time anew: there must be a primary.

        :raises ValueError: the URL is not one.
        """
        parameters = connection_parameters(url)
        connection_class = parameters.pop("connection_class", redis_connection.Connection)
        self._connection: redis_connection.AbstractConnection = connection_class(
            **parameters,
            protocol=2,
            driver_info=None,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=None,
            socket_connect_timeout=timeout_seconds,
        )
        self._timeout_seconds = timeout_seconds
        self._locate = locate
        self._lock = asyncio.Lock()
        self._replies = Replies(exceptions.ResponseError)
        self._transport: asyncio.WriteTransport | None = None
        self.users = 0
        """How many callers use it just now, or wait for it."""

    async def call(self, *command: Argument) -> Reply:
        """Send one command and return its reply.

        :raises StoreUnavailableError: it was not carried out.
        :raises OutcomeUnknownError: it may have been carried out.
        :raises StoreOutOfMemoryError: it was refused for want of memory.
        :raises ScriptUnknownError: it named a script that Redis does not have.
        :raises DefectError: Redis refused it for another reason.
        """
        return answered(await self.pipeline([command]))[0]

    async def pipeline(self, commands: Sequence[Command]) -> list[Reply]:
        """Send commands together and return their replies, an error in place of each that was refused.

        :raises StoreUnavailableError: none was carried out.
        :raises OutcomeUnknownError: any may have been carried out.
        """
        self.users += 1
        try:
            async with self._lock:
                return await self._pipeline(commands)
        finally:
            self.users -= 1

    async def close(self) -> None:
        """Close the connection, if there is one, and wait a moment until it is: TLS takes leave of the other side."""
        is_open = self._transport is not None
        await self._hang_up()
        if is_open:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await self._replies.ended.wait()

    async def _pipeline(self, commands: Sequence[Command]) -> list[Reply]:
        try:
            if not self._is_usable():
                await self._connect()
            replies = await self._exchange(commands)
        except BaseException:
            # Also when cancelled: a reply that is still on its way would be taken for the next caller's.
            await self._hang_up()
            raise
        if any(isinstance(reply, RedisError) and code_of(reply) in _NOT_PRIMARY for reply in replies):
            await self._hang_up()  # where the primary is now is found out when the next caller connects
        return replies

    async def _hang_up(self) -> None:
        self._transport = None
        await self._connection.disconnect(nowait=True)

    async def _connect(self) -> None:
        """Connect, to a primary.

        :raises StoreUnavailableError: it cannot be reached.
        """
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await self._connection.disconnect(nowait=True)
                if self._locate is not None:
                    located = cast("redis_connection.Connection", self._connection)
                    located.host, located.port = await self._locate()
                await self._connection.connect()  # type: ignore[no-untyped-call]  # redis-py gives it no types
                self._take_over()
                if self._locate is not None:
                    await self._check_role()
        except (RedisError, TimeoutError, OSError) as error:
            message = f"the store cannot be reached ({_brief(error)})"
            raise StoreUnavailableError(message) from error

    def _take_over(self) -> None:
        """Send and read from now on without redis-py, which has connected and closes in the end."""
        connection: Any = self._connection
        self._replies = Replies(connection._parser.parse_error)  # noqa: SLF001  # it knows the errors by their codes
        self._transport = cast("asyncio.WriteTransport", connection._writer.transport)  # noqa: SLF001  # no other way
        self._transport.set_protocol(self._replies)

    def _is_usable(self) -> bool:
        """Tell whether there is a connection that neither side has ended, with nothing on it that is left over."""
        return self._transport is not None and not self._transport.is_closing() and self._replies.are_clean

    async def _check_role(self) -> None:
        """Return if this is a primary, or does not say: who told where it is may not have heard yet that it is not.

        https://valkey.io/topics/sentinel-clients asks for this.

        :raises StoreUnavailableError: it is a replica.
        """
        (role,) = await self._send([("ROLE",)])
        if isinstance(role, list) and role[0] != b"master":
            message = "the store is being failed over: what was its primary is a replica now"
            raise StoreUnavailableError(message)

    async def _exchange(self, commands: Sequence[Command]) -> list[Reply]:
        try:
            return await self._send(commands)
        except exceptions.InvalidResponse as error:
            message = f"the store does not answer as Redis does ({_brief(error)})"
            raise OutcomeUnknownError(message) from error
        except OSError as error:  # TimeoutError is one
            message = f"the store was lost before it answered ({_brief(error)})"
            raise OutcomeUnknownError(message) from error

    async def _send(self, commands: Sequence[Command]) -> list[Reply]:
        """Send commands and return their replies, as Replies.next does."""
        packed = [hiredis.pack_command(cast("tuple[Any]", command)) for command in commands]
        cast("asyncio.WriteTransport", self._transport).writelines(packed)
        return cast("list[Reply]", await self._replies.next(len(packed), timeout_seconds=self._timeout_seconds))


class Connections:
    """Some connections; each call takes the first that is free, or else the one for which the fewest wait."""

    def __init__(self, url: str, *, count: int, timeout_seconds: float, locate: Locate | None = None) -> None:
        """As Connection's."""
        self._connections = [Connection(url, timeout_seconds=timeout_seconds, locate=locate) for _ in range(count)]

    async def call(self, *command: Argument) -> Reply:
        """Send one command and return its reply, as Connection.call does."""
        return await self._free().call(*command)

    async def pipeline(self, commands: Sequence[Command]) -> list[Reply]:
        """Send commands together on one connection and return their replies, as Connection.pipeline does."""
        return await self._free().pipeline(commands)

    @property
    def users(self) -> int:
        """How many callers use them just now, or wait for one."""
        return sum(connection.users for connection in self._connections)

    async def close(self) -> None:
        """Close all of them."""
        await asyncio.gather(*(connection.close() for connection in self._connections))

    def _free(self) -> Connection:
        return min(self._connections, key=lambda connection: connection.users)


def answered(replies: list[Reply]) -> list[Reply]:
    """Return the replies of a pipeline whose first command was carried out.

    :raises StoreUnavailableError: it was refused, as Connection.call says of each error.
    """
    first = replies[0]
    if isinstance(first, RedisError):
        raise error_of(first) from first
    return replies


def error_of(error: RedisError) -> Exception:
    """Return what a refusal by Redis means. No command that it refuses has been carried out."""
    if isinstance(error, exceptions.NoScriptError):
        return ScriptUnknownError()
    if isinstance(error, exceptions.OutOfMemoryError):
        return StoreOutOfMemoryError("the store has no memory left for changes; raise its maxmemory")
    if code_of(error) in _NOT_SERVING or any(words in str(error) for words in _NOT_SERVING_A_SCRIPT):
        return StoreUnavailableError(f"the store does not serve ({_brief(error)})")
    return DefectError(f"the store refused a command: {error}")


def code_of(error: RedisError) -> str:
    """Return the word with which Redis begins a refusal."""
    return str(getattr(error, "status_code", None) or str(error).partition(" ")[0])


def _brief(error: BaseException) -> str:
    """Return an error's words, or its name when it has none."""
    return str(error) or type(error).__name__
