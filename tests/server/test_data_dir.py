"""The data directory: the server that may use it, and the files that it must have."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import redis

from tallykeeper.v1.counter_pb2 import IncrementRequest
from tallykeeper_server.store.embedded.data_format import DATA_FORMAT
from tallykeeper_server.store.embedded.valkey import find_binary
from tests.server.data_dirs import (
    UNSHARE,
    appended,
    content_of,
    format_of,
    increment,
    make_data,
    manifest_of,
    namespaces_can_be_made,
    store_socket,
    value_of,
)
from tests.server.start import refused_start
from tests.support.client import Caller, Failure
from tests.support.server import (
    ANY_PORTS,
    PATIENCE_SECONDS,
    TALLYKEEPER,
    ServerProcess,
    runs,
    store_process,
    wait_until,
)

_HOLDER = """
import fcntl, os, sys, time
folder = os.open(sys.argv[1], os.O_RDONLY)
fcntl.flock(folder, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory that a server has made."""
    return make_data(tmp_path_factory.mktemp("made") / "data")


@pytest.fixture
def copy(data: Path, tmp_path: Path) -> Path:
    """A copy of it, which one test may damage."""
    return Path(shutil.copytree(data, tmp_path / "data"))


# The lock


def test_a_server_whose_lock_file_was_removed_keeps_its_data_directory(tmp_path: Path) -> None:
    with ServerProcess("--data-dir", str(tmp_path / "data")) as server:
        (tmp_path / "data" / "lock").unlink()

        assert "is in use by another Tallykeeper (process unknown)" in refused_start(
            "--data-dir", str(tmp_path / "data")
        )
        assert increment(server) == 1
    assert not server.events("the store ended; it is started again")


def test_a_holder_in_another_namespace_is_known_by_its_lock_and_not_by_its_process_id(copy: Path) -> None:
    """No process of this namespace has the id of the process in the other namespace."""
    with subprocess.Popen([sys.executable, "-c", "pass"]) as ended:
        pass
    (copy / "lock").write_text(f"{ended.pid}\n{store_socket(copy)}")
    before = content_of(copy)
    command: list[str | Path] = [sys.executable, "-c", _HOLDER, copy]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        line = refused_start("--data-dir", str(copy))
        assert holder.poll() is None
        holder.communicate()

    assert f"is in use by another Tallykeeper (process {ended.pid})" in line
    assert content_of(copy) == before


@pytest.mark.skipif(not namespaces_can_be_made("pid"), reason="this user may not make namespaces of process ids")
def test_a_server_in_another_namespace_of_process_ids_is_refused(tmp_path: Path) -> None:
    with ServerProcess("--data-dir", str(tmp_path / "data")) as server:
        namespace = [*UNSHARE, "--pid", "--fork", "--kill-child"]
        done = subprocess.run(
            [*namespace, TALLYKEEPER, "serve", *ANY_PORTS, "--data-dir", tmp_path / "data"],
            capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS,
        )  # fmt: skip

        assert done.returncode == 1
        assert "is in use by another Tallykeeper" in done.stderr
        assert increment(server) == 1
    assert not server.events("the store ended; it is started again")


@pytest.mark.parametrize("reaped", [True, False])
def test_a_process_id_in_the_lock_file_that_runs_or_is_a_zombie_blocks_no_start(
    tmp_path: Path, *, reaped: bool
) -> None:
    data_dir = tmp_path / "data"
    killed = ServerProcess("--data-dir", str(data_dir))
    wait_until(lambda: bool(killed.events("serving")), what="the server serves")
    increment(killed, 41)
    os.kill(killed.process.pid, signal.SIGKILL)
    os.waitid(os.P_PID, killed.process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is a zombie
    if reaped:
        killed.process.wait()
        (data_dir / "lock").write_text(f"{os.getpid()}\n{store_socket(data_dir)}")  # as if this process had its number

    with ServerProcess("--data-dir", str(data_dir)) as server:
        assert server.events("ending the store of a server that was killed")
        assert increment(server) == 42
    killed.process.wait()


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="only Linux shows who holds a lock")
@pytest.mark.parametrize("is_frozen", [False, True])
def test_the_store_of_a_killed_server_is_ended_though_its_socket_is_gone(tmp_path: Path, *, is_frozen: bool) -> None:
    data_dir = tmp_path / "data"
    with ServerProcess("--data-dir", str(data_dir)) as killed:
        increment(killed, 41)
        with redis.Redis.from_url(f"unix://{store_socket(data_dir)}") as connection:
            store_id = int(connection.info("server")["process_id"])
        killed.process.kill()
        killed.process.wait()
        shutil.rmtree(store_socket(data_dir).parent)
        (data_dir / "lock").unlink()
    if is_frozen:
        os.kill(store_id, signal.SIGSTOP)

    with ServerProcess("--data-dir", str(data_dir)) as server:
        assert increment(server) == 42
    assert not runs(store_id) or _is_zombie(store_id)


def _is_zombie(process_id: int) -> bool:
    return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_store_of_another_program_version_is_left_alone(copy: Path) -> None:
    """Servers of versions before 0.1 locked the file, and not the directory."""
    before = content_of(copy)
    command: list[str | Path] = [sys.executable, "-c", _HOLDER, copy / "lock"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert "is in use by another Tallykeeper" in refused_start("--data-dir", str(copy))
        holder.communicate()
    assert content_of(copy) == before


# The socket


@pytest.mark.parametrize("removed", ["socket", "directory"])
def test_a_removed_socket_is_made_again(tmp_path: Path, removed: str) -> None:
    data_dir = tmp_path / "data"
    with ServerProcess("--data-dir", str(data_dir)) as server:
        increment(server, 41)
        if removed == "socket":
            store_socket(data_dir).unlink()
        else:
            shutil.rmtree(store_socket(data_dir).parent)

        wait_until(lambda: bool(server.events("the store runs again")), what="the store runs again")
        assert server.events("the store's socket was removed; the store is started with a new one")
        assert increment(server) == 42
        assert stat.S_IMODE(store_socket(data_dir).parent.stat().st_mode) == 0o700
    assert not store_socket(data_dir).parent.exists()


def test_the_path_of_the_socket_is_short_and_may_hold_any_character(tmp_path: Path) -> None:
    for name in ("deep" * 30, "a ?%23#ö"):
        temporary = tmp_path / name
        temporary.mkdir()
        environment = {**os.environ, "TMPDIR": str(temporary)}
        with ServerProcess("--data-dir", str(tmp_path / "data"), environment=environment) as server:
            increment(server)
    assert len(os.fsencode(store_socket(tmp_path / ("deep" * 30)))) < 108


def test_two_data_directories_never_share_a_socket(tmp_path: Path) -> None:
    """Two containers that share /tmp have the same path for different directories."""
    data_dir = tmp_path / "data"
    with ServerProcess("--data-dir", str(data_dir)) as server:
        data_dir.rename(tmp_path / "moved")

        assert "in use by the store of another data directory" in refused_start("--data-dir", str(data_dir))
        assert increment(server) == 1


# The files


def _remove_manifest(data: Path) -> None:
    manifest_of(data).unlink()


def _remove_appended(data: Path) -> None:
    appended(data).unlink()


def _remove_base(data: Path) -> None:
    (base,) = (data / "appendonlydir").glob("*.base.rdb")
    base.unlink()


def _remove_folder(data: Path) -> None:
    shutil.rmtree(data / "appendonlydir")


def _empty_folder(data: Path) -> None:
    _remove_folder(data)
    (data / "appendonlydir").mkdir()


def _link_folder(data: Path) -> None:
    (data / "appendonlydir").rename(data / "elsewhere")
    (data / "appendonlydir").symlink_to("elsewhere")


def _link_appended(data: Path) -> None:
    file = appended(data)
    file.rename(data / "elsewhere")
    file.symlink_to("../elsewhere")


def _cut_base(data: Path) -> None:
    (base,) = (data / "appendonlydir").glob("*.base.rdb")
    os.truncate(base, 40)


def _empty_manifest(data: Path) -> None:
    manifest_of(data).write_bytes(b"\0" * 88)


def _manifest_out_of_the_folder(data: Path) -> None:
    manifest_of(data).write_text("file ../../etc/passwd seq 1 type b\n")


def _manifest_of_another_store(data: Path) -> None:
    for file in (data / "appendonlydir").iterdir():
        file.rename(file.with_name(file.name.replace("appendonly", "other", 1)))


def _newer_format(data: Path) -> None:
    (data / "format.json").write_text(json.dumps({"format": DATA_FORMAT + 1, "version": "9.8.7", "what": ["else"]}))


def _damaged_format(data: Path) -> None:
    (data / "format.json").write_bytes(b"\0" * 90)


def _format_of_no_number(data: Path) -> None:
    (data / "format.json").write_text(json.dumps({**format_of(data), "format": True}))


def _incomplete_copy(data: Path) -> None:
    (data / "format.json").write_text(json.dumps({**format_of(data), "state": "copying"}))


def _incomplete_start_with_data(data: Path) -> None:
    (data / "format.json").write_text(json.dumps({**format_of(data), "state": "creating"}))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_remove_manifest, ["appendonlydir/appendonly.aof.manifest is missing, though there are", "restore"]),
        (_remove_appended, ["appendonlydir/appendonly.aof.1.incr.aof", "is missing", "restore"]),
        (_remove_base, ["appendonlydir/appendonly.aof.1.base.rdb", "is missing", "restore"]),
        (_remove_folder, ["format.json is there, but appendonlydir/appendonly.aof.manifest is missing", "restore"]),
        (_empty_folder, ["format.json is there, but appendonlydir/appendonly.aof.manifest is missing", "restore"]),
        (_link_folder, ["appendonlydir is a link"]),
        (_link_appended, ["appendonlydir/appendonly.aof.1.incr.aof", "is not a regular file"]),
        (_cut_base, ["appendonlydir/appendonly.aof.1.base.rdb is damaged", "restore"]),
        (_empty_manifest, ["appendonly.aof.manifest is damaged: it is empty", "restore"]),
        (_manifest_out_of_the_folder, ["is damaged: line 1 names '../../etc/passwd'", "restore"]),
        (_manifest_of_another_store, ["appendonly.aof.manifest is missing, though there are", "other.aof.manifest"]),
        (_newer_format, [f"format {DATA_FORMAT + 1}, as Tallykeeper 9.8.7 writes it", "as new as the data"]),
        (_damaged_format, ["format.json is damaged", "restore"]),
        (_format_of_no_number, ["format.json is damaged", "restore"]),
        (_incomplete_copy, ["the incomplete copy of a backup", "run tallykeeper backup or restore again"]),
        (_incomplete_start_with_data, ["a first start was interrupted, though there are", "restore"]),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else "",
)
def test_a_directory_that_is_not_complete_is_refused_and_left_as_it_is(
    copy: Path, damage: Callable[[Path], None], words: list[str]
) -> None:
    damage(copy)
    before = content_of(copy)

    line = refused_start("--data-dir", str(copy))

    assert line.startswith(f"tallykeeper: data directory {copy} is not used, and nothing in it was changed: ")
    assert all(each in line for each in words), line
    assert content_of(copy) == before


@pytest.mark.parametrize("name", ["dump.rdb", "appendonly.aof", "nodes.conf"])
def test_the_directory_of_another_store_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"REDIS0011")

    line = refused_start("--data-dir", str(tmp_path))

    assert f"it holds {name} of another Redis or Valkey" in line
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("compact", [False, True])
def test_the_keys_of_another_application_are_refused(tmp_path: Path, *, compact: bool) -> None:
    with store_process(find_binary(None), tmp_path) as url, redis.Redis.from_url(url) as connection:
        connection.mset({f"session:{number}": "x" * 50 for number in range(20)})
        if compact:
            connection.bgrewriteaof()
            wait_until(
                lambda: not connection.info("persistence")["aof_rewrite_in_progress"], what="the file is rewritten"
            )
    before = content_of(tmp_path)

    assert "the keys of another application" in refused_start("--data-dir", str(tmp_path))
    assert content_of(tmp_path) == before


@pytest.mark.parametrize("compact", [False, True])
def test_a_directory_without_a_format_file_is_upgraded(tmp_path: Path, *, compact: bool) -> None:
    data_dir = tmp_path / "data"
    with ServerProcess("--data-dir", str(data_dir)) as server:
        increment(server, 7)
        if compact:
            with redis.Redis.from_url(f"unix://{store_socket(data_dir)}") as connection:
                connection.bgrewriteaof()
                wait_until(
                    lambda: not connection.info("persistence")["aof_rewrite_in_progress"], what="the file is rewritten"
                )
    (data_dir / "format.json").unlink()

    with ServerProcess("--data-dir", str(data_dir)) as server:
        assert value_of(server) == 7

    assert format_of(data_dir)["format"] == DATA_FORMAT


def test_a_new_directory_notes_its_format_and_who_wrote_it(data: Path) -> None:
    noted = format_of(data)

    assert (noted["format"], noted["state"]) == (DATA_FORMAT, "ready")
    assert noted["version"]
    assert noted["created"].startswith("20")
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert stat.S_IMODE((data / "format.json").stat().st_mode) == 0o600


def test_a_first_start_that_was_interrupted_begins_again(copy: Path) -> None:
    appended(copy).write_bytes(b"")
    manifest_of(copy).unlink()
    (copy / "format.json").write_text(json.dumps({**format_of(copy), "state": "creating"}))

    with ServerProcess("--data-dir", str(copy)) as server:
        assert increment(server) == 1


def test_foreign_files_are_named_and_kept(copy: Path) -> None:
    (copy / "dump.rdb").write_bytes(b"REDIS0011")

    with ServerProcess("--data-dir", str(copy)) as server:
        (warning,) = server.events("files in the data directory are no part of the data")

    assert warning["files"] == ["dump.rdb"]
    assert (copy / "dump.rdb").read_bytes() == b"REDIS0011"


def test_temporary_files_of_killed_rewrites_are_removed(copy: Path) -> None:
    names = ["temp-rewriteaof-77.aof", "temp-rewriteaof-bg-77.aof", "temp-77.rdb", "temp-77.1.rdb"]
    names += ["appendonlydir/temp-appendonly.aof.manifest", "format.json.new"]
    for name in names:
        (copy / name).write_bytes(b"half of it")

    with ServerProcess("--data-dir", str(copy)) as server:
        assert value_of(server) == 7

    assert not any((copy / name).exists() for name in names)


# A tail of zero bytes


@pytest.mark.parametrize("torn", [b"", b"*3\r\n$3\r\nSET\r\n$100\r\nabc", b"*3\r\n$3\r\nSET\r\n$1", b"*"])
@pytest.mark.parametrize("zeros", [1, 4_096, 300_001])
def test_a_tail_of_zero_bytes_is_cut_off_and_kept(copy: Path, torn: bytes, zeros: int) -> None:
    file = appended(copy)
    whole = file.read_bytes()
    file.write_bytes(whole + torn + b"\0" * zeros)

    with ServerProcess("--data-dir", str(copy)) as server:
        assert value_of(server) == 7
        (cut,) = server.events("zero bytes that a power cut left were cut off the append-only file")

    assert (cut["bytes"], cut["offset"]) == (len(torn) + zeros, len(whole))
    assert (copy / cut["kept"]).read_bytes() == torn + b"\0" * zeros
    assert file.read_bytes().startswith(whole)


def test_a_file_of_only_zero_bytes_is_emptied(copy: Path) -> None:
    file = appended(copy)
    file.write_bytes(b"\0" * 8_192)

    with ServerProcess("--data-dir", str(copy)) as server:
        assert increment(server) == 1


@pytest.mark.parametrize("rest", [b"rubbish", b"*1\r\n", b"*2\r\n$3\r\nGETxx$1\r\na\r\n", b"*x\r\n"])
def test_zero_bytes_after_other_damage_are_refused_and_kept(copy: Path, rest: bytes) -> None:
    file = appended(copy)
    file.write_bytes(file.read_bytes() + rest + b"*1\r\n$4\r\nPING\r\n" + b"\0" * 100)
    before = content_of(copy)

    line = refused_start("--data-dir", str(copy))

    assert f"{file} ends with 100 zero bytes" in line
    assert f"tallykeeper check-aof --data-dir {copy}" in line
    assert content_of(copy) == before


def test_zero_bytes_within_a_file_are_refused_with_advice(copy: Path) -> None:
    file = appended(copy)
    file.write_bytes(b"\0" * 100 + file.read_bytes())

    line = refused_start("--data-dir", str(copy))

    assert "Bad file format" in line
    assert f"tallykeeper check-aof --data-dir {copy} says which file is damaged" in line


# Its mode, its owner and its disk


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o707])
@pytest.mark.parametrize("holds_data", [False, True])
def test_other_users_are_kept_out(data: Path, tmp_path: Path, mode: int, *, holds_data: bool) -> None:
    data_dir = tmp_path / "data"
    if holds_data:
        shutil.copytree(data, data_dir)
    else:
        data_dir.mkdir()
    data_dir.chmod(mode)

    with ServerProcess("--data-dir", str(data_dir)) as server:
        (warning,) = server.events("other users could enter the data directory; its mode was changed")

    assert (warning["before"], warning["now"]) == (f"{mode:o}", "700")
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700


def test_a_directory_of_other_things_that_others_can_enter_keeps_its_mode(tmp_path: Path, copy: Path) -> None:
    for directory in (tmp_path / "things", copy):
        directory.mkdir(exist_ok=True)
        (directory / "notes.txt").touch()
        directory.chmod(0o755)

    assert "has mode 755" in refused_start("--data-dir", str(tmp_path / "things"))
    with ServerProcess("--data-dir", str(copy)) as server:
        assert server.events("other users can enter the data directory; run chmod 700 on it")

    assert stat.S_IMODE(copy.stat().st_mode) == stat.S_IMODE((tmp_path / "things").stat().st_mode) == 0o755


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)
    os.chown(tmp_path / "data", 65_534, 65_534)

    line = refused_start("--data-dir", str(tmp_path / "data"))

    assert "belongs to user nobody, and this server runs as root" in line
    assert not list((tmp_path / "data").iterdir())


def test_a_file_in_place_of_the_directory_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("mine")

    assert "cannot be written: it is not a directory" in refused_start("--data-dir", str(tmp_path / "data"))
    assert (tmp_path / "data").read_text() == "mine"


@pytest.mark.skipif(not namespaces_can_be_made("mount"), reason="this user may not mount file systems")
@pytest.mark.parametrize("options", ["ro", "size=4k", "size=8k", "size=12k", "size=16k"])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_full_or_read_only_disk_is_one_clear_line(tmp_path: Path, options: str, workers: str) -> None:
    """The disk is full at the start or a little later, or cannot be written."""
    script = 'mount -t tmpfs -o "$1,mode=700" tmpfs "$2" && shift 2 && exec "$@"'
    command: list[str | Path] = [
        TALLYKEEPER,
        "serve",
        *ANY_PORTS,
        "--workers",
        workers,
        "--data-dir",
        tmp_path,
    ]
    done = subprocess.run(
        [*UNSHARE, "--mount", "sh", "-c", script, "sh", options, tmp_path, *command],
        capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS,
    )  # fmt: skip

    (line,) = [line for line in done.stderr.splitlines() if line.startswith("tallykeeper: ")]
    assert done.returncode == 1
    assert ("Read-only file system" if options == "ro" else "No space left") in line
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not namespaces_can_be_made("mount"), reason="this user may not mount file systems")
def test_a_server_recovers_by_itself_from_a_full_disk(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    program = tmp_path / "tallykeeper-on-a-small-disk"
    mount = f"mount -t tmpfs -o size=256k,mode=700 tmpfs {data_dir}"
    program.write_text(
        f'#!/bin/sh\nexec {" ".join(UNSHARE)} --mount sh -c \'{mount} && exec {TALLYKEEPER} "$@"\' sh "$@"\n'
    )
    program.chmod(0o700)
    with ServerProcess("--data-dir", str(data_dir), program=program) as server:
        increment(server)
        filler = Path(f"/proc/{server.process.pid}/root{data_dir}/filler")
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4_096)
        call = Caller(server.target)

        def succeeds() -> bool:
            with suppress(Failure):
                return bool(call(IncrementRequest(counter="other"), timeout=1.0).revision)
            return False

        wait_until(lambda: not succeeds(), what="the disk is full")
        wait_until(lambda: bool(server.events("the store ended; it is started again")), what="the store has ended")
        filler.unlink()
        wait_until(succeeds, what="a change is made")
        assert value_of(server) == 1
        assert not call.verify().differences
        call.close()

    assert not any("Traceback" in line for line in server.lines)


def test_a_server_goes_on_without_a_writable_log(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        command: list[str | Path] = [
            TALLYKEEPER,
            "serve",
            "--listen",
            f"unix:{tmp_path}/s",
            "--http-listen",
            "",
            "--data-dir",
            tmp_path / "data",
        ]
        process = subprocess.Popen(command, stderr=full)
    wait_until((tmp_path / "s").is_socket, what="the server listens")
    assert process.poll() is None
    process.terminate()

    assert process.wait(PATIENCE_SECONDS) == 0


def test_a_setting_that_a_killed_backup_has_left_is_restored(tmp_path: Path) -> None:
    with (
        ServerProcess("--data-dir", str(tmp_path), "--promise-check-seconds", "0.05") as server,
        redis.Redis.from_url(f"unix://{store_socket(tmp_path)}") as connection,
    ):
        connection.config_set("auto-aof-rewrite-percentage", 0)

        wait_until(
            lambda: connection.config_get("auto-aof-rewrite-percentage") == {"auto-aof-rewrite-percentage": "100"},
            what="the setting is restored",
        )
        wait_until(
            lambda: bool(server.events("a setting of the store was changed; it is restored")),
            what="the repair is logged",
        )
