"""Restores until a moment: whole script calls, by the times of the ledger."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import redis

from tallykeeper.v1.batch_pb2 import ApplyRequest, Operation
from tallykeeper.v1.counter_pb2 import IncrementRequest
from tallykeeper.v1.ledger_pb2 import Entry
from tallykeeper_server.store.embedded.data_format import DATA_FORMAT, DataFormat, write_format
from tallykeeper_server.store.embedded.folders import opened_folder
from tallykeeper_server.store.embedded.manifest import parse_manifest
from tallykeeper_server.store.embedded.point_in_time import Cut, cut_after
from tests.server.backup_streams import run, streamed_backup
from tests.server.data_dirs import content_of, format_of, manifest_of, store_socket
from tests.support.batches import mode_of
from tests.support.client import Caller
from tests.support.clock import milliseconds_of
from tests.support.ledger import entries_of
from tests.support.server import ServerProcess, wait_until

NAMESPACES = ("library", "shop")


def rfc_3339(ms: int) -> str:
    """Return a time in milliseconds since 1970 as RFC 3339 writes it."""
    return f"{datetime.fromtimestamp(ms // 1_000, UTC):%Y-%m-%dT%H:%M:%S}.{ms % 1_000:03}Z"


def ms_of(entry: Entry) -> int:
    """Return the time of an entry in milliseconds since 1970."""
    return int(entry.commit_time.ToMilliseconds())


class Made(NamedTuple):
    """A data directory, and its ledgers."""

    data_dir: Path
    entries: dict[str, list[Entry]]

    def until(self, ms: int) -> dict[str, list[Entry]]:
        """Return the entries up to a time."""
        kept = {name: [entry for entry in entries if ms_of(entry) <= ms] for name, entries in self.entries.items()}
        return {name: entries for name, entries in kept.items() if entries}

    @property
    def times(self) -> list[int]:
        """All times of changes, in their order."""
        return sorted({ms_of(entry) for entries in self.entries.values() for entry in entries})


def _next_millisecond(store: redis.Redis) -> None:
    """Wait until the store's clock shows another millisecond."""
    now = milliseconds_of(store)
    wait_until(lambda: milliseconds_of(store) > now, what="another millisecond")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A data directory with changes, each at its own time, in two namespaces; some are batches."""
    data_dir = tmp_path_factory.mktemp("made") / "data"
    with (
        ServerProcess("--data-dir", str(data_dir)) as server,
        redis.Redis.from_url(f"unix://{store_socket(data_dir)}") as store,
    ):
        call = Caller(server.target)
        operations = [Operation(increment=IncrementRequest(counter=f"page-{number}")) for number in range(5)]
        for number in range(4):
            for namespace in NAMESPACES:
                call(IncrementRequest(namespace=namespace, counter="visits", request_id=f"visit-{number}"))
                _next_millisecond(store)
            mode = mode_of(atomic=True)
            call(ApplyRequest(namespace="shop", operations=operations, mode=mode, request_id=f"batch-{number}"))
            _next_millisecond(store)
        entries = {namespace: entries_of(call, namespace) for namespace in NAMESPACES}
        call.close()
    return Made(data_dir, entries)


def served_entries(data_dir: Path) -> dict[str, list[Entry]]:
    """Return all ledgers of a data directory, after a verification."""
    with ServerProcess("--data-dir", str(data_dir)) as server:
        call = Caller(server.target)
        for namespace in NAMESPACES:
            assert not call.verify(namespace).differences
        found = {namespace: entries_of(call, namespace) for namespace in NAMESPACES}
        call.close()
    return {namespace: entries for namespace, entries in found.items() if entries}


def test_each_moment_is_restored_exactly(tmp_path: Path, made: Made) -> None:
    times = made.times
    assert len(times) == 12
    for number, moment in enumerate((times[0], times[3], times[7] - 1, times[-1] - 1)):
        to = tmp_path / f"until-{number}"

        done = run("restore", made.data_dir, "--data-dir", to, "--until", rfc_3339(moment))

        assert (done.returncode, done.stderr) == (0, "")
        expected = made.until(moment)
        left_out = sum(map(len, made.entries.values())) - sum(map(len, expected.values()))
        following = min(time for time in times if time > moment)
        assert done.stdout.splitlines()[1] == (
            f"until {rfc_3339(moment)}; left out: {left_out} change{'' if left_out == 1 else 's'}, the first of"
            f" {rfc_3339(following)}"
        )
        assert served_entries(to) == expected


def test_a_time_before_the_first_change_restores_an_empty_store(tmp_path: Path, made: Made) -> None:
    done = run("restore", made.data_dir, "--data-dir", tmp_path / "new", "--until", rfc_3339(made.times[0] - 1))

    assert done.returncode == 0
    assert "; no namespaces, no differences" in done.stdout
    assert served_entries(tmp_path / "new") == {}


def test_a_time_after_the_last_change_restores_everything(tmp_path: Path, made: Made) -> None:
    moment = rfc_3339(made.times[-1])

    done = run("restore", made.data_dir, "--data-dir", tmp_path / "new", "--until", moment)

    assert done.returncode == 0
    assert f"no change after {moment} was found, so everything was restored" in done.stdout
    assert served_entries(tmp_path / "new") == made.entries


def test_a_backup_stream_is_restored_until_a_moment(tmp_path: Path, made: Made) -> None:
    (tmp_path / "backup.tar").write_bytes(streamed_backup(made.data_dir))

    done = run("restore", tmp_path / "backup.tar", "--data-dir", tmp_path / "new", "--until", rfc_3339(made.times[5]))

    assert (done.returncode, done.stderr) == (0, "")
    assert served_entries(tmp_path / "new") == made.until(made.times[5])


def test_the_request_ids_of_changes_that_are_left_out_are_unknown(tmp_path: Path, made: Made) -> None:
    moment = rfc_3339(made.times[3])
    assert run("restore", made.data_dir, "--data-dir", tmp_path / "new", "--until", moment).returncode == 0

    with ServerProcess("--data-dir", str(tmp_path / "new")) as server:
        call = Caller(server.target)
        visits = [
            call(IncrementRequest(namespace="library", counter="visits", request_id=f"visit-{number}"))
            for number in range(3)
        ]
        call.close()

    assert [visit.replayed for visit in visits] == [True, True, False]
    assert [visit.counter.value for visit in visits] == [1, 2, 3]


def test_a_moment_before_the_snapshot_is_refused_with_the_earliest_one(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with (
        ServerProcess("--data-dir", str(data_dir)) as server,
        redis.Redis.from_url(f"unix://{store_socket(data_dir)}") as store,
    ):
        call = Caller(server.target)
        for number in range(4):
            if number == 2:
                store.bgrewriteaof()
                wait_until(lambda: not _rewrites(store), what="the file is rewritten")
            call(IncrementRequest(namespace="shop", counter="visits"))
            _next_millisecond(store)
        entries = entries_of(call, "shop")
        call.close()
    before = content_of(data_dir)

    too_early = run("restore", data_dir, "--data-dir", tmp_path / "new", "--until", rfc_3339(ms_of(entries[1]) - 1))

    assert (too_early.returncode, too_early.stdout) == (1, "")
    earliest = rfc_3339(ms_of(entries[1]))
    assert too_early.stderr == (
        f"tallykeeper: {data_dir} cannot be restored until {rfc_3339(ms_of(entries[1]) - 1)}, and nothing was changed: "
        f"the snapshot in it has changes up to {earliest}, which is its earliest moment; use an older backup\n"
    )
    assert not (tmp_path / "new").exists()
    assert run("restore", data_dir, "--data-dir", tmp_path / "new", "--until", earliest).returncode == 0
    assert served_entries(tmp_path / "new") == {"shop": entries[:2]}
    assert content_of(data_dir) == before


def _rewrites(store: redis.Redis) -> bool:
    state: Any = store.info("persistence")
    return bool(state["aof_rewrite_in_progress"] or state["aof_rewrite_scheduled"])


def test_data_is_upgraded_again_if_its_upgrade_is_cut_off(tmp_path: Path) -> None:
    data_dir, prefix = tmp_path / "data", "tk:{shop}:"
    with (
        ServerProcess("--data-dir", str(data_dir), "--sweep-seconds", "3600") as server,
        redis.Redis.from_url(f"unix://{store_socket(data_dir)}") as store,
    ):
        call = Caller(server.target)
        call(IncrementRequest(namespace="shop", counter="visits", request_id="first"))
        (first,) = entries_of(call, "shop")
        call.close()
        (bucket,) = store.keys(f"{prefix}requests:*")
        store.rename(bucket, f"{prefix}requests:41562")
        store.delete(f"{prefix}clock", "tk:namespaces", "tk:agenda", "tk:open-reservations")
        store.bgrewriteaof()
        wait_until(lambda: not _rewrites(store), what="the file is rewritten")
        added = {"time": ms_of(first) + 1, "2": "counter_increment"}
        store.pipeline().xadd(f"{prefix}ledger", added, id="0-2").set(f"{prefix}revision", 2).execute()
    (data_dir / "format.json").unlink()
    with ServerProcess("--data-dir", str(data_dir)):
        assert format_of(data_dir)["format"] == DATA_FORMAT

    moment = rfc_3339(ms_of(first))
    assert run("restore", data_dir, "--data-dir", tmp_path / "new", "--until", moment).returncode == 0

    assert format_of(tmp_path / "new")["format"] == DATA_FORMAT
    with ServerProcess("--data-dir", str(tmp_path / "new")) as server:
        call = Caller(server.target)
        assert call(IncrementRequest(namespace="shop", counter="visits", request_id="first")).replayed
        assert entries_of(call, "shop") == [first]
        call.close()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "1h",
        "2026-11-28",
        "2026-11-28T12:00:00",
        "2026-11-28T12:00Z",
        "2026-13-28T12:00:00Z",
        "2026-02-30T12:00:00Z",
        "2026-11-28T24:00:00Z",
        "2026-11-28T12:00:60Z",
        "2026-11-28T12:00:00.Z",
        "2026-11-28T12:00:00+25:00",
        "1764331200",
        "\uff12026-11-28T12:00:00Z",
    ],
)
def test_a_text_that_is_no_time_is_refused_with_the_rule(tmp_path: Path, made: Made, text: str) -> None:
    done = run("restore", made.data_dir, "--data-dir", tmp_path / "new", "--until", text)

    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert f"{text!r} is not a time with its zone, such as 2026-11-28T12:00:00Z" in line
    assert not (tmp_path / "new").exists()


def test_a_time_may_have_another_zone(tmp_path: Path, made: Made) -> None:
    zone = timezone(timedelta(hours=5, minutes=30))
    moment = datetime.fromtimestamp(made.times[5] // 1_000, UTC) + timedelta(milliseconds=made.times[5] % 1_000)
    text = moment.astimezone(zone).isoformat()
    assert text.endswith("+05:30")

    assert run("restore", made.data_dir, "--data-dir", tmp_path / "new", "--until", text).returncode == 0

    assert served_entries(tmp_path / "new") == made.until(made.times[5])


# Cuts of files that are made by hand

BASE = b"REDIS0011\xff12345678"


def command(*arguments: str) -> bytes:
    """Return a command as an append-only file has it."""
    parts = [each.encode() for each in arguments]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


def change(time: int, revision: int, *, namespace: str = "shop", trims: Sequence[str] = (), count: int = 1) -> bytes:
    """Return the effects of a script call that makes some changes at a time."""
    entries = [text for each in range(revision, revision + count) for text in (str(each), f"entry {each}")]
    added = command("XADD", f"tk:{{{namespace}}}:ledger", *trims, f"0-{revision}", "time", str(time), *entries)
    levels = command("MSET", f"tk:{{{namespace}}}:counter:visits", str(revision))
    return command("MULTI") + added + levels + command("EXEC")


def draft_of(tmp_path: Path, *files: bytes) -> Path:
    """Return a copy with these append-only files."""
    draft = tmp_path / "draft"
    (draft / "appendonlydir").mkdir(parents=True)
    (draft / "appendonlydir" / "appendonly.aof.1.base.rdb").write_bytes(BASE)
    lines = ["file appendonly.aof.1.base.rdb seq 1 type b\n"]
    for number, content in enumerate(files, 1):
        (draft / "appendonlydir" / f"appendonly.aof.{number}.incr.aof").write_bytes(content)
        lines.append(f"file appendonly.aof.{number}.incr.aof seq {number} type i\n")
    manifest_of(draft).write_text("".join(lines))
    with opened_folder(draft) as folder:
        write_format(folder, DataFormat())
    return draft


def contents_of(draft: Path) -> list[bytes]:
    """Return the contents of the append-only files that the manifest names, which must be all that there are."""
    names = parse_manifest(manifest_of(draft).read_bytes()).appended
    assert {path.name for path in (draft / "appendonlydir").glob("*.incr.aof")} == set(names)
    return [(draft / "appendonlydir" / name).read_bytes() for name in names]


def test_a_cut_is_before_the_whole_script_call(tmp_path: Path) -> None:
    kept = command("SELECT", "0") + change(100, 1, count=3) + b"#TS:1764331200\r\n" + change(101, 4)
    draft = draft_of(tmp_path, kept + change(103, 5) + change(103, 6, count=4))

    assert cut_after(draft, 102) == Cut(last_ms=101, next_ms=103, left_out=5)

    assert contents_of(draft) == [kept]
    assert format_of(draft)["state"] == "ready"


def test_a_cut_removes_the_files_after_it(tmp_path: Path) -> None:
    files = [change(100, 1), change(101, 2) + change(105, 3), change(106, 4), b""]
    draft = draft_of(tmp_path, *files)

    assert cut_after(draft, 104) == Cut(last_ms=101, next_ms=105, left_out=2)

    assert contents_of(draft) == [change(100, 1), change(101, 2)]


def test_nothing_is_cut_if_nothing_is_later(tmp_path: Path) -> None:
    draft = draft_of(tmp_path, change(100, 1), change(101, 2))
    before = content_of(draft)

    assert cut_after(draft, 101) == Cut(last_ms=101)

    assert content_of(draft) == before


@pytest.mark.parametrize("trims", [("MINID", "=", "0-7"), ("MINID", "0-7"), ("MAXLEN", "=", "1000")])
def test_an_entry_that_trims_its_ledger_has_a_time_too(tmp_path: Path, trims: Sequence[str]) -> None:
    draft = draft_of(tmp_path, change(100, 1) + change(105, 9, trims=trims))

    assert cut_after(draft, 102) == Cut(last_ms=100, next_ms=105, left_out=1)


def test_earlier_changes_after_the_cut_are_counted(tmp_path: Path) -> None:
    draft = draft_of(tmp_path, change(100, 1) + change(105, 1, namespace="library") + change(101, 2) + change(106, 3))

    assert cut_after(draft, 102) == Cut(last_ms=100, next_ms=105, left_out=3, earlier_left_out=1)

    assert contents_of(draft) == [change(100, 1)]


def test_other_streams_and_other_commands_have_no_time(tmp_path: Path) -> None:
    others = command("XADD", "mine", "0-1", "time", "999") + command(
        "XADD", "tk:{shop}:ledger", "0-1", "field", "value"
    )
    text = command("SET", "tk:{shop}:counter:visits", "*1\r\n$4\r\nEXEC\r\n") + command("XADD") + command("PING")
    draft = draft_of(tmp_path, others + change(100, 1) + text)

    assert cut_after(draft, 102) == Cut(last_ms=100)


@pytest.mark.parametrize("cut_bytes", [1, 30, 90, 150])
def test_a_script_call_that_a_power_cut_has_torn_is_left_to_the_store(tmp_path: Path, cut_bytes: int) -> None:
    whole = change(100, 1)
    draft = draft_of(tmp_path, whole + change(105, 2)[:-cut_bytes])
    before = content_of(draft)

    assert cut_after(draft, 102) == Cut(last_ms=100)

    assert content_of(draft) == before


def test_a_cut_can_be_before_a_damage(tmp_path: Path) -> None:
    draft = draft_of(tmp_path, change(100, 1) + change(105, 2) + b"rubbish" + change(106, 3))

    assert cut_after(draft, 102) == Cut(last_ms=100, next_ms=105, left_out=1)

    assert contents_of(draft) == [change(100, 1)]
