"""Copies of the embedded store's data."""

import subprocess
import threading
from pathlib import Path

import pytest
import redis

from tallykeeper.v1.counter_pb2 import GetCounterRequest, IncrementRequest
from tallykeeper.v1.ledger_pb2 import VerifyNamespaceRequest
from tallykeeper_server.store.embedded import EmbeddedStore, find_binary
from tests.calling import Caller
from tests.serving import TALLYKEEPER, ServerProcess


def back_up(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([TALLYKEEPER, "backup", *arguments], capture_output=True, text=True, check=False)


def restored(place: Path) -> int:
    """Return what a server on a copy counts, having verified it."""
    with ServerProcess("--data-dir", str(place)) as server:
        call = Caller(server.target)
        assert not call(VerifyNamespaceRequest()).differences
        value = int(call(GetCounterRequest(counter="visits")).counter.value)
        call.close()
    return value


def test_a_copy_made_under_load_has_all_that_was_acknowledged_before(tmp_path: Path) -> None:
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
            connection.bgrewriteaof()  # the copy waits for it
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
    ("to", "told"),
    [("data", "data cannot be made: File exists; name a directory that does not exist yet"), ("new", "holds no data")],
)
def test_what_cannot_be_copied_is_one_clear_line(tmp_path: Path, to: str, told: str) -> None:
    (tmp_path / "data").mkdir()
    if to == "data":
        (tmp_path / "data" / "appendonlydir").mkdir()
        (tmp_path / "data" / "appendonlydir" / "appendonly.aof.manifest").touch()

    done = back_up(tmp_path / to, "--data-dir", tmp_path / "data")

    assert done.returncode == 1
    assert told in done.stderr
    assert not (tmp_path / "new").exists()
