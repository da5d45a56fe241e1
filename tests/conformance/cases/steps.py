"""The parts of a case: its steps, and the servers and faults that the harness offers them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

CLIENT: Final = "main"
"""The client of a step that names none."""

EXPECTATIONS: Final = frozenset({"ok", "error", "outcomes"})
_CALL_OPTIONS: Final = frozenset({"client", "timeout_ms", "begin", "eventually", "repeat", "at_once"})
STEPS: Final[Mapping[str, frozenset[str]]] = {
    "connect": frozenset(),
    "call": frozenset({"request"}) | _CALL_OPTIONS | EXPECTATIONS,
    "batch": frozenset({"mode", "client", "ok", "error"}),
    "answer": frozenset({"ok", "error"}),
    "watch": frozenset({"client", "name"}),
    "entries": frozenset({"of"}),
    "levels": frozenset({"of"}),
    "stop": frozenset(),
    "ended": frozenset({"error"}),
    "request_id": frozenset(),
    "close": frozenset(),
    "fault": frozenset({"key", "closed_seconds"}),
}
"""The kinds of steps, each with the options that it may have beside its own key."""

EXPECTING: Final = frozenset({"entries", "levels"})
"""The kinds whose own value is an expectation."""

FAULTS: Final[Mapping[str, str]] = {
    "stop-server": "the server ends by SIGTERM and its port is closed",
    "kill-server": "all processes of the server are killed and its port is closed",
    "start-server": "the server is started again on its port",
    "kill-workers": "the workers are killed, and the supervisor starts others",
    "stop-store": "the store is away",
    "freeze-store": "the store answers nothing",
    "start-store": "the store answers again",
    "expire-key": "an API key expires while the server runs",
    "revoke-grant": "the grants of an identity are taken back while the server runs",
}
SERVERS: Final[Mapping[str, frozenset[str]]] = {
    "plain": frozenset(),
    "tls": frozenset(),
    "mutual-tls": frozenset(),
    "access": frozenset(),
    "short-ledger": frozenset(),
    "restarting": frozenset({"stop-server", "kill-server", "start-server"}),
    "several-workers": frozenset({"kill-workers"}),
    "restarting-tls": frozenset({"stop-server", "kill-server", "start-server"}),
    "store-outside": frozenset({"stop-store", "freeze-store", "start-store", "kill-server", "start-server"}),
    "changing-access": frozenset({"expire-key", "revoke-grant", "stop-server", "start-server"}),
}
"""The kinds of servers, each with the faults that it allows."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its kind, its own value, and its options."""

    kind: str
    value: Any
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """One case."""

    name: str
    about: str
    server: str
    steps: Sequence[Step]

    @property
    def has_fault(self) -> bool:
        """Something fails in the middle of it."""
        return any(step.kind == "fault" for step in self.steps)
