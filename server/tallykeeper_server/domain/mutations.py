"""Changes, each all or nothing, and their outcomes."""

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
    """Whether the mutation ends the reservation that is its first level, and so also changes the levels that the
    reservation holds. The store finds those levels."""


class Bundle(NamedTuple):
    """The mutations that go to the script under one request id: that of one call, or several of one batch."""

    namespace: str
    mutations: tuple[Mutation, ...]
    request_id: str = ""
    """The request id; empty when the caller gave none: then a repeat is another change."""
    atomic: bool = False
    """True if all mutations or none are applied."""
    identity: str = ""
    """The caller who makes the change; empty when the server does not know the caller."""
    fingerprint: bytes = b""
    """The fingerprint of the body, by which another body under the same request id is refused; empty without a request
    id."""
    part: int = 0
    """The index of this part of its batch, 0 for the first."""
    total: int = 0
    """The mutations of the whole batch; 0 if it is no batch."""


def parts_of(total: int) -> int:
    """Return the number of bundles of an independent batch of ``total`` mutations; 1 for 0, which is no batch."""
    return -(-total // BATCH_PART_OPERATIONS) or 1


def fingerprint_of(mutations: Sequence[Mutation], *, batch: str = "") -> bytes:
    """Return 8 bytes that differ for another body under the same request id. ``batch`` names the kind of a batch.

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
    """The levels after the mutation, in its own order; a level that it deleted is as it was before. Of a reservation
    and the levels that it holds, the reservation alone."""
    extra: int = 0
    """A number that the operation returns in addition to the levels: the copies that were taken."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A mutation that the script refused, now or, if ``replayed``, when its request id first came."""

    reason: str
    commit_time_ms: int
    replayed: bool
    facts: dict[str, str]
    """The values that belong to the reason, those of its first line if it has several."""
    lines: tuple[dict[str, str], ...] = ()
    """The values of each line that the reason concerns, with its index among the levels under ``line``, from 1."""


@dataclass(frozen=True, slots=True)
class NotApplied:
    """A mutation that changed nothing because another mutation of its atomic bundle was refused."""

    commit_time_ms: int
    replayed: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """A bundle in which an operation raised an error: a defect, and nothing changed."""

    error: str


Outcome = Applied | Refused | NotApplied | Failed
