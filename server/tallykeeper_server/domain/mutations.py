"""One change, all or nothing, and what becomes of it."""

from dataclasses import dataclass

from tallykeeper_server.domain.levels import Level, LevelName


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """One change as the script takes it. Every text has been checked: none holds a control character."""

    namespace: str
    operation: str
    """The name of the Lua operation, such as ``stock_decrement``."""
    levels: tuple[LevelName, ...]
    arguments: tuple[str, ...] = ()
    request_id: str = ""
    """Empty when the caller gave none: then a repeat is another change."""
    reason: str = ""
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Applied:
    """A mutation that was applied, now or, if ``replayed``, when its request id first came."""

    revision: int
    commit_time_ms: int
    replayed: bool
    levels: tuple[Level, ...]
    """The levels as the mutation left them, in its own order; one that it deleted, as it was before."""
    extras: tuple[int, ...]
    """What the operation gives besides the levels, such as the copies taken."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A mutation that the script refused, now or, if ``replayed``, when its request id first came."""

    reason: str
    facts: dict[str, str]
    replayed: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """A mutation whose operation raised an error: a defect, and nothing changed."""

    error: str


Outcome = Applied | Refused | Failed
