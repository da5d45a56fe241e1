"""The store on one Redis or Valkey: applies batches with the script and answers queries by pipeline."""

import time
from collections.abc import Callable, Sequence
from hashlib import sha1
from typing import Final, TypeAlias, cast

import structlog
from redis.exceptions import RedisError

import tallykeeper_lua
from tallykeeper_server.domain.errors import DefectError, TallyError
from tallykeeper_server.domain.levels import Level, LevelName
from tallykeeper_server.domain.mutations import Mutation, Outcome
from tallykeeper_server.domain.queries import GetLevels, Query
from tallykeeper_server.store import keys
from tallykeeper_server.store.batch import Retention, outcome_of, script_call
from tallykeeper_server.store.connection import (
    Argument,
    Connection,
    Reply,
    ScriptUnknownError,
    error_of,
)
from tallykeeper_server.store.level_text import decode_level

_NAMESPACES_REMEMBERED_MAX: Final = 100_000
_CLOCK_TRIES: Final = 3

Answer: TypeAlias = list[Level | None] | list[LevelName] | Exception

log = structlog.get_logger()


class RedisStore:
    """Two connections, one for script calls and one for queries, so that queries do not wait for changes."""

    def __init__(
        self,
        url: str,
        *,
        timeout_seconds: float,
        retention: Retention,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """``timeout_seconds`` bounds each round trip; ``wall_clock`` gives seconds since 1970.

        :raises ValueError: the URL is not one.
        """
        self._changes = Connection(url, timeout_seconds=timeout_seconds)
        self._reads = Connection(url, timeout_seconds=timeout_seconds)
        self._retention = retention
        self._wall_clock = wall_clock
        self._clock_offset_ms = 0
        self._source = tallykeeper_lua.source()
        self._sha = sha1(self._source.encode(), usedforsecurity=False).hexdigest()
        self._namespaces: set[str] = set()

    async def apply(self, mutations: Sequence[Mutation]) -> list[Outcome]:
        """Apply mutations in order and in one atomic step; return an outcome for each.

        :raises TallyError: as Connection.call says; the whole batch was applied, or nothing of it.
        """
        replies = await self._replies_to(mutations)
        outcomes = [
            outcome_of(mutation, cast("bytes", reply)) for mutation, reply in zip(mutations, replies, strict=True)
        ]
        await self._note_namespaces(mutations)
        return outcomes

    async def read(self, queries: Sequence[Query]) -> list[Answer]:
        """Answer queries in one round trip; in place of an answer, the error of a query that failed alone.

        :raises TallyError: as Connection.pipeline says.
        """
        replies = await self._reads.pipeline([_command_of(query) for query in queries])
        return [_answer_of(query, reply) for query, reply in zip(queries, replies, strict=True)]

    async def ping(self) -> None:
        """Return if the store serves.

        :raises TallyError: it does not.
        """
        await self._reads.call("PING")

    async def close(self) -> None:
        """Close the connections."""
        await self._changes.close()
        await self._reads.close()

    async def _replies_to(self, mutations: Sequence[Mutation]) -> list[Reply]:
        """Run the script, again if this machine's clock is so wrong that it declared the wrong buckets."""
        for _ in range(_CLOCK_TRIES):
            now_ms = int(self._wall_clock() * 1000) + self._clock_offset_ms
            script_keys, arguments = script_call(mutations, now_ms=now_ms, retention=self._retention)
            redis_time, *replies = await self._run_script(script_keys, arguments)
            if replies:
                return replies
            self._clock_offset_ms += int(cast("bytes", redis_time)) - now_ms
            log.warning("clock differs from the store's", offset_ms=self._clock_offset_ms)
        message = "the script never found its request buckets among the declared keys"
        raise DefectError(message)

    async def _run_script(self, script_keys: list[Argument], arguments: list[Argument]) -> list[Reply]:
        tail = (len(script_keys), *script_keys, *arguments)
        try:
            reply = await self._changes.call("EVALSHA", self._sha, *tail)
        except ScriptUnknownError:
            reply = await self._changes.call("EVAL", self._source, *tail)
        return cast("list[Reply]", reply)

    async def _note_namespaces(self, mutations: Sequence[Mutation]) -> None:
        """Add namespaces that are new to this process to the set of all. It may fail: the next process adds them."""
        new = {mutation.namespace for mutation in mutations} - self._namespaces
        if not new:
            return
        if len(self._namespaces) + len(new) > _NAMESPACES_REMEMBERED_MAX:
            self._namespaces.clear()
        try:
            await self._changes.call("SADD", keys.NAMESPACES, *sorted(new))
        except TallyError as error:
            log.warning("namespaces not listed yet", error=str(error))
        else:
            self._namespaces |= new


def _command_of(query: Query) -> tuple[Argument, ...]:
    if isinstance(query, GetLevels):
        return ("MGET", *(keys.level(query.namespace, name) for name in query.names))
    low, high = keys.listed_range(query)
    return ("ZRANGE", keys.index(query.namespace, query.kind), low, high, "BYLEX", "LIMIT", 0, query.limit)


def _answer_of(query: Query, reply: Reply) -> Answer:
    if isinstance(reply, RedisError):
        return error_of(reply)
    values = cast("list[bytes | None]", reply)
    try:
        if isinstance(query, GetLevels):
            return [
                None if text is None else decode_level(name, text.decode())
                for name, text in zip(query.names, values, strict=True)
            ]
        return [keys.name_of_listed(query.kind, cast("bytes", text)) for text in values]
    except (ValueError, TypeError) as error:
        return DefectError(f"the store holds what the script did not write: {error}")
