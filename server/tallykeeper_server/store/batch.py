"""What a batch of mutations is as a script call: its keys and arguments, and what its reply means.

The head of driver.lua describes both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from tallykeeper_server.domain.mutations import Applied, Failed, Mutation, Outcome, Refused
from tallykeeper_server.store import keys
from tallykeeper_server.store.connection import Argument
from tallykeeper_server.store.level_text import decode_level

_FINGERPRINT_BYTES: Final = 8
_BUCKETS_LOOKED_IN: Final = 3
"""The current bucket and those before it that are searched for a request id. A bucket spans half of the
retention, so that a record is found for the retention at least, and kept for one and a half of it at most."""
_NEIGHBOURS: Final = 1
"""How many buckets more are declared on either side: by as many spans may this machine's clock be off."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long the store remembers: request ids in milliseconds, the ledger in revisions (0: for ever)."""

    request_ms: int
    ledger_revisions: int

    @property
    def bucket_span_ms(self) -> int:
        """How much of Redis's time one request bucket holds."""
        return self.request_ms // (_BUCKETS_LOOKED_IN - 1)

    def buckets(self, now_ms: int) -> range:
        """Return the buckets to declare at a time that may differ somewhat from Redis's."""
        current = now_ms // self.bucket_span_ms
        return range(current - _BUCKETS_LOOKED_IN + 1 - _NEIGHBOURS, current + 1 + _NEIGHBOURS)


def fingerprint(mutation: Mutation) -> bytes:
    """Return 8 bytes that tell another body under the same request id apart.

    The parts are joined by control characters, which none of them can hold.
    """
    names = "\1".join(map(keys.level_suffix, mutation.levels))
    arguments = "\1".join(mutation.arguments)
    body = f"{mutation.operation}\0{names}\0{arguments}\0{mutation.reason}\0{mutation.reference}"
    return blake2b(body.encode(), digest_size=_FINGERPRINT_BYTES).digest()


def script_call(
    mutations: Sequence[Mutation], *, now_ms: int, retention: Retention
) -> tuple[list[Argument], list[Argument]]:
    """Return the KEYS and the ARGV of a batch. ``now_ms`` is about Redis's time, in milliseconds since 1970."""
    buckets = retention.buckets(now_ms)
    namespaces: dict[str, int] = {}
    levels: dict[str, int] = {}
    arguments: list[Argument] = []
    for mutation in mutations:
        places = [levels.setdefault(keys.level(mutation.namespace, name), len(levels) + 1) for name in mutation.levels]
        arguments += (
            namespaces.setdefault(mutation.namespace, len(namespaces) + 1),
            mutation.operation,
            mutation.request_id,
            fingerprint(mutation) if mutation.request_id else b"",
            mutation.reason,
            mutation.reference,
            len(places),
            *places,
            len(mutation.arguments),
            *mutation.arguments,
        )

    script_keys: list[Argument] = []
    for namespace in namespaces:
        script_keys += keys.script_keys(namespace, buckets)
    script_keys += map(keys.revision, namespaces)
    script_keys += levels
    head = (
        len(namespaces),
        len(buckets),
        buckets.start,
        retention.bucket_span_ms,
        _BUCKETS_LOOKED_IN,
        retention.ledger_revisions,
    )
    return script_keys, [*head, *arguments]


def outcome_of(mutation: Mutation, reply: bytes) -> Outcome:
    """Return what the script's reply to one mutation means.

    :raises ValueError: the script did not write it.
    """
    flag, status, revision, rest = reply.decode().split(" ", 3)
    replayed = flag == "1"
    if status == "OK":
        numbers, *levels = rest.split("|")
        commit_time_ms, *extras = map(int, numbers.split(" "))
        return Applied(
            revision=int(revision),
            commit_time_ms=commit_time_ms,
            replayed=replayed,
            levels=tuple(map(decode_level, mutation.levels, levels)),
            extras=tuple(extras),
        )
    _, _, values = rest.partition(" ")
    if status == "FAILED":
        return Failed(values)
    words = values.split()
    return Refused(status, dict(zip(words[::2], words[1::2], strict=True)), replayed)
