"""The keys and arguments of a script call, and the meaning of its reply: driver/prefetch.lua describes both."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import msgpack

from tallykeeper_server.domain.durability import Retention
from tallykeeper_server.domain.levels import Level, LevelName, ReservationName
from tallykeeper_server.domain.mutations import Applied, Bundle, Failed, NotApplied, Outcome, Refused, parts_of
from tallykeeper_server.store import keys
from tallykeeper_server.store.agreed_clock import ScriptTimes
from tallykeeper_server.store.nodes.commands import Argument
from tallykeeper_server.store.stored_text import decode_level

OUTCOMES_JOINED_BY: Final = "\x1e"
LEVELS_JOINED_BY: Final = "\n"
NOTE: Final = "#"
"""The mark before the number of operations of the whole batch, after the outcomes of a part of it."""
APPLIED: Final = "OK "
_WORDS_MIN: Final = 3
"""The words of an outcome of this kind before its first level, without an extra."""
_SPAN_PER_MILLE: Final = 501
"""The share of the retention for which a request bucket is current. A record outlives two of these spans, which are a
little longer than the retention, because the clocks by which they are counted may be fast by 0.2 %."""
REPLAYED: Final = "* "
"""The mark before the outcomes of a bundle that was applied or refused before."""
_PACKER: Final = msgpack.Packer(use_bin_type=False)
"""Packs values as the script's cmsgpack unpacks them, which knows one type for texts and bytes. All calls share one
packer, because each packer has a buffer of 256 KiB: making it takes longer than packing one call."""

_ARRAY_HEAD_BYTES: Final = 1
"""The length of the head that MessagePack writes before an array of at most 15 values. Without the head, the values
follow one another, and the script gets them without a table."""


@dataclass(frozen=True, slots=True)
class MustRetry:
    """A bundle that the script undid. ``due`` says what must be done before it can be applied."""

    due: bool
    """True if reservations whose time is up must be expired first; false if what a reservation holds was not declared.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTerms:
    """The parameters of a script call that do not depend on its bundles."""

    home: str
    """The home of the call's namespaces: see ``keys.namespaces``."""
    times: ScriptTimes
    retention: Retention
    final: bool = True
    """Whether reservations whose time is up count as held."""
    touches: bool = False
    """Whether a namespace that gets only repeats is written too, so that the wait that follows covers it."""


def script_call(bundles: Sequence[Bundle], terms: CallTerms) -> tuple[list[Argument], list[Argument]]:
    """Return the KEYS and the ARGV of a batch."""
    namespaces: dict[str, int] = {}
    levels: dict[str, int] = {}
    heads: list[Argument] = []
    bodies: list[Argument] = []
    level_suffix, level_index = keys.level_suffix, levels.setdefault
    for namespace, mutations, request_id, atomic, identity, fingerprint, part, total in bundles:
        heads += (
            namespaces.setdefault(namespace, len(namespaces) + 1),
            keys.request_record(request_id, part),
            fingerprint,
            f"{OUTCOMES_JOINED_BY}{NOTE}{total}" if total else "",
            int(atomic),
            identity,
            1 if atomic else parts_of(total),
            len(mutations),
        )
        prefix = keys.prefix(namespace)
        for operation, names, values, reason, reference, _ in mutations:
            if len(names) == 1:
                index = level_index(prefix + level_suffix(names[0]), len(levels) + 1)
                bodies += (operation, reason, reference, 1, index, len(values), *values)
            else:
                indexes = [level_index(prefix + level_suffix(name), len(levels) + 1) for name in names]
                bodies += (operation, reason, reference, len(names), *indexes, len(values), *values)

    return _keys_of(terms.home, namespaces, levels), _arguments_of(terms, tidies=False, heads=heads, bodies=bodies)


def tidy_call(namespace: str, names: Sequence[LevelName], terms: CallTerms) -> tuple[list[Argument], list[Argument]]:
    """Return the KEYS and the ARGV of a call that forgets levels and request records whose time is up."""
    levels = [keys.level(namespace, name) for name in names]
    return _keys_of(terms.home, [namespace], levels), _arguments_of(terms, tidies=True, heads=[], bodies=[])


def _keys_of(home: str, namespaces: Iterable[str], levels: Iterable[str]) -> list[Argument]:
    script_keys: list[Argument] = [keys.namespaces(home), keys.agenda(home), keys.open_reservations(home)]
    for namespace in namespaces:
        script_keys += keys.script_keys(namespace)
    for namespace in namespaces:
        script_keys += (keys.revision(namespace), keys.clock(namespace))
    script_keys += levels
    return script_keys


def _arguments_of(terms: CallTerms, *, tidies: bool, heads: list[Argument], bodies: list[Argument]) -> list[Argument]:
    times, retention = terms.times, terms.retention
    arguments = (
        times.wall,
        times.namespaces,
        retention.request_ms * _SPAN_PER_MILLE // 1_000,
        retention.ledger_revisions,
        retention.reservation_lifetime_ms,
        retention.reservation_ms,
        int(terms.final),
        int(terms.touches),
        int(tidies),
        heads,
        bodies,
    )
    return [_PACKER.pack(arguments)[_ARRAY_HEAD_BYTES:]]


def outcomes_of(bundle: Bundle, reply: bytes) -> list[Outcome] | MustRetry:
    """Return the outcomes in the script's reply to one bundle.

    :raises ValueError: the script did not write the reply.
    """
    text = reply.decode()
    if text.startswith(APPLIED) and not bundle.total:  # the usual case: one change, made now
        return [_applied(bundle.mutations[0].levels, text, False)]  # noqa: FBT003  # not replayed
    replayed = text.startswith(REPLAYED)
    if replayed:
        text = text.removeprefix(REPLAYED)
    outcomes = text.split(OUTCOMES_JOINED_BY)
    if bundle.total and outcomes[-1].startswith(NOTE):
        del outcomes[-1]
    if not outcomes[0].startswith(APPLIED):
        status = outcomes[0].partition(" ")[0]
        if status in {"DUE", "READ_AGAIN"}:
            return MustRetry(due=status == "DUE")
        if status in {"FAILED", "REQUEST_ID_REUSED"}:
            outcomes = outcomes[:1] * len(bundle.mutations)
    return [
        _applied(mutation.levels, outcome, replayed) if outcome.startswith(APPLIED) else _undone(outcome, replayed)
        for mutation, outcome in zip(bundle.mutations, outcomes, strict=True)
    ]


def _applied(names: tuple[LevelName, ...], text: str, replayed: bool) -> Applied:  # noqa: FBT001  # called for each change
    head, _, after = text.partition(LEVELS_JOINED_BY)
    words = head.split(" ")
    name = names[0]
    levels: tuple[Level, ...]
    if len(names) == 1 or isinstance(name, ReservationName):
        levels = (decode_level(name, after),)
    else:
        levels = tuple(map(decode_level, names, after.split(LEVELS_JOINED_BY)))
    extra = int(words[3]) if len(words) > _WORDS_MIN else 0
    # A NamedTuple's own constructor takes twice as long.
    return tuple.__new__(Applied, (int(words[1]), int(words[2]), replayed, levels, extra))


def _undone(text: str, replayed: bool) -> Outcome:  # noqa: FBT001  # a field of the outcome
    status, _, time_ms, *values = text.split(" ")
    if status == "FAILED":
        return Failed(text)
    if status == "NOT_APPLIED":
        return NotApplied(int(time_ms), replayed)
    lines = _lines_of(values)
    return Refused(status, int(time_ms), replayed, lines[0], tuple(line for line in lines if "line" in line))


def _lines_of(words: list[str]) -> list[dict[str, str]]:
    """Return the facts of a refusal: one dictionary for each ``line``, or one for all facts if there are no lines."""
    lines: list[dict[str, str]] = [{}]
    for name, value in zip(words[::2], words[1::2], strict=True):
        if name == "line" and lines[-1]:
            lines.append({})
        lines[-1][name] = value
    return lines
