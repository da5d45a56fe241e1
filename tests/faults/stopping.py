"""Stores that are stopped in their tracks."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import redis


@contextmanager
def stopped(url: str) -> Iterator[None]:
    """Let the store at a URL answer nothing until the end of the block."""
    with redis.Redis.from_url(url) as connection:
        process_id = int(connection.info("server")["process_id"])
    os.kill(process_id, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process_id, signal.SIGCONT)
