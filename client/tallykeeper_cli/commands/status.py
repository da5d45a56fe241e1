"""``tallykeeper status``: the state of a server and of its namespaces on one page."""

import json
from collections import Counter as Tally
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Final

import click
from grpc_health.v1.health_pb2 import HealthCheckResponse

from tallykeeper.v1.namespace_pb2 import Namespace
from tallykeeper_cli.commands.health import status_word
from tallykeeper_cli.terminal.descriptions import durability_word
from tallykeeper_cli.terminal.exit_codes import EXIT_CODES, EXIT_REFUSED
from tallykeeper_cli.terminal.session import Session, reads

_FULL_SHARE: Final = 0.9
"""The share of its limit at which a ledger counts as nearly full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The state of a server, as its health service and its namespaces show it."""

    target: str
    health: str
    namespaces: int
    durability: dict[str, int]
    """The number of namespaces at each level."""
    stock_levels: int
    counters: int
    active_reservations: int
    damaged_namespaces: list[str]
    ledgers_nearly_full: list[str]
    """The namespaces whose ledgers drop their oldest revisions, or soon will."""

    @property
    def is_good(self) -> bool:
        """True if the server serves and no namespace is damaged."""
        return self.health == "serving" and not self.damaged_namespaces


@click.command(epilog=EXIT_CODES)
@reads
def status(session: Session) -> int:
    """Show whether the server serves, and what its namespaces hold.

    It counts the namespaces that the caller may read, by durability, and adds up their contents. It names the damaged
    namespaces, and those whose ledgers have reached 90 % of the revisions that they keep. Exits with 1 if the server
    does not serve or a namespace is damaged.
    """
    health = session.client.check_health(timeout_seconds=session.timeout_seconds)
    if health.status != HealthCheckResponse.SERVING:
        _show(session, status_of(session.client.target, health.status, []))
        return EXIT_REFUSED
    found = status_of(session.client.target, health.status, session.client.iterate_namespaces(page_size=1_000))
    _show(session, found)
    return 0 if found.is_good else EXIT_REFUSED


def status_of(target: str, health: int, namespaces: Iterable[Namespace]) -> Status:
    """Return the state of a server with this health and these namespaces."""
    found = list(namespaces)
    return Status(
        target=target,
        health=status_word(health),
        namespaces=len(found),
        durability=dict(sorted(Tally(durability_word(each.durability) for each in found).items())),
        stock_levels=sum(each.stock_level_count for each in found),
        counters=sum(each.counter_count for each in found),
        active_reservations=sum(each.active_reservation_count for each in found),
        damaged_namespaces=[each.namespace for each in found if each.damage],
        ledgers_nearly_full=[each.namespace for each in found if _is_nearly_full(each)],
    )


def _is_nearly_full(namespace: Namespace) -> bool:
    if namespace.damage or not namespace.ledger_revisions_max:
        return False
    kept = namespace.revision - namespace.oldest_revision + 1
    return kept >= _FULL_SHARE * namespace.ledger_revisions_max


def _show(session: Session, found: Status) -> None:
    if session.output.as_json:
        click.echo(json.dumps(asdict(found), ensure_ascii=False))
        return
    lines = {name.replace("_", " "): _cell(value) for name, value in asdict(found).items()}
    width = max(map(len, lines))
    for name, cell in lines.items():
        session.output.say(f"{name.ljust(width)}  {cell}".rstrip())


def _cell(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {count}" for name, count in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return str(value)
