"""Changes, each all or nothing, and what becomes of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, NamedTuple

from tallykeeper_server.domain.levels import Level, LevelName
from tallykeeper_server.domain.limits import BATCH_PART_OPERATIONS

FINGERPRINT_BYTES: Final = 8
_joined: Final = "\1".join


class Mutation(NamedTuple):
    """One change as the script takes it. Every text has been checked: none holds a control character."""

    operation: str
    """The name of the Lua operation, such as ``stock_decrement``."""
    levels: tuple[LevelName, ...]
    arguments: tuple[int | str, ...] = ()
    reason: str = ""
    reference: str = ""
    resolves: bool = False
    """It ends the reservation that is its first level, and so also changes the levels that this holds. The store finds
    out which they are."""


class Bundle(NamedTuple):
    """What goes to the script under one request id: the mutation of one call, or several of one batch."""

    namespace: str
    mutations: tuple[Mutation, ...]
    request_id: str = ""
    """Empty when the caller gave none: then a repeat is another change."""
    atomic: bool = False
    """All mutations are applied or none."""
    identity: str = ""
    """Who makes the change; empty when the server does not know."""
    fingerprint: bytes = b""
    """What tells another body under the same request id apart; empty when there is no request id."""
    part: int = 0
    """Which part of its batch it is, 0 for the first."""
    total: int = 0
    """How many mutations its batch has in all; 0 if it is no batch."""


def parts_of(total: int) -> int:
    """Return the number of bundles of an independent batch of ``total`` mutations; 1 for 0, which is no batch."""
    return -(-total // BATCH_PART_OPERATIONS) or 1


def fingerprint_of(mutations: Sequence[Mutation], *, batch: str = "") -> bytes:
    """Return 8 bytes that tell another body under the same request id apart. ``batch`` says of which kind a batch is.

    The parts are joined by control characters, which none of them can hold.
    """
    bodies = [
        f"{operation}\0{levels[0].text if len(levels) == 1 else _joined(name.text for name in levels)}\0"
        f"{_joined(map(str, arguments))}\0{reason}\0{reference}\2"
        for operation, levels, arguments, reason, reference, _ in mutations
    ]
    return blake2b(("".join(bodies) + batch).encode(), digest_size=FINGERPRINT_BYTES).digest()


class Applied(NamedTuple):
    """A mutation that was applied, now or, if ``replayed``, when its request id first came."""

    revision: int
    commit_time_ms: int
    replayed: bool
    levels: tuple[Level, ...]
    """The levels as the mutation left them, in its own order; one that it deleted, as it was before. Of a reservation
    and what it holds, the reservation alone."""
    extra: int = 0
    """What the operation gives besides the levels: how many copies were taken."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A mutation that the script refused, now or, if ``replayed``, when its request id first came."""

    reason: str
    commit_time_ms: int
    replayed: bool
    facts: dict[str, str]
    """The values that belong to the reason, of its first line if it has several."""
    lines: tuple[dict[str, str], ...] = ()
    """The same for each line that the reason concerns, with its place among the levels under ``line``, 1 .."""


@dataclass(frozen=True, slots=True)
class NotApplied:
    """A mutation that changed nothing because another one of its atomic bundle was refused."""

    commit_time_ms: int
    replayed: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """A bundle in which an operation raised an error: a defect, and nothing changed."""

    error: str


Outcome = Applied | Refused | NotApplied | Failed
