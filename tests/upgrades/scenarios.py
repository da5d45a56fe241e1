"""The scenarios: versions that take turns on one data directory, or share one store, and data of a future format."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Final

import click

from tallykeeper_client import Client, TallykeeperError
from tests.support.server import PATIENCE_SECONDS, free_ports, store_process, wait_until
from tests.upgrades.judge import LedgerEntry, faults
from tests.upgrades.load import NAMESPACE, Acknowledged, Load
from tests.upgrades.versions import RunningServer, Version

_CHANGES_OF_A_TURN: Final = 400
"""The changes that are acknowledged before the next version has its turn."""
_REPEATED: Final = 60
"""The number of acknowledged changes that are sent again after each turn."""
_TURNS: Final = 4
_FUTURE_FORMAT: Final = 99


def take_turns(old: Version, new: Version, folder: Path) -> Iterator[str]:
    """Let the old and the new version serve from one data directory in turn, under load. Yield each fault."""
    data_dir, (port,) = folder / "data", free_ports(1)
    arguments = ("--data-dir", str(data_dir), "--listen", f"127.0.0.1:{port}")
    load = Load([f"127.0.0.1:{port}"])
    yield from _serve_in_turn([old, new] * (_TURNS // 2), load, arguments)
    yield from refuse_the_future([old, new], data_dir, arguments)


def share_a_store(old: Version, new: Version, folder: Path, binary: Path) -> Iterator[str]:
    """Let both versions serve from one store at the same time, under load. Yield each fault."""
    ports = free_ports(2)
    targets = [f"127.0.0.1:{port}" for port in ports]
    load = Load(targets, seed=100)
    with store_process(binary, folder) as url, ExitStack() as stack:
        servers = [
            stack.enter_context(RunningServer(version, "--store", url, "--listen", target))
            for version, target in zip((old, new), targets, strict=True)
        ]
        load.start()
        _wait_for_changes(load, 2 * _CHANGES_OF_A_TURN)
        for server in servers:
            yield from _repeat_some(load, server)
        load.stop()
        yield from _judge(load, servers[1])
        yield from _verify(servers[0])


def go_up(old: Version, new: Version, folder: Path) -> Iterator[str]:
    """Let the new version follow an old one with another format, under load. Yield each fault, also of the way back."""
    data_dir, (port,) = folder / "data", free_ports(1)
    arguments = ("--data-dir", str(data_dir), "--listen", f"127.0.0.1:{port}")
    load = Load([f"127.0.0.1:{port}"])
    yield from _serve_in_turn([old, new], load, arguments)
    yield from _refused(old, data_dir, arguments, words="start a version that is as new as the data")
    yield from refuse_the_future([old, new], data_dir, arguments)


def refuse_the_future(versions: Sequence[Version], data_dir: Path, arguments: Sequence[str]) -> Iterator[str]:
    """Give the data a format that no version knows. Yield a fault unless each refuses it and changes nothing."""
    path = data_dir / "format.json"
    before = path.read_bytes()
    path.write_text(json.dumps({**json.loads(before), "format": _FUTURE_FORMAT, "version": "99.0.0"}), encoding="utf-8")
    for version in versions:
        words = f"format {_FUTURE_FORMAT}, as Tallykeeper 99.0.0 writes it"
        yield from _refused(version, data_dir, arguments, words=words)
    path.write_bytes(before)
    with RunningServer(versions[-1], *arguments):
        pass  # the data serve again


def _serve_in_turn(versions: Sequence[Version], load: Load, arguments: Sequence[str]) -> Iterator[str]:
    """Let versions serve one after another under load. After the last turn, judge. Yield each fault."""
    load.start()
    for turn, version in enumerate(versions, 1):
        with RunningServer(version, *arguments) as server:
            yield from _repeat_some(load, server)
            _wait_for_changes(load, load.count() + _CHANGES_OF_A_TURN)
            if turn == len(versions):
                load.stop()
                yield from _judge(load, server)


def _refused(version: Version, data_dir: Path, arguments: Sequence[str], *, words: str) -> Iterator[str]:
    """Start a version on data that is too new for it. Yield a fault unless it says so and changes nothing."""
    digest = _digest(data_dir)
    status, said = RunningServer(version, *arguments).refusal()
    if status == 0 or words not in said:
        yield f"the {version.name} version does not refuse newer data: status {status}, {said}"
    if _digest(data_dir) != digest:
        yield f"the {version.name} version has changed newer data"


def _wait_for_changes(load: Load, count: int) -> None:
    _wait(lambda: bool(load.defects) or load.count() >= count, what=f"{count} changes are acknowledged")


def _wait(condition: Callable[[], bool], *, what: str) -> None:
    wait_until(condition, what=what, seconds=2 * PATIENCE_SECONDS)


def _repeat_some(load: Load, server: RunningServer) -> Iterator[str]:
    """Send some acknowledged changes again. Yield a fault for each that is not replayed with its revision."""
    before = list(load.acknowledged)
    chosen: Sequence[Acknowledged] = Random(len(before)).sample(before, min(_REPEATED, len(before)))
    with Client(server.target, namespace=NAMESPACE) as client:
        for each in chosen:
            try:
                again = each.change.send(client)
            except TallykeeperError as error:
                yield f"the {server.version.name} version refuses to repeat {each.change.request_id}: {error!r}"
                continue
            if not again.replayed or again.revision != each.revision:
                yield (
                    f"the {server.version.name} version carried out {each.change.request_id} again:"
                    f" revision {again.revision} after {each.revision}"
                )


def _judge(load: Load, server: RunningServer) -> Iterator[str]:
    """Yield a fault for each acknowledged change that is lost or counts twice, and for each wrong count."""
    click.echo(f"{load.count()} changes were acknowledged, and {load.repeats} calls repeated")
    yield from load.defects
    acknowledged = {each.change.request_id: each.revision for each in load.acknowledged}
    with Client(server.target, namespace=NAMESPACE) as client:
        entries = [
            LedgerEntry(entry.revision, entry.request_id)
            for entry in client.iterate_entries(newest_first=False, page_size=1_000)
        ]
        yield from faults(acknowledged, entries)
        for number in load.callers():
            value = client.get_counter(f"counter-{number}").counter.value
            if value != load.total(number):
                yield f"counter-{number} is {value}, and {load.total(number)} was acknowledged"
    yield from _verify(server)


def _verify(server: RunningServer) -> Iterator[str]:
    with Client(server.target, namespace=NAMESPACE) as client:
        for difference in client.verify_namespace().differences:
            yield f"verify by the {server.version.name} version: {difference}"


def _digest(folder: Path) -> str:
    """Return a digest of the names and the contents of all files of a folder."""
    found = sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes())
    return found.hexdigest()
