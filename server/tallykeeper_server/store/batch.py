"""What a batch of bundles is as a script call: its keys and arguments, and what its reply means.

The head of driver_1_prefetch.lua describes both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

import msgpack

from tallykeeper_server.domain.levels import Level, ReservationName
from tallykeeper_server.domain.mutations import Applied, Bundle, Failed, Mutation, NotApplied, Outcome, Refused
from tallykeeper_server.domain.retention import Retention
from tallykeeper_server.store import keys
from tallykeeper_server.store.buckets import BUCKETS_LOOKED_IN, bucket_span_ms, buckets_at
from tallykeeper_server.store.connection import Argument
from tallykeeper_server.store.level_text import decode_level

OUTCOMES_JOINED_BY: Final = "\x1e"
LEVELS_JOINED_BY: Final = "\n"
NOTE: Final = "#"
"""What stands before the number of operations of the whole batch, behind the outcomes of a part of it."""
REPLAYED: Final = "* "
"""What stands before the outcomes of a bundle that came before."""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A bundle that the script undid: something must be done before it can be run."""

    due: bool
    """Reservations whose time is up are in its way; else what a reservation holds was not declared."""


def script_call(
    bundles: Sequence[Bundle], *, now_ms: int, retention: Retention, final: bool, touches: bool
) -> tuple[list[Argument], list[Argument]]:
    """Return the KEYS and the ARGV of a batch. ``now_ms`` is about Redis's time, in milliseconds since 1970."""
    buckets = buckets_at(now_ms, retention)
    namespaces: dict[str, int] = {}
    levels: dict[str, int] = {}
    heads: list[Argument] = []
    bodies: list[Argument] = []
    for bundle in bundles:
        heads += (
            namespaces.setdefault(bundle.namespace, len(namespaces) + 1),
            keys.request_record(bundle),
            bundle.fingerprint,
            f"{OUTCOMES_JOINED_BY}{NOTE}{bundle.total}" if bundle.total else "",
            int(bundle.atomic),
            bundle.identity,
            len(bundle.mutations),
        )
        prefix = keys.prefix(bundle.namespace)
        for operation, names, values, reason, reference, _ in bundle.mutations:
            bodies += (operation, reason, reference, len(names))
            for name in names:
                bodies.append(levels.setdefault(prefix + keys.level_suffix(name), len(levels) + 1))
            bodies.append(len(values))
            bodies += values

    script_keys: list[Argument] = []
    for namespace in namespaces:
        script_keys += keys.script_keys(namespace, buckets)
    script_keys += map(keys.revision, namespaces)
    script_keys += levels
    head = (
        len(namespaces),
        len(buckets),
        buckets.start,
        bucket_span_ms(retention),
        BUCKETS_LOOKED_IN,
        retention.ledger_revisions,
        retention.reservation_lifetime_ms,
        retention.reservation_ms,
        int(final),
        int(touches),
    )
    return script_keys, [*head, _packed(heads), _packed(bodies)]


def _packed(values: list[Argument]) -> bytes:
    """Pack values as the script's cmsgpack unpacks them, which knows one type for texts and bytes."""
    return cast("bytes", msgpack.packb(values, use_bin_type=False))


def outcomes_of(bundle: Bundle, reply: bytes) -> list[Outcome] | Interrupted:
    """Return what the script's reply to one bundle means.

    :raises ValueError: the script did not write it.
    """
    text = reply.decode()
    replayed = text.startswith(REPLAYED)
    outcomes = text.removeprefix(REPLAYED).split(OUTCOMES_JOINED_BY)
    if bundle.total and outcomes[-1].startswith(NOTE):
        del outcomes[-1]
    if not outcomes[0].startswith("OK "):
        status = outcomes[0].partition(" ")[0]
        if status in {"DUE", "READ_AGAIN"}:
            return Interrupted(due=status == "DUE")
        if status in {"FAILED", "REQUEST_ID_REUSED"}:
            outcomes = outcomes[:1] * len(bundle.mutations)
    return [
        _applied(mutation, outcome, replayed) if outcome.startswith("OK ") else _undone(outcome, replayed)
        for mutation, outcome in zip(bundle.mutations, outcomes, strict=True)
    ]


def _applied(mutation: Mutation, text: str, replayed: bool) -> Applied:  # noqa: FBT001  # called for each change
    head, _, levels = text.partition(LEVELS_JOINED_BY)
    _, revision, time_ms, *values = head.split(" ")
    extras = (int(values[0]),) if values else ()
    return Applied(int(revision), int(time_ms), replayed, _levels_of(mutation, levels), extras)


def _undone(text: str, replayed: bool) -> Outcome:  # noqa: FBT001  # as above
    status, _, time_ms, *values = text.split(" ")
    if status == "FAILED":
        return Failed(text)
    if status == "NOT_APPLIED":
        return NotApplied(int(time_ms), replayed)
    lines = _lines_of(values)
    return Refused(status, int(time_ms), replayed, lines[0], tuple(line for line in lines if "line" in line))


def _levels_of(mutation: Mutation, text: str) -> tuple[Level, ...]:
    name = mutation.levels[0]
    if len(mutation.levels) == 1 or isinstance(name, ReservationName):
        return (decode_level(name, text.partition(LEVELS_JOINED_BY)[0]),)
    return tuple(map(decode_level, mutation.levels, text.split(LEVELS_JOINED_BY)))


def _lines_of(words: list[str]) -> list[dict[str, str]]:
    """Return the facts of a refusal: of each line those that begin with its ``line``, or all of them in one."""
    lines: list[dict[str, str]] = [{}]
    for name, value in zip(words[::2], words[1::2], strict=True):
        if name == "line" and lines[-1]:
            lines.append({})
        lines[-1][name] = value
    return lines
