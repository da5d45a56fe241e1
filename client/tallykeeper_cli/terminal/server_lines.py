"""The state of a server for people: one line for each part, with its name."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from tallykeeper.v1.server_pb2 import (
    AppendOnlyFile,
    GetServerStatusResponse,
    LimitUse,
    Promise,
    StoreKind,
    StoreNode,
    StoreStatus,
)
from tallykeeper_cli.terminal.descriptions import durability_word

_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
"""The units of a length of time, in seconds."""
_BYTES_OF_A_UNIT: Final = 1_024

Line = tuple[str, str]
"""A name and its text."""


def server_lines(status: GetServerStatusResponse) -> Iterator[Line]:
    """Describe a server, its store, its promises and the limits that are near."""
    server, store = status.server, status.store
    yield "version", server.version
    yield "uptime", _span(server.uptime.seconds)
    yield "workers", f"{server.worker_count}; number {server.worker} answers, up {_span(server.worker_uptime.seconds)}"
    yield "store", _store(store)
    for node in store.nodes:
        yield from _node_lines(node)
    if store.HasField("request_id_count"):
        yield "request ids", f"{store.request_id_count:,}"
    for promise in status.promises:
        yield "promise", _promise(promise)
    if server.HasField("certificate_expire_time"):
        yield "certificate", _certificate(server.certificate_expire_time.seconds)
    near = near_limits(status)
    yield "limits near", "none" if not near else "; ".join(map(_limit, near))


def near_limits(status: GetServerStatusResponse) -> Sequence[LimitUse]:
    """Return the limits that are near, the nearest first."""
    return sorted((use for use in status.limits if use.near), key=lambda use: -use.used / use.limit)


def _store(store: StoreStatus) -> str:
    kind = StoreKind.Name(store.kind).removeprefix("STORE_KIND_").lower()
    software = " and ".join(sorted({node.software for node in store.nodes if node.software}))
    away = f"AWAY: {store.fault}" if store.fault else software
    return ", ".join(part for part in (kind, store.location, away) if part)


def _node_lines(node: StoreNode) -> Iterator[Line]:
    where = f"{node.address}: " if node.address else ""
    if node.fault:
        yield "primary", f"{where}AWAY: {node.fault}"
        return
    limit = f"of {_bytes(node.memory_bytes_max)}" if node.memory_bytes_max else "without a limit"
    yield "store memory", f"{where}{_bytes(node.memory_bytes)} {limit}"
    yield "append-only file", f"{where}{_append_only(node.append_only_file)}"
    for replica in node.replicas:
        state = "online" if replica.online else "loading"
        lag = f"{_span(replica.lag.seconds)} and {_bytes(replica.lag_bytes)} behind"
        yield "replica", f"{where}{replica.address}, {state}, {lag}"


def _append_only(file: AppendOnlyFile) -> str:
    if not file.enabled:
        return "none"
    faults = [
        *(["THE LAST WRITE FAILED"] if not file.last_write_succeeded else []),
        *(["THE LAST REWRITE FAILED"] if not file.last_rewrite_succeeded else []),
        *([f"{file.delayed_sync_count} slow syncs"] if file.delayed_sync_count else []),
    ]
    return ", ".join([f"sync {file.sync_policy}", _bytes(file.size_bytes), *faults])


def _promise(promise: Promise) -> str:
    names = [*(["by default"] if promise.is_default else []), *promise.namespaces]
    kept = "kept" if promise.kept else f"NOT KEPT: {'; '.join(promise.reasons)}"
    return f"{durability_word(promise.durability)} ({', '.join(names)}): {kept}"


def _certificate(end: int) -> str:
    left = end - round(datetime.now(UTC).timestamp())
    day = datetime.fromtimestamp(end, UTC).date().isoformat()
    return f"valid for {_span(left)}, until {day}" if left > 0 else f"EXPIRED on {day}"


def _limit(use: LimitUse) -> str:
    shown = {"bytes": _bytes, "seconds": _span}.get(use.unit, "{:,}".format)
    return f"{use.name} {100 * use.used // use.limit} % ({shown(use.used)} of {shown(use.limit)})"


def _span(seconds: int) -> str:
    """Describe a length of time by its two largest units, as in ``2 d 3 h``."""
    parts = []
    for size, name in _UNITS:
        count, seconds = divmod(max(0, seconds), size)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2]) or "0 s"


def _bytes(count: int) -> str:
    """Describe a number of bytes, as in ``1.5 GiB``."""
    value, units = float(count), ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= _BYTES_OF_A_UNIT and len(units) > 1:
        value /= _BYTES_OF_A_UNIT
        units.pop(0)
    return f"{count} B" if units[0] == "B" else f"{value:.1f} {units[0]}"
