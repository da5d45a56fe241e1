"""Fixtures of all tests: a server on each kind of store of this machine, and a namespace for each test."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest
import redis

from tallykeeper_server.runtime.logs import configure_logs
from tallykeeper_server.settings import Settings
from tallykeeper_server.store.embedded.valkey import EmbeddedStore, find_binary
from tests.rpc.oracle import recording
from tests.support.client import Caller
from tests.support.server import ThreadedServer, store_process

_REDIS_ON_PATH = shutil.which("redis-server")
_TESTS: Final = Path(__file__).parent
_LONG_FOLDERS: Final = frozenset({"chaos", "faults", "files", "fuzz", "model", "topology"})
"""The folders of tests that kill, wait, or send many messages. ``make test`` leaves them to ``make test-all``."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the long folders."""
    for item in items:
        if item.path.relative_to(_TESTS).parts[0] in _LONG_FOLDERS:
            item.add_marker("long")


@pytest.fixture(scope="session", autouse=True)
def quiet_logs() -> None:
    """Log nothing but errors, as text."""
    configure_logs(level="error", log_format="text")


@pytest.fixture(
    scope="session",
    params=[
        "valkey",
        pytest.param("redis", marks=pytest.mark.skipif(not _REDIS_ON_PATH, reason="no redis-server on PATH")),
    ],
)
def store_kind(request: pytest.FixtureRequest) -> str:
    """The embedded Valkey of the wheel, and a Redis from PATH where there is one."""
    return str(request.param)


@pytest.fixture(scope="session")
def served(store_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ThreadedServer, str]]:
    """A server and the URL of its store."""
    directory = tmp_path_factory.mktemp("store")
    with ExitStack() as stack:
        if store_kind == "valkey":
            store, url = "embedded", EmbeddedStore(directory, find_binary(None)).url
        else:
            store = url = stack.enter_context(store_process(Path(_REDIS_ON_PATH or ""), directory))
        settings = Settings(listen="127.0.0.1:0", data_dir=directory, store=store, reflection=True)
        stack.enter_context(recording())
        yield stack.enter_context(ThreadedServer(settings)), url


@pytest.fixture(scope="session")
def server(served: tuple[ThreadedServer, str]) -> ThreadedServer:
    """A server; ``server.target`` is where it listens."""
    return served[0]


@pytest.fixture(scope="session")
def store_url(served: tuple[ThreadedServer, str]) -> str:
    """The URL of the server's store."""
    return served[1]


@pytest.fixture(scope="session")
def raw_store(store_url: str) -> Iterator[redis.Redis]:
    """A plain connection to the server's store, to look at what is in it."""
    with redis.Redis.from_url(store_url) as connection:
        yield connection


@pytest.fixture(scope="session")
def call(server: ThreadedServer) -> Iterator[Caller]:
    """Calls the server with a request message; the request's type tells the RPC."""
    caller = Caller(server.target)
    yield caller
    caller.close()


@pytest.fixture
def namespace() -> str:
    """A namespace of this test's own."""
    return f"test-{uuid.uuid4().hex[:16]}"


@pytest.fixture
def own_store(tmp_path: Path) -> Iterator[str]:
    """The URL of a store of this test's own, which it may stop, take away or count the keys of."""
    with store_process(find_binary(None), tmp_path) as url:
        yield url
