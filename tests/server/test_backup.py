"""Copies of the embedded store's data, also interrupted ones."""

import os
import shutil
import signal
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from tallykeeper.v1.counter_pb2 import GetCounterRequest, IncrementRequest
from tallykeeper_server.store.embedded.valkey import EmbeddedStore, find_binary
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
)
from tests.server.start import refused_start
from tests.support.client import Caller
from tests.support.server import PATIENCE_SECONDS, TALLYKEEPER, ServerProcess, wait_until


def back_up(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([TALLYKEEPER, "backup", *arguments], capture_output=True, text=True, check=False)


def restored(place: Path) -> int:
    """Return the counter's value on a server that runs on a copy, after a verification."""
    with ServerProcess("--data-dir", str(place)) as server:
        call = Caller(server.target)
        assert not call.verify().differences
        value = int(call(GetCounterRequest(counter="visits")).counter.value)
        call.close()
    return value


def test_a_copy_made_under_load_has_all_changes_acknowledged_before(tmp_path: Path) -> None:
    stop = threading.Event()
    acknowledged = [0]

    def count(target: str) -> None:
        call = Caller(target)
        while not stop.is_set():
            acknowledged[0] = int(call(IncrementRequest(counter="visits")).counter.value)
        call.close()

    with ServerProcess("--data-dir", str(tmp_path / "data")) as server:
        caller = threading.Thread(target=count, args=(server.target,))
        caller.start()
        with redis.Redis.from_url(EmbeddedStore(tmp_path / "data", find_binary(None)).url) as connection:
            connection.bgrewriteaof()
            before = acknowledged[0]
            done = back_up(tmp_path / "copy", "--data-dir", tmp_path / "data")
            percentage = connection.config_get("auto-aof-rewrite-percentage")
        stop.set()
        caller.join()

    assert (done.returncode, done.stderr) == (0, "")
    assert "while the server runs" in done.stdout
    assert percentage == {"auto-aof-rewrite-percentage": "100"}
    assert before <= restored(tmp_path / "copy") <= acknowledged[0]


def test_a_copy_of_data_that_nobody_serves(tmp_path: Path) -> None:
    with ServerProcess("--data-dir", str(tmp_path / "data")) as server:
        call = Caller(server.target)
        call(IncrementRequest(counter="visits", delta=7))
        call.close()

    done = back_up(tmp_path / "copy", "--data-dir", tmp_path / "data")

    assert "of a server that does not run" in done.stdout
    assert restored(tmp_path / "copy") == restored(tmp_path / "data") == 7


@pytest.mark.parametrize(
    ("to", "expected"),
    [("data", "data cannot be made: File exists; name a directory that does not exist yet"), ("new", "holds no data")],
)
def test_data_that_cannot_be_copied_is_one_clear_line(tmp_path: Path, to: str, expected: str) -> None:
    (tmp_path / "data").mkdir()
    if to == "data":
        (tmp_path / "data" / "appendonlydir").mkdir()
        (tmp_path / "data" / "appendonlydir" / "appendonly.aof.manifest").touch()

    done = back_up(tmp_path / to, "--data-dir", tmp_path / "data")

    assert done.returncode == 1
    assert expected in done.stderr
    assert not (tmp_path / "new").exists()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory that a server has made."""
    return make_data(tmp_path_factory.mktemp("made") / "data")


@pytest.fixture
def source(data: Path, tmp_path: Path) -> Path:
    """A copy of it, which one test may damage."""
    return Path(shutil.copytree(data, tmp_path / "data"))


def test_copies_made_during_constant_rewrites_of_the_file_are_complete(tmp_path: Path) -> None:
    stop = threading.Event()

    def rewrite() -> None:
        with redis.Redis.from_url(f"unix://{store_socket(tmp_path / 'data')}") as connection:
            while not stop.is_set():
                if not connection.info("persistence")["aof_rewrite_in_progress"]:
                    connection.bgrewriteaof()

    with ServerProcess("--data-dir", str(tmp_path / "data")) as server:
        rewriting = threading.Thread(target=rewrite)
        rewriting.start()
        values = []
        for number in range(4):
            values.append(increment(server))
            done = back_up(tmp_path / f"copy-{number}", "--data-dir", tmp_path / "data")
            assert (done.returncode, done.stderr) == (0, "")
        stop.set()
        rewriting.join()

    assert [restored(tmp_path / f"copy-{number}") for number in range(4)] == values


@contextmanager
def stalled_backup(tmp_path: Path, to: Path, data_dir: Path) -> Iterator["subprocess.Popen[str]"]:
    """Yield a backup that has written the first file, and waits."""
    stalls = tmp_path / "stalls"
    (tmp_path / "sitecustomize.py").write_text(
        f"import pathlib, time, zlib\n"
        f"zlib.crc32 = lambda *_: (pathlib.Path({str(stalls)!r}).touch(), time.sleep(600))\n"
    )
    process = subprocess.Popen(
        [TALLYKEEPER, "backup", to, "--data-dir", data_dir],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    try:
        wait_until(lambda: stalls.exists() or process.poll() is not None, what="the backup writes")
        assert process.poll() is None, process.communicate()
        yield process
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE_SECONDS)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_backup_ended_by_a_signal_leaves_nothing(tmp_path: Path, source: Path, number: signal.Signals) -> None:
    (tmp_path / "copies").mkdir()
    with stalled_backup(tmp_path, tmp_path / "copies" / "copy", source) as process:
        process.send_signal(number)
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == 128 + number
    assert errors == f"tallykeeper: {number.name} ended the backup; {tmp_path / 'copies' / 'copy'} was removed\n"
    assert not list((tmp_path / "copies").iterdir())


def test_no_server_starts_on_a_copy_that_is_not_complete(tmp_path: Path, source: Path) -> None:
    copy = tmp_path / "copy"
    with stalled_backup(tmp_path, copy, source) as process:
        while_it_runs = refused_start("--data-dir", str(copy))
        process.kill()
        process.wait(PATIENCE_SECONDS)
        before = content_of(copy)
        afterwards = refused_start("--data-dir", str(copy))

    for line in (while_it_runs, afterwards):
        assert "it is the incomplete copy of a backup that was interrupted; remove it" in line
    assert content_of(copy) == before
    assert f"{copy} is the incomplete copy of a backup" in back_up(copy, "--data-dir", source).stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_backup_leaves_the_settings_of_the_store_alone(tmp_path: Path, number: signal.Signals) -> None:
    data_dir = tmp_path / "data"
    with (
        ServerProcess("--data-dir", str(data_dir)) as server,
        redis.Redis.from_url(f"unix://{store_socket(data_dir)}") as connection,
    ):
        increment(server)
        before = connection.config_get("*")
        with stalled_backup(tmp_path, tmp_path / "copy", data_dir) as process:
            during = connection.config_get("*")
            process.send_signal(number)
            process.wait(PATIENCE_SECONDS)
        after = connection.config_get("*")

    assert before == during == after
    assert before["auto-aof-rewrite-percentage"] == "100"


@pytest.mark.skipif(not namespaces_can_be_made("mount"), reason="this user may not mount file systems")
def test_a_full_disk_is_one_clear_line_and_leaves_nothing(tmp_path: Path, source: Path) -> None:
    full = tmp_path / "full"

    done = run_on_full_disk(full, "backup", full / "copy", "--data-dir", source)

    assert done.stdout == "1\n"
    assert done.stderr == f"tallykeeper: {source} was not copied to {full / 'copy'}: No space left on device\n"


def _name_outside(source: Path) -> None:
    manifest_of(source).write_text("file ../../outside seq 1 type b\n")


def _name_absolute(source: Path) -> None:
    manifest_of(source).write_text(f"file {source.parent / 'outside'} seq 1 type i\n")


def _link_to_outside(source: Path) -> None:
    appended(source).unlink()
    (source / "appendonlydir" / "appendonly.aof.1.incr.aof").symlink_to("../../outside")


def _link_folder_to_outside(source: Path) -> None:
    (source / "appendonlydir").rename(source.parent / "elsewhere")
    (source / "appendonlydir").symlink_to("../elsewhere")


def _link_manifest_to_outside(source: Path) -> None:
    manifest_of(source).rename(source.parent / "elsewhere")
    manifest_of(source).symlink_to("../../elsewhere")


def _link_format_to_outside(source: Path) -> None:
    (source / "format.json").rename(source.parent / "elsewhere")
    (source / "format.json").symlink_to("../elsewhere")


def _pipe(source: Path) -> None:
    appended(source).unlink()
    os.mkfifo(source / "appendonlydir" / "appendonly.aof.1.incr.aof")


def _remove_appended(source: Path) -> None:
    appended(source).unlink()


@pytest.mark.parametrize(
    "harm",
    [
        *(_name_outside, _name_absolute, _link_to_outside, _link_folder_to_outside, _link_manifest_to_outside),
        *(_link_format_to_outside, _pipe, _remove_appended),
    ],
)
def test_a_backup_reads_nothing_outside_of_its_source_and_writes_nothing_outside_of_its_target(
    tmp_path: Path, source: Path, harm: Callable[[Path], None]
) -> None:
    (tmp_path / "outside").write_text("secret")
    harm(source)
    (tmp_path / "copies").mkdir()
    before = {name: content_of(tmp_path / name) for name in ("data", "copies")}

    done = back_up(tmp_path / "copies" / "copy", "--data-dir", source)

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert {name: content_of(tmp_path / name) for name in ("data", "copies")} == before
    assert (tmp_path / "outside").read_text() == "secret"


def _cut_one_byte(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 1)


def _flip_one_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("harm", [_cut_one_byte, _flip_one_bit])
def test_a_copy_that_was_copied_in_part_or_is_damaged_is_refused(
    tmp_path: Path, source: Path, harm: Callable[[Path], None]
) -> None:
    assert back_up(tmp_path / "copy", "--data-dir", source).returncode == 0
    harm(appended(tmp_path / "copy"))
    before = content_of(tmp_path / "copy")

    line = refused_start("--data-dir", str(tmp_path / "copy"))

    assert "incr.aof differs from what the backup wrote" in line
    assert content_of(tmp_path / "copy") == before


def test_a_copy_is_closed_to_other_users_and_becomes_a_data_directory_when_started(
    tmp_path: Path, source: Path
) -> None:
    back_up(tmp_path / "copy", "--data-dir", source)
    copied = format_of(tmp_path / "copy")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "copy", *(tmp_path / "copy").rglob("*"))}

    assert (copied["state"], len(copied["files"])) == ("copied", 2)
    assert modes == {0o700, 0o600}
    assert [restored(tmp_path / "copy") for _ in range(2)] == [7, 7]
    assert format_of(tmp_path / "copy")["state"] == "ready"
    assert "files" not in format_of(tmp_path / "copy")


def test_a_copy_of_data_without_a_format_file_keeps_their_format(tmp_path: Path, source: Path) -> None:
    (source / "format.json").unlink()

    back_up(tmp_path / "copy", "--data-dir", source)

    assert format_of(tmp_path / "copy")["format"] == 1
    assert restored(tmp_path / "copy") == 7


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_copy_that_root_makes_belongs_to_the_owner_of_the_data(tmp_path: Path, source: Path) -> None:
    for path in (source, *source.rglob("*")):
        os.chown(path, 65_534, 65_534)

    assert back_up(tmp_path / "copy", "--data-dir", source).returncode == 0
    owners = {path.stat().st_uid for path in (tmp_path / "copy", *(tmp_path / "copy").rglob("*"))}
    assert owners == {65_534}


# Checking the files


def check_aof(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([TALLYKEEPER, "check-aof", *arguments], capture_output=True, text=True, check=False)


def test_undamaged_files_are_reported_as_such(source: Path) -> None:
    done = check_aof("--data-dir", source)

    assert (done.returncode, done.stderr) == (0, "")
    assert [line.rpartition(", ")[2] for line in done.stdout.splitlines()] == ["whole", "whole"]


def test_a_damaged_file_is_named_with_the_place_and_the_tool(source: Path) -> None:
    file = appended(source)
    size = file.stat().st_size
    file.write_bytes(file.read_bytes() + b"rubbish")
    before = content_of(source)

    done = check_aof("--data-dir", source)

    assert done.returncode == 1
    assert f"{file}: damaged after byte {size} of {size + 7}; valkey-check-aof" in done.stdout
    assert content_of(source) == before


def test_a_damaged_snapshot_is_named_with_its_tool(source: Path) -> None:
    (base,) = (source / "appendonlydir").glob("*.base.rdb")
    content = bytearray(base.read_bytes())
    content[40] ^= 1
    base.write_bytes(content)

    done = check_aof("--data-dir", source)

    assert done.returncode == 1
    assert f"{base}: damaged after byte 0 of {len(content)}; valkey-check-rdb" in done.stdout
    assert "to cut it would lose the files after it" in check_aof("--data-dir", source, "--fix").stderr


def test_a_fix_cuts_the_last_file_and_keeps_a_copy_of_it(source: Path) -> None:
    file = appended(source)
    whole = file.read_bytes()
    file.write_bytes(whole + b"rubbish")

    done = check_aof("--data-dir", source, "--fix")

    (kept,) = source.glob("*.before-cut-*")
    assert done.returncode == 0, done
    assert file.read_bytes() == whole
    assert kept.read_bytes() == whole + b"rubbish"
    assert restored(source) == 7


def test_the_files_of_a_running_server_are_not_checked(tmp_path: Path) -> None:
    with ServerProcess("--data-dir", str(tmp_path)):
        assert "is in use by another Tallykeeper" in check_aof("--data-dir", tmp_path).stderr
    assert "does not exist" in check_aof("--data-dir", tmp_path / "none").stderr
    assert not (tmp_path / "none").exists()
