"""A primary with its replica, each in its own process."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from tallykeeper_server.store.embedded.valkey import find_binary
from tests.support.server import free_ports, store_process, wait_until


@dataclass(frozen=True, slots=True)
class Replicated:
    """The URLs of the primary and the replica."""

    primary: str
    replica: str


@contextmanager
def replicated_store(directory: Path, *options: str) -> Iterator[Replicated]:
    """Run a primary with additional options, and a replica that is in step with it."""
    folders = [directory / name for name in ("primary", "replica")]
    for folder in folders:
        folder.mkdir()
    (port,) = free_ports(1)
    durable = options or ("--appendonly", "yes", "--appendfsync", "always")
    # Without a backlog to wait for, the primary sends the replica its data at once.
    primary_options = (*durable, "--port", str(port), "--repl-diskless-sync-delay", "0")
    with (
        store_process(find_binary(None), folders[0], *primary_options) as primary,
        store_process(find_binary(None), folders[1], "--replicaof", f"127.0.0.1 {port}") as replica,
        redis.Redis.from_url(primary) as connection,
    ):
        connection.set("step", 1)
        connection.delete("step")
        wait_until(lambda: connection.wait(1, 100) == 1, what="the replica is in step")
        yield Replicated(primary, replica)
