"""The buckets of request records: each holds those of a span of Redis's time, and expires whole."""

from typing import Final

from tallykeeper_server.domain.retention import Retention

BUCKETS_LOOKED_IN: Final = 3
"""The current bucket and those before it that are searched for a request id. A bucket spans half of the
retention, so that a record is found for the retention at least, and kept for one and a half of it at most."""
_NEIGHBOURS: Final = 1
"""How many buckets more are declared on either side: by as many spans may this machine's clock be off."""


def bucket_span_ms(retention: Retention) -> int:
    """Return how much of Redis's time one bucket holds."""
    return retention.request_ms // (BUCKETS_LOOKED_IN - 1)


def buckets_at(now_ms: int, retention: Retention) -> range:
    """Return the buckets to declare at a time that may differ somewhat from Redis's."""
    current = now_ms // bucket_span_ms(retention)
    return range(current - BUCKETS_LOOKED_IN + 1 - _NEIGHBOURS, current + 1 + _NEIGHBOURS)
