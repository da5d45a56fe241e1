"""``tallykeeper status``: the state of a server and of its namespaces on one page."""

import json
from collections import Counter as Tally
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import click
from google.protobuf.json_format import MessageToDict
from grpc import StatusCode
from grpc_health.v1.health_pb2 import HealthCheckResponse

from tallykeeper.v1.namespace_pb2 import Namespace
from tallykeeper.v1.server_pb2 import GetServerStatusResponse
from tallykeeper_cli.commands.health import status_word
from tallykeeper_cli.terminal.descriptions import durability_word
from tallykeeper_cli.terminal.exit_codes import EXIT_CODES, EXIT_NOT_KEPT, EXIT_REFUSED
from tallykeeper_cli.terminal.server_lines import near_limits, server_lines
from tallykeeper_cli.terminal.session import Session, reads
from tallykeeper_client import PermissionDenied, TallykeeperError

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


@dataclass(frozen=True, slots=True)
class _Server:
    """The server's own account of its state, or the reason why it gives none."""

    status: GetServerStatusResponse | None
    refusal: str = ""

    @property
    def keeps_promises(self) -> bool:
        """True if no promise is known to be broken."""
        return self.status is None or all(promise.kept for promise in self.status.promises)


@click.command(epilog=EXIT_CODES)
@reads
def status(session: Session) -> int:
    """Show the state of the server: its store, the promises that it keeps, the limits that are near, its namespaces.

    It shows the server's version, workers and store, the replicas with their lag, the append-only file, and each
    promise of durability with the reason if it is not kept. A limit is near from 80 % on. It needs the role read in
    all namespaces for this part.

    Then it counts the namespaces that the caller may read, by durability, and adds up their contents. It names the
    damaged namespaces, and those whose ledgers have reached 90 % of the revisions that they keep.

    Exits with 1 if the server does not serve or a namespace is damaged, and with 6 if a promise is not kept.
    """
    health = session.client.check_health(timeout_seconds=session.timeout_seconds)
    server = _ask_server(session)
    serves = health.status == HealthCheckResponse.SERVING
    listed = session.client.iterate_namespaces(page_size=1_000) if serves else ()
    try:
        found = status_of(session.client.target, health.status, listed)
    except TallykeeperError:
        _show_server(session, health.status, server)
        raise
    _show(session, found, server)
    if not found.is_good:
        return EXIT_REFUSED
    return 0 if server.keeps_promises else EXIT_NOT_KEPT


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


def _ask_server(session: Session) -> _Server:
    """Ask the server for its state. A caller without the role, and an older server, get none."""
    try:
        return _Server(session.client.get_server_status())
    except PermissionDenied as error:
        return _Server(None, error.message)
    except TallykeeperError as error:
        if error.code is not StatusCode.UNIMPLEMENTED:
            raise
        return _Server(None, "this server is older than this program, and does not know the call")


def _is_nearly_full(namespace: Namespace) -> bool:
    if namespace.damage or not namespace.ledger_revisions_max:
        return False
    kept = namespace.revision - namespace.oldest_revision + 1
    return kept >= _FULL_SHARE * namespace.ledger_revisions_max


def _show(session: Session, found: Status, server: _Server) -> None:
    if session.output.as_json:
        click.echo(json.dumps({**asdict(found), **_as_json(server)}, ensure_ascii=False))
        return
    _say(session, list(_lines(found, server)))


def _show_server(session: Session, health: int, server: _Server) -> None:
    """Show people what the server says of itself, if the rest cannot be read. It names a store that is lost."""
    if server.status is None or session.output.as_json:
        return
    _say(session, [("target", session.client.target), ("health", status_word(health)), *server_lines(server.status)])


def _say(session: Session, lines: Sequence[tuple[str, str]]) -> None:
    width = max(len(name) for name, _ in lines)
    for name, cell in lines:
        session.output.say(f"{name.ljust(width)}  {cell}".rstrip())


def _lines(found: Status, server: _Server) -> Iterator[tuple[str, str]]:
    """Yield the lines for people: the health first, then the server, then the namespaces."""
    for name, value in asdict(found).items():
        if name == "namespaces":
            yield from (
                [("server", f"not shown: {server.refusal}")] if server.status is None else server_lines(server.status)
            )
        yield name.replace("_", " "), _cell(value)


def _as_json(server: _Server) -> dict[str, Any]:
    """Return the server's state as values for JSON. Numbers of 64 bits are strings, as in protobuf's JSON."""
    if server.status is None:
        return {"server": None, "server_refusal": server.refusal, "promises_kept": None, "limits_near": None}
    state = MessageToDict(server.status, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    near = [
        {"name": use.name, "used": use.used, "limit": use.limit, "fraction": round(use.used / use.limit, 3)}
        for use in near_limits(server.status)
    ]
    return {"server": state, "promises_kept": server.keeps_promises, "limits_near": near}


def _cell(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {count}" for name, count in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return str(value)
