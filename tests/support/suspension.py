"""Stores whose process is suspended."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import redis


@contextmanager
def stopped(url: str) -> Iterator[None]:
    """Stop the process of the store at a URL until the end of the block, so that it answers nothing."""
    with redis.Redis.from_url(url) as connection:
        process_id = int(connection.info("server")["process_id"])
    os.kill(process_id, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process_id, signal.SIGCONT)
