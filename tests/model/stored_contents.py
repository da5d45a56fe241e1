"""The contents of a namespace in the store, for the comparison with the model."""

from typing import cast

import redis

from tests.model.model import Model
from tests.support.clock import milliseconds_of


class Stored:
    """The keys of one namespace, as docs/design.md describes them."""

    def __init__(self, raw_store: redis.Redis, namespace: str) -> None:
        self._raw_store = raw_store
        self._prefix = f"tk:{{{namespace}}}:"

    def time_ms(self) -> int:
        """Return the store's time, in milliseconds since 1970."""
        return milliseconds_of(self._raw_store)

    def levels(self) -> dict[str, str]:
        """Return every level by its name."""
        return self._values("counter:*") | self._values("stock:*")

    def revision(self) -> int:
        """Return the last revision, or 0 if there is none."""
        return int(self._values("revision").get("revision", 0))

    def compare_indexes(self, model: Model, *, expired: set[str]) -> None:
        """Compare the names in the indexes. Expired counters may stay in them for a while."""
        assert self._scores("index:stock").keys() == {f"{level.item}\0{level.location}" for level in model.stock()}
        counters = {counter.counter: counter for counter in model.counters()}
        gone = expired - counters.keys()
        assert self._scores("index:counter").keys() - gone == counters.keys()
        expiries = {name: score for name, score in self._scores("expiry:counter").items() if name not in gone}
        assert expiries == {
            name: counter.expire_time.ToMilliseconds()
            for name, counter in counters.items()
            if counter.HasField("expire_time")
        }

    def _scores(self, index: str) -> dict[str, float]:
        pairs = cast("list[tuple[bytes, float]]", self._raw_store.zrange(self._prefix + index, 0, -1, withscores=True))
        return {name.decode(): score for name, score in pairs}

    def _values(self, pattern: str) -> dict[str, str]:
        keys = cast("list[bytes]", self._raw_store.keys(self._prefix + pattern))
        values = cast("list[bytes]", self._raw_store.mget(keys)) if keys else []
        return {
            key.decode().removeprefix(self._prefix): value.decode() for key, value in zip(keys, values, strict=True)
        }
