"""The time of the store's clock."""

from typing import Any, cast

import redis
from google.protobuf.timestamp_pb2 import Timestamp

from tests.support.server import wait_until


def later(time: Timestamp, milliseconds: int) -> Timestamp:
    """Return the time that is some milliseconds after another."""
    moved = Timestamp()
    moved.FromMilliseconds(time.ToMilliseconds() + milliseconds)
    return moved


def milliseconds_of(store: redis.Redis) -> int:
    """Return the store's time, in milliseconds since 1970."""
    seconds, microseconds = cast("Any", store.time())
    return int(seconds * 1_000 + microseconds // 1_000)


def await_time(store: redis.Redis, time: Timestamp) -> None:
    """Return as soon as the store's clock has reached a time."""
    wait_until(lambda: milliseconds_of(store) >= time.ToMilliseconds(), what="the time comes")
