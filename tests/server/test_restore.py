"""Backups as a stream, and restores from a directory, a file, a stream or another data directory."""

import json
import os
import pty
import shutil
import signal
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest
import redis

from tests.server.backup_streams import Member, member, members_of, packed, run, shell, streamed_backup, tar
from tests.server.data_dirs import (
    appended,
    content_of,
    format_of,
    increment,
    make_data,
    manifest_of,
    namespaces_can_be_made,
    run_on_full_disk,
    store_socket,
    value_of,
)
from tests.server.start import refused_start
from tests.support.client import Caller
from tests.support.server import PATIENCE_SECONDS, TALLYKEEPER, ServerProcess, answers, runs, wait_until

LEDGER = "appendonlydir/appendonly.aof.1.incr.aof"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory that a server has made."""
    return make_data(tmp_path_factory.mktemp("made") / "data")


@pytest.fixture(scope="module")
def stream(data: Path) -> bytes:
    """The stream of its backup."""
    return streamed_backup(data)


@pytest.fixture
def source(data: Path, tmp_path: Path) -> Path:
    """A copy of the data directory, which one test may damage."""
    return Path(shutil.copytree(data, tmp_path / "data"))


def served_value(data_dir: Path) -> int:
    """Return the counter's value on a server that runs on a data directory."""
    with ServerProcess("--data-dir", str(data_dir)) as server:
        return value_of(server)


def refused_restore(source: Path, to: Path) -> str:
    """Return the one line of a restore that must fail and leave nothing at ``to``."""
    done = run("restore", source, "--data-dir", to)
    assert (done.returncode, done.stdout) == (1, ""), done
    assert not to.exists()
    (line,) = done.stderr.splitlines()
    return line


# Restores


def test_a_restore_prints_each_namespace_with_its_revision(tmp_path: Path, source: Path) -> None:
    assert run("backup", tmp_path / "copy", "--data-dir", source).returncode == 0

    done = run("restore", tmp_path / "copy", "--data-dir", tmp_path / "new" / "data")

    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.splitlines()
    assert first == f"0.0 MiB restored to {tmp_path / 'new' / 'data'}; 1 namespace, no differences"
    assert second.startswith("  default: revision 1 of 20")
    assert second.endswith("Z; 1 level and no reservations verified")
    assert format_of(tmp_path / "new" / "data")["state"] == "ready"
    assert sorted(path.name for path in (tmp_path / "new" / "data").iterdir()) == ["appendonlydir", "format.json"]
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "new" / "data").rglob("*")} == {0}
    assert served_value(tmp_path / "new" / "data") == 7


def test_a_stream_is_restored_from_a_file_and_from_standard_input(tmp_path: Path, stream: bytes) -> None:
    file = tmp_path / "backup.tar"
    file.write_bytes(stream)

    assert run("restore", file, "--data-dir", tmp_path / "of-file").returncode == 0
    with file.open("rb") as opened:
        assert run("restore", "-", "--data-dir", tmp_path / "of-stdin", stdin=opened).returncode == 0

    assert content_of(tmp_path / "of-file") == content_of(tmp_path / "of-stdin")
    assert served_value(tmp_path / "of-file") == 7


def test_a_pipe_from_backup_to_restore_while_the_server_runs(tmp_path: Path) -> None:
    with ServerProcess("--data-dir", str(tmp_path / "data")) as server:
        increment(server, 41)
        script = '"$0" backup - --data-dir "$1" | "$0" restore - --data-dir "$2"'
        done = subprocess.run(
            shell(script, tmp_path / "data", tmp_path / "copy"),
            capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS * 2,
        )  # fmt: skip

    assert done.returncode == 0
    assert done.stderr.endswith("MiB copied to standard output, while the server runs\n")
    assert served_value(tmp_path / "copy") == 41


def test_the_data_directory_of_a_stopped_server_is_a_source_and_stays_as_it_is(tmp_path: Path, source: Path) -> None:
    before = content_of(source)

    assert run("restore", source, "--data-dir", tmp_path / "new").returncode == 0

    assert content_of(source) == before
    assert served_value(tmp_path / "new") == 7


def test_an_empty_directory_and_one_of_a_new_file_system_can_be_restored_to(tmp_path: Path, source: Path) -> None:
    (tmp_path / "new" / "lost+found").mkdir(parents=True)

    assert run("restore", source, "--data-dir", tmp_path / "new").returncode == 0

    assert served_value(tmp_path / "new") == 7


def test_tar_unpacks_a_stream_into_a_directory_from_which_a_server_starts(tmp_path: Path, stream: bytes) -> None:
    (tmp_path / "unpacked").mkdir()
    tar("-xf", "-", "-C", tmp_path / "unpacked", stream=stream)

    assert format_of(tmp_path / "unpacked")["state"] == "copied"
    assert served_value(tmp_path / "unpacked") == 7


def test_a_backup_that_tar_has_packed_is_restored(tmp_path: Path, source: Path) -> None:
    assert run("backup", tmp_path / "copy", "--data-dir", source).returncode == 0
    for form in ("gnu", "ustar", "pax"):
        file = tmp_path / f"{form}.tar"
        tar(f"--format={form}", "-cf", file, "-C", tmp_path / "copy", ".")

        done = run("restore", file, "--data-dir", tmp_path / form)

        assert (done.returncode, done.stderr) == (0, "")
        assert served_value(tmp_path / form) == 7


def test_differences_are_printed_with_their_own_exit_code(tmp_path: Path, source: Path) -> None:
    with (
        ServerProcess("--data-dir", str(source)),
        redis.Redis.from_url(f"unix://{store_socket(source)}") as connection,
    ):
        connection.set("tk:{default}:counter:visits", 8)

    done = run("restore", source, "--data-dir", tmp_path / "new")

    assert (done.returncode, done.stderr) == (4, "")
    assert "1 namespace, 1 difference" in done.stdout
    assert done.stdout.splitlines()[-1] == "    counter visits: expected value 7, found value 8"
    assert served_value(tmp_path / "new") == 8


# Sources and data directories that are refused


def test_a_directory_that_holds_data_is_named_and_left_alone(tmp_path: Path, source: Path, stream: bytes) -> None:
    (tmp_path / "backup.tar").write_bytes(stream)
    before = content_of(source)

    done = run("restore", tmp_path / "backup.tar", "--data-dir", source)

    assert (done.returncode, done.stdout) == (1, "")
    expected = f"data directory {source} already holds appendonlydir, format.json, and nothing in it was changed"
    assert expected in done.stderr
    assert content_of(source) == before


def test_a_directory_that_a_server_holds_is_refused(tmp_path: Path, stream: bytes) -> None:
    (tmp_path / "backup.tar").write_bytes(stream)
    with ServerProcess("--data-dir", str(tmp_path / "data")):
        done = run("restore", tmp_path / "backup.tar", "--data-dir", tmp_path / "data")
        from_it = run("restore", tmp_path / "data", "--data-dir", tmp_path / "new")

    assert (done.returncode, from_it.returncode) == (1, 1)
    assert "is in use by another Tallykeeper" in done.stderr
    assert f"{tmp_path / 'data'} is in use by a server; copy it with tallykeeper backup" in from_it.stderr
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("kind", ["file", "link"])
def test_something_else_than_a_directory_is_refused_and_left_alone(tmp_path: Path, source: Path, kind: str) -> None:
    to = tmp_path / "to"
    if kind == "file":
        to.write_text("mine")
    else:
        to.symlink_to("nowhere")
    before = to.lstat().st_ino, to.lstat().st_mtime_ns

    done = run("restore", source, "--data-dir", to)

    assert (done.returncode, done.stdout) == (1, "")
    assert f"data directory {to} cannot be written" in done.stderr
    assert (to.lstat().st_ino, to.lstat().st_mtime_ns) == before
    assert not (tmp_path / "nowhere").exists()


def test_a_missing_source_is_one_line(tmp_path: Path) -> None:
    line = refused_restore(tmp_path / "missing", tmp_path / "a" / "b")

    expected = (
        f"tallykeeper: {tmp_path / 'missing'} was not restored, and nothing was changed: No such file or directory"
    )
    assert line == expected
    assert list(tmp_path.iterdir()) == []


def test_a_directory_without_data_is_no_source(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    assert "it holds no data of an embedded store" in refused_restore(tmp_path / "empty", tmp_path / "new")


@pytest.mark.parametrize("part", [0.0, 0.2, 0.5, 0.7, 0.85])
def test_a_stream_that_was_cut_short_is_refused(tmp_path: Path, stream: bytes, part: float) -> None:
    file = tmp_path / "backup.tar"
    file.write_bytes(stream[: int(len(stream) * part)])

    assert "it is incomplete: it ends after" in refused_restore(file, tmp_path / "new")


def test_every_header_and_every_file_of_a_stream_is_needed(tmp_path: Path, stream: bytes) -> None:
    members = members_of(stream)
    for left in range(len(members)):
        file = tmp_path / "backup.tar"
        file.write_bytes(packed(members[:left]))

        assert "it is incomplete: the format.json that ends a backup is missing" in refused_restore(
            file, tmp_path / "new"
        )


def test_no_server_starts_on_what_tar_has_unpacked_of_an_incomplete_stream(tmp_path: Path, stream: bytes) -> None:
    (tmp_path / "unpacked").mkdir()
    tar("-xf", "-", "-C", tmp_path / "unpacked", stream=packed(members_of(stream)[:-1]))

    line = refused_start("--data-dir", str(tmp_path / "unpacked"))

    assert "it is the incomplete copy of a backup that was interrupted" in line
    assert "it is the incomplete copy of a backup" in refused_restore(tmp_path / "unpacked", tmp_path / "new")


@pytest.mark.parametrize("kind", ["folder", "stream"])
def test_a_flipped_bit_is_found(tmp_path: Path, source: Path, stream: bytes, kind: str) -> None:
    if kind == "folder":
        assert run("backup", tmp_path / "copy", "--data-dir", source).returncode == 0
        file, damaged = appended(tmp_path / "copy"), tmp_path / "copy"
    else:
        file = damaged = tmp_path / "backup.tar"
        file.write_bytes(stream)
    content = bytearray(file.read_bytes())
    content[content.index(b"visits")] ^= 1
    file.write_bytes(content)

    line = refused_restore(damaged, tmp_path / "new")

    assert f"{LEDGER} differs from what the backup wrote: the copy is incomplete or damaged" in line
    assert str(damaged) in line


def _with(position: int, *added: Member) -> Callable[[Sequence[Member]], bytes]:
    return lambda members: packed([*members[:position], *added, *members[position:]])


def _renamed(name: str) -> Callable[[Sequence[Member]], bytes]:
    def renamed(members: Sequence[Member]) -> bytes:
        return packed([(_named(header, name) if "incr" in header.name else header, text) for header, text in members])

    return renamed


def _named(header: tarfile.TarInfo, name: str) -> tarfile.TarInfo:
    return header.replace(name=name)


def _format(**values: object) -> Callable[[Sequence[Member]], bytes]:
    def changed(members: Sequence[Member]) -> bytes:
        *others, (header, text) = members
        return packed([*others, member(header.name, json.dumps(json.loads(text) | values).encode())])

    return changed


def _without_sums(members: Sequence[Member]) -> bytes:
    *others, (header, text) = members
    values = json.loads(text)
    values["files"].popitem()
    return packed([*others, member(header.name, json.dumps(values).encode())])


def _pax(record: bytes, kind: bytes = b"x") -> Callable[[Sequence[Member]], bytes]:
    return lambda members: packed([member("PaxHeaders/x", record, type=kind), *members])


BAD_STREAMS = {
    "absolute": (_renamed("/outside/appendonly.aof.1.incr.aof"), "'/outside/appendonly.aof.1.incr.aof', a file that"),
    "parent": (
        _renamed("appendonlydir/../../outside/escaped"),
        "'appendonlydir/../../outside/escaped', a file that is",
    ),
    "dots": (_renamed(".././outside/escaped"), "'.././outside/escaped', a file that is no part of a backup"),
    "deeper": (_renamed("appendonlydir/sub/appendonly.aof.1.incr.aof"), "a file that is no part of a backup"),
    "other-name": (_renamed("appendonlydir/authorized_keys"), "a file that is no part of a backup"),
    "long-name": (_renamed("appendonlydir/" + "x" * 200), "an entry of type b'L' that is no part of a backup"),
    "folder": (_with(1, member("outside", type=tarfile.DIRTYPE)), "'outside', a folder that is no part of a backup"),
    "symbolic-link": (
        _with(0, member("appendonlydir", type=tarfile.SYMTYPE, linkname="../outside")),
        "'appendonlydir', a symbolic link that is no part of a backup",
    ),
    "link-in-place": (
        _with(3, member(LEDGER, type=tarfile.SYMTYPE, linkname="../../outside/escaped")),
        f"'{LEDGER}', a symbolic link that is no part of a backup",
    ),
    "hard-link": (
        _with(3, member(LEDGER, type=tarfile.LNKTYPE, linkname="/outside/secret")),
        f"'{LEDGER}', a hard link that is no part of a backup",
    ),
    "device": (_with(3, member(LEDGER, type=tarfile.CHRTYPE)), f"'{LEDGER}', a device that is no part of a backup"),
    "pipe": (_with(3, member(LEDGER, type=tarfile.FIFOTYPE)), f"'{LEDGER}', a pipe that is no part of a backup"),
    "twice": (lambda members: packed([*members[:-1], members[3], members[-1]]), "twice"),
    "huge": (_with(1, member("appendonlydir/appendonly.aof.7.incr.aof", size=1 << 62)), "make room"),
    "negative": (_with(1, member("appendonlydir/appendonly.aof.7.incr.aof", size=-512)), "with -512 bytes"),
    "huge-manifest": (_with(1, member("appendonlydir/appendonly.aof.manifest", size=1 << 40)), "0 to 1048576 are poss"),
    "huge-format": (
        _with(1, member("format.json", size=1 << 40)),
        "with 1099511627776 bytes; 0 to 1048576 are possible",
    ),
    "huge-extension": (
        _with(1, member("PaxHeaders/x", type=b"x", size=1 << 40)),
        "an extended header of 1099511627776",
    ),
    "renaming": (_pax(b"30 path=../../outside/escaped\n"), "an extended header that renames or resizes a file"),
    "resizing": (_pax(b"20 size=99999999999\n"), "an extended header that renames or resizes a file"),
    "renaming-all": (_pax(b"30 path=../../outside/escaped\n", b"g"), "an extended header that renames"),
    "many": (lambda _: packed([member("appendonlydir", type=tarfile.DIRTYPE)] * 10_001), "more than 10000 files"),
    "newer": (_format(format=99, version="9.8.7"), "it has format 99, as Tallykeeper 9.8.7 writes it"),
    "not-a-backup": (_format(state="ready", files={}), "has the state 'ready': it was packed from a data directory"),
    "damaged-format": (_format(state="lost"), "its format.json is damaged: it is not the JSON that Tallykeeper writes"),
    "text": (lambda _: b"hello " * 1_000, "it is no tar stream of tallykeeper backup"),
    "gzip": (lambda _: b"\x1f\x8b\x08\x00" + b"x" * 1_000, "it is compressed; unpack it: gzip -dc FILE | tallykeeper"),
    "zstd": (lambda _: b"\x28\xb5\x2f\xfd" + b"x" * 1_000, "it is compressed; unpack it: zstd -dc FILE | tallykeeper"),
    "damaged-header": (lambda members: packed(members[:2]).rstrip(b"\0") + b"x" * 2_048, "no valid form of tar"),
}


@pytest.mark.parametrize("name", BAD_STREAMS)
def test_a_stream_that_is_no_backup_changes_nothing(tmp_path: Path, stream: bytes, name: str) -> None:
    make, words = BAD_STREAMS[name]
    place = tmp_path / "place"
    (place / "outside").mkdir(parents=True)
    (place / "outside" / "secret").write_text("secret")
    (tmp_path / "backup.tar").write_bytes(make(members_of(stream)))
    before = content_of(place)

    line = refused_restore(tmp_path / "backup.tar", place / "data")

    assert words in line
    assert line.startswith(f"tallykeeper: {tmp_path / 'backup.tar'} was not restored, and nothing was changed: ")
    assert content_of(place) == before


def test_an_existing_empty_directory_stays_empty_after_a_refusal(tmp_path: Path, stream: bytes) -> None:
    (tmp_path / "backup.tar").write_bytes(stream[:-4_096])
    (tmp_path / "new").mkdir()

    assert run("restore", tmp_path / "backup.tar", "--data-dir", tmp_path / "new").returncode == 1

    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.skipif(not namespaces_can_be_made("mount"), reason="this user may not mount file systems")
def test_a_full_disk_is_one_clear_line_and_leaves_nothing(tmp_path: Path, source: Path) -> None:
    full = tmp_path / "full"

    done = run_on_full_disk(full, "restore", source, "--data-dir", full / "data")

    assert done.stdout == "1\n"
    expected = f"{source} was not restored, and nothing was changed: No space left on device"
    assert done.stderr == f"tallykeeper: {expected}\n"


def test_data_that_the_store_cannot_load_is_refused_with_its_words(tmp_path: Path, source: Path) -> None:
    file = appended(source)
    file.write_bytes(b"*1\r\n$3\r\nBAD\r\n" + file.read_bytes())

    line = refused_restore(source, tmp_path / "new")

    assert "ended with status 1" in line
    assert not store_socket(tmp_path / "new" / "restore").exists()


def test_a_manifest_that_lacks_a_file_of_the_backup_is_refused(tmp_path: Path, source: Path) -> None:
    assert run("backup", tmp_path / "copy", "--data-dir", source).returncode == 0
    manifest = manifest_of(tmp_path / "copy")
    manifest.write_text("".join(f"{line}\n" for line in manifest.read_text().splitlines() if "incr" not in line))

    assert "does not name appendonly.aof.1.incr.aof" in refused_restore(tmp_path / "copy", tmp_path / "new")


# Interruptions


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_restore_that_waits_for_its_stream_ends_by_a_signal_and_leaves_nothing(
    tmp_path: Path, stream: bytes, number: signal.Signals
) -> None:
    to = tmp_path / "new"
    process = subprocess.Popen(
        [TALLYKEEPER, "restore", "-", "--data-dir", to], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin is not None
    process.stdin.write(stream[:-2_048])
    process.stdin.flush()
    wait_until((to / "restore" / LEDGER).exists, what="the files are written")
    while_it_runs = refused_start("--data-dir", str(to))

    process.send_signal(number)
    _, errors = process.communicate(timeout=PATIENCE_SECONDS)

    assert "is in use by another Tallykeeper" in while_it_runs
    assert process.returncode == 128 + number
    assert errors.decode() == f"tallykeeper: {number.name} ended the restore; {to} is as it was before\n"
    assert not to.exists()


@contextmanager
def verifying_restore(tmp_path: Path, source: Path, to: Path) -> Iterator["subprocess.Popen[str]"]:
    """Yield a restore that has begun to verify the data, and waits."""
    begins = tmp_path / "begins"
    (tmp_path / "sitecustomize.py").write_text(
        "import asyncio, pathlib\n"
        "import tallykeeper_server.engine.verify as verify\n"
        "async def wait(*_):\n"
        f"    pathlib.Path({str(begins)!r}).touch()\n"
        "    await asyncio.sleep(600)\n"
        "verify.verify = wait\n"
    )
    process = subprocess.Popen(
        [TALLYKEEPER, "restore", source, "--data-dir", to],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    try:
        wait_until(lambda: begins.exists() or process.poll() is not None, what="the verification begins")
        assert process.poll() is None, process.communicate()
        yield process
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE_SECONDS)


def test_a_restore_that_verifies_ends_its_store_when_a_signal_ends_it(tmp_path: Path, source: Path) -> None:
    to = tmp_path / "new"
    with verifying_restore(tmp_path, source, to) as process:
        assert answers(f"unix://{store_socket(to / 'restore')}")
        process.terminate()
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == 143
    assert errors == f"tallykeeper: SIGTERM ended the restore; {to} is as it was before\n"
    assert not store_socket(to / "restore").exists()
    assert not to.exists()


def test_a_restore_after_one_that_was_killed_ends_its_store(tmp_path: Path, source: Path) -> None:
    to = tmp_path / "new"
    url = f"unix://{store_socket(to / 'restore')}"
    with verifying_restore(tmp_path, source, to) as process:
        with redis.Redis.from_url(url) as connection:
            store = cast("dict[str, int]", connection.info("server"))["process_id"]
        process.kill()
        process.wait(PATIENCE_SECONDS)
    assert answers(url)
    shutil.rmtree(to)

    done = run("restore", source, "--data-dir", to)

    assert (done.returncode, done.stderr) == (0, "")
    wait_until(lambda: not runs(store), what="the store of the first restore has ended")
    assert served_value(to) == 7


def test_a_restore_that_was_killed_leaves_a_directory_on_which_no_server_starts(tmp_path: Path, stream: bytes) -> None:
    to = tmp_path / "new"
    process = subprocess.Popen([TALLYKEEPER, "restore", "-", "--data-dir", to], stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(stream[:-2_048])
    process.stdin.flush()
    wait_until((to / "restore" / LEDGER).exists, what="the files are written")

    process.kill()
    process.wait(PATIENCE_SECONDS)

    assert "remove it and run tallykeeper backup or restore again" in refused_start("--data-dir", str(to))
    (tmp_path / "backup.tar").write_bytes(stream)
    again = run("restore", tmp_path / "backup.tar", "--data-dir", to)
    assert again.returncode == 1
    assert f"{to} is the incomplete copy of a backup or restore that was interrupted; remove it first" in again.stderr
    process.stdin.close()


# Streams of backups


def test_a_terminal_gets_and_gives_no_backup(tmp_path: Path, source: Path) -> None:
    outside, inside = pty.openpty()
    commands: Sequence[tuple[list[str | Path], str]] = (
        (["backup", "-", "--data-dir", source], "a backup cannot be written to a terminal"),
        (["restore", "-", "--data-dir", tmp_path / "new"], "a backup cannot be read from a terminal"),
    )
    for arguments, words in commands:
        done = subprocess.run(
            [TALLYKEEPER, *arguments],
            stdin=inside, stdout=inside, stderr=subprocess.PIPE, check=False, timeout=PATIENCE_SECONDS,
        )  # fmt: skip
        assert done.returncode == 2
        assert words in done.stderr.decode()
    os.close(inside)
    os.close(outside)
    assert not (tmp_path / "new").exists()


def test_a_reader_that_leaves_is_an_error(tmp_path: Path, source: Path) -> None:
    appended(source).write_bytes(appended(source).read_bytes() * 20_000)  # more than a pipe holds
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [TALLYKEEPER, "backup", "-", "--data-dir", source], stdout=writing, stderr=subprocess.PIPE, text=True
    )
    os.close(writing)
    os.read(reading, 1_000)
    os.close(reading)
    _, errors = process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == 1
    (line,) = errors.splitlines()
    beginning = f"tallykeeper: {source} was not copied to standard output: its reader left before the end; the "
    assert line.startswith(beginning)
    assert line.endswith(" bytes that were written are no backup")
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_stream_that_cannot_be_written_is_an_error(source: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [TALLYKEEPER, "backup", "-", "--data-dir", source],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=PATIENCE_SECONDS,
        )  # fmt: skip

    assert done.returncode == 1
    assert done.stderr == f"tallykeeper: {source} was not copied to standard output: No space left on device\n"


def test_a_closed_standard_output_is_an_error(source: Path) -> None:
    done = subprocess.run(
        shell('"$0" backup - --data-dir "$1" >&-', source),
        capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS,
    )  # fmt: skip

    assert done.returncode == 1
    assert done.stderr == f"tallykeeper: {source} was not copied to standard output: Bad file descriptor\n"


def test_a_stream_that_a_signal_ends_is_no_backup(tmp_path: Path, source: Path) -> None:
    appended(source).write_bytes(appended(source).read_bytes() * 20_000)
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [TALLYKEEPER, "backup", "-", "--data-dir", source], stdout=writing, stderr=subprocess.PIPE, text=True
    )
    os.close(writing)
    written = os.read(reading, 1_000)
    process.terminate()
    _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    while chunk := os.read(reading, 65_536):
        written += chunk
    os.close(reading)

    assert process.returncode == 143
    assert errors == "tallykeeper: SIGTERM ended the backup; what was written is no backup\n"
    (tmp_path / "backup.tar").write_bytes(written)
    assert "it is incomplete: it ends after" in refused_restore(tmp_path / "backup.tar", tmp_path / "new")


def test_a_stream_holds_only_the_files_of_the_data(stream: bytes) -> None:
    members = members_of(stream)

    assert [header.name for header, _ in members] == [
        "format.json",
        "appendonlydir",
        "appendonlydir/appendonly.aof.manifest",
        "appendonlydir/appendonly.aof.1.base.rdb",
        LEDGER,
        "format.json",
    ]
    assert [json.loads(text)["state"] for header, text in members if header.name == "format.json"] == [
        "copying",
        "copied",
    ]
    assert {header.mode for header, _ in members} == {0o600, 0o700}


def test_callers_go_on_after_a_restore(tmp_path: Path, stream: bytes) -> None:
    (tmp_path / "backup.tar").write_bytes(stream)
    assert run("restore", tmp_path / "backup.tar", "--data-dir", tmp_path / "new").returncode == 0

    with ServerProcess("--data-dir", str(tmp_path / "new")) as server:
        assert increment(server) == 8
        call = Caller(server.target)
        assert not call.verify().differences
        call.close()
