"""One connection to a store: each caller gets the reply to its own command, whatever happened to earlier commands."""

import asyncio

from tallykeeper_server.store.nodes.commands import Reply
from tallykeeper_server.store.nodes.connection import Connection
from tests.support.suspension import stopped


async def begun(connection: Connection, *command: str) -> asyncio.Task[Reply]:
    """Return a call that waits for the store's reply, or for its turn."""
    task = asyncio.create_task(connection.call(*command))
    done, _ = await asyncio.wait([task], timeout=0.05)
    assert not done
    return task


async def test_the_reply_to_a_cancelled_call_is_not_given_to_the_next_call(own_store: str) -> None:
    connection = Connection(own_store, timeout_seconds=20.0)
    await connection.call("SET", "key", "value")

    with stopped(own_store):
        cancelled = await begun(connection, "PING")
        cancelled.cancel()
        following = await begun(connection, "GET", "key")

    assert await following == b"value"
    assert cancelled.cancelled()
    await connection.close()
