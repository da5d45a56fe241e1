"""The messages of the server when it starts, and when it cannot start."""

import json
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest
import redis

from tallykeeper.v1.counter_pb2 import IncrementRequest
from tallykeeper_server.store.embedded.valkey import EmbeddedStore, find_binary
from tests.server.start import refused_start
from tests.support.client import Caller
from tests.support.server import ANY_PORTS, PATIENCE_SECONDS, TALLYKEEPER, ServerProcess, store_process


@contextmanager
def played_peer(reply_to: Callable[[bytes], bytes]) -> Iterator[str]:
    """Listen, and give each request this answer. Yield the URL of the apparent store."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    while request := connection.recv(65_536):
                        connection.sendall(reply_to(request))

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()


def played_store(info: str) -> AbstractContextManager[str]:
    """Listen like a store with this answer to INFO, and OK to all other commands. Yield its URL."""
    return played_peer(lambda request: f"${len(info)}\r\n{info}\r\n".encode() if b"INFO" in request else b"+OK\r\n")


def test_the_start_lines_show_the_address_the_data_the_promises_and_an_example(tmp_path: Path) -> None:
    with ServerProcess("--data-dir", str(tmp_path)) as server:
        Caller(server.target)(IncrementRequest(counter="v"))

    (serving,) = server.events("serving")
    (store,) = server.events("store")
    (promise,) = server.events("promise")
    (hint,) = server.events("try next")
    assert serving["listen"].startswith("127.0.0.1:")
    assert store["data_dir"] == str(tmp_path)
    assert store["kind"].startswith("Valkey ")
    assert promise["durability"] == "fsync"
    assert hint["command"] == f"tallykeeper demo --target {serving['listen']}"
    assert all(json.loads(line) for line in server.lines)


def test_the_start_lines_can_be_plain_text(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [TALLYKEEPER, "serve", *ANY_PORTS, "--data-dir", tmp_path, "--log-format", "text"],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    lines = [process.stderr.readline() for _ in range(5)]
    process.terminate()
    process.communicate(timeout=PATIENCE_SECONDS)

    for line, words in zip(lines, ("serving", "store", "promise", "access", "try next"), strict=True):
        assert words in line
        assert not line.startswith("{")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--appendonly", "no"), ["keeps no append-only file", "appendonly yes"]),
        (
            ("--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "allkeys-lru"),
            ["maxmemory-policy is allkeys-lru", "noeviction"],
        ),
        (("--appendonly", "yes", "--appendfsync", "everysec"), ["appendfsync is everysec", "appendfsync always"]),
        (
            ("--appendonly", "yes", "--appendfsync", "always", "--no-appendfsync-on-rewrite", "yes"),
            ["no-appendfsync-on-rewrite is yes", "set no-appendfsync-on-rewrite no"],
        ),
    ],
)
def test_the_start_names_the_promise_that_a_store_does_not_hold(
    tmp_path: Path, options: tuple[str, ...], expected: list[str]
) -> None:
    with (
        store_process(find_binary(None), tmp_path, *options) as url,
        ServerProcess("--store", url) as server,
    ):
        pass

    (warning,) = server.events("a promise does not hold")
    assert all(words in warning["reason"] for words in expected)
    assert bool(server.events("promise")) == ("allkeys-lru" in options)  # the only store that syncs each write


@pytest.mark.parametrize("level", [("--durability", "replicated"), ("--namespace-durability", "shop=replicated")])
def test_the_embedded_store_has_no_replicas(tmp_path: Path, level: tuple[str, str]) -> None:
    line = refused_start("--data-dir", str(tmp_path / "data"), *level)

    assert "the embedded store has no replicas, which level replicated needs; set store to one that has" in line
    assert not (tmp_path / "data").exists()


def test_at_level_memory_the_embedded_store_does_not_sync_each_write(tmp_path: Path) -> None:
    with ServerProcess("--data-dir", str(tmp_path), "--durability", "memory") as server:
        with redis.Redis.from_url(EmbeddedStore(tmp_path, find_binary(None)).url) as connection:
            assert connection.config_get("appendfsync") == {"appendfsync": "everysec"}

        (promise,) = server.events("promise")
        assert promise["durability"] == "memory"
        assert not server.events("a promise does not hold")


def test_a_missing_store_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        url = f"redis://user:secret@127.0.0.1:{unused.getsockname()[1]}"

    line = refused_start("--store", url)

    assert "cannot be reached" in line
    assert "127.0.0.1" in line
    assert "secret" not in line


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ("redis_version:6.2.14\r\nrole:master", "the store is Redis 6.2.14; at least Redis 7.0 or Valkey 7.2"),
        ("redis_version:7.2.4\r\nvalkey_version:7.1.0\r\nrole:master", "the store is Valkey 7.1.0"),
        ("redis_version:7.2.4\r\nrole:slave\r\nmaster_host:10.0.0.1", "a replica of 10.0.0.1"),
        ("redis_version:7.2.4\r\nredis_mode:sentinel", "the store is a sentinel"),
        ("redis_version:7.2.4\r\nvalkey_version:8.1.0\r\nserver_mode:cluster\r\nrole:master", "node of a cluster"),
    ],
)
def test_a_store_that_cannot_be_used_is_one_clear_line(info: str, expected: str) -> None:
    with played_store(info) as url:
        assert expected in refused_start("--store", url)


def test_a_server_that_is_no_store_is_one_clear_line() -> None:
    with played_peer(lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n") as url:
        line = refused_start("--store", url)

    assert url in line
    assert "does not answer as Redis does" in line


def test_a_wrong_password_is_one_clear_line(tmp_path: Path) -> None:
    with store_process(find_binary(None), tmp_path) as url:
        with redis.Redis.from_url(url) as connection:
            connection.config_set("requirepass", "right")

        line = refused_start("--store", f"{url}?password=wrong")

    assert "cannot be reached" in line
    assert "assword" in line


@pytest.mark.parametrize("below", ["/proc/tallykeeper", "/dev/null/tallykeeper"])
def test_a_data_directory_that_cannot_be_written_is_one_clear_line(below: str) -> None:
    assert f"data directory {below} cannot be written" in refused_start("--data-dir", below)


def test_a_data_directory_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with ServerProcess("--data-dir", str(tmp_path)) as server:
        line = refused_start("--data-dir", str(tmp_path))

    assert f"data directory {tmp_path} is in use by another Tallykeeper (process {server.process.pid})" in line


@pytest.mark.parametrize("binary", ["/does/not/exist", "/dev/null"])
def test_a_store_binary_that_cannot_be_run_is_one_clear_line(tmp_path: Path, binary: str) -> None:
    line = refused_start("--data-dir", str(tmp_path), "--store-binary", binary)

    assert f"{binary} cannot be run" in line


def test_a_store_binary_that_is_no_program_is_one_clear_line(tmp_path: Path) -> None:
    binary = tmp_path / "valkey-server"
    binary.write_text("not a program")
    binary.chmod(0o700)

    line = refused_start("--data-dir", str(tmp_path / "data"), "--store-binary", str(binary))

    assert line.startswith(f"tallykeeper: {binary} ")


def test_a_broken_append_only_file_is_reported_and_left_as_it_is(tmp_path: Path) -> None:
    with ServerProcess("--data-dir", str(tmp_path)) as server:
        Caller(server.target)(IncrementRequest(counter="v"))
    (file,) = tmp_path.glob("appendonlydir/*.incr.aof")
    broken = b"rubbish" + file.read_bytes()
    file.write_bytes(broken)

    line = refused_start("--data-dir", str(tmp_path))

    assert "ended with status 1" in line
    assert "Bad file format" in line
    assert file.read_bytes() == broken
