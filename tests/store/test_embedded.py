"""How the embedded store allocates memory, and that its append-only file can be rewritten meanwhile."""

import asyncio
import os
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Never

import pytest
import redis

from tallykeeper_server.store import embedded
from tallykeeper_server.store.embedded import EmbeddedStore, find_binary, store_environment
from tests.serving import wait_until

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="mimalloc is preloaded on Linux alone")


class Distribution:
    """An installed package in a directory of the test's."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def locate_file(self, path: str) -> Path:
        return self._directory / path


@pytest.fixture(autouse=True)
def nothing_is_preloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LD_PRELOAD", raising=False)


@ON_LINUX
def test_the_valkey_of_the_wheel_allocates_by_mimalloc(tmp_path: Path) -> None:
    def maps_of(url: str) -> str:
        with redis.Redis.from_url(url) as connection:
            return Path(f"/proc/{connection.info('server')['process_id']}/maps").read_text()

    async def mapped() -> str:
        async with EmbeddedStore(tmp_path, find_binary(None)) as store:
            return await asyncio.to_thread(maps_of, store.url)

    assert "libmimalloc.so" in asyncio.run(mapped())


def test_other_binaries_allocate_as_they_were_built_to() -> None:
    assert store_environment(Path("/usr/bin/redis-server")) == dict(os.environ)


def test_what_the_servers_environment_preloads_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_PRELOAD", "/usr/lib/libjemalloc.so.2")
    assert store_environment(find_binary(None))["LD_PRELOAD"] == "/usr/lib/libjemalloc.so.2"


def test_a_store_runs_without_mimalloc(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> Never:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(embedded, "distribution", nothing)
    assert "LD_PRELOAD" not in store_environment(find_binary(None))


@pytest.mark.parametrize("directory", ["our packages", "packages:ours"])
def test_a_path_that_ld_preload_would_part_is_not_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, directory: str
) -> None:
    library = tmp_path / directory / "cmeel.prefix/lib/libmimalloc.so"
    library.parent.mkdir(parents=True)
    library.touch()
    monkeypatch.setattr(embedded, "distribution", lambda _: Distribution(tmp_path / directory))

    assert "LD_PRELOAD" not in store_environment(find_binary(None))


def test_the_file_is_rewritten_while_memory_is_freed_in_the_background(tmp_path: Path) -> None:
    """A rewrite is a fork, which must not find the allocator's locks held by another thread: it would never end."""

    def rewritten(connection: redis.Redis) -> bool:
        told = connection.info("persistence")
        return not told["aof_rewrite_in_progress"] and not told["aof_rewrite_scheduled"]

    async def rewrite_often() -> None:
        async with EmbeddedStore(tmp_path, find_binary(None)) as store:
            with redis.Redis.from_url(store.url) as connection:
                for turn in range(20):
                    for place in range(4):
                        name = f"large:{turn}:{place}"
                        connection.hset(name, mapping={f"field {number}": "x" * 100 for number in range(2_000)})
                    connection.bgrewriteaof()
                    connection.unlink(*(f"large:{turn}:{place}" for place in range(4)))
                    wait_until(lambda: rewritten(connection), what="the rewrite ends")
                assert connection.info("persistence")["aof_last_bgrewrite_status"] == "ok"

    asyncio.run(rewrite_often())
