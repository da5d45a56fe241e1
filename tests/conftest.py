"""Fixtures of all tests: a server on each kind of store of this machine, and a namespace for each test."""

import shutil
import signal
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest
import redis
import structlog

from tallykeeper_server.runtime.logs import configure_logs
from tallykeeper_server.settings import Settings
from tallykeeper_server.store.embedded.valkey import EmbeddedStore, find_binary
from tests.rpc.oracle import recording
from tests.support.client import Caller
from tests.support.server import ThreadedServer, store_process

_REDIS_ON_PATH = shutil.which("redis-server")
_TESTS: Final = Path(__file__).parent
_LONG_FOLDERS: Final = frozenset({"chaos", "faults", "files", "fuzz", "model", "topology"})
"""The folders of tests that kill, wait, or send many messages."""
_LONG_MODULES: Final = frozenset(
    f"server/test_{name}.py"
    for name in ("backup", "data_dir", "lifetime", "listen", "metrics_of_workers", "reload", "workers")
)
"""The modules whose tests start servers in their own processes. Each start takes half a second of CPU time or more."""
_STORE_FOLDERS: Final = frozenset({"lua", "store"})
"""The folders that test the script and the store. Their tests run quickly on each kind of store."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the long tests, which ``make test`` leaves to ``make test-long``.

    These are the tests of the long folders and modules. Most tests run on Valkey in ``make test``, and are repeated on
    a Redis from PATH in ``make test-long``.
    """
    for item in items:
        path = item.path.relative_to(_TESTS)
        repeats = _store_kind_of(item) == "redis" and path.parts[0] not in _STORE_FOLDERS
        if repeats or path.parts[0] in _LONG_FOLDERS or path.as_posix() in _LONG_MODULES:
            item.add_marker("long")


def _store_kind_of(item: pytest.Item) -> str | None:
    """Return the kind of store on which a test runs; None if it does not ask for one."""
    parameters = getattr(item, "callspec", None)  # a test without parameters has none
    return parameters.params.get("store_kind") if parameters else None


@pytest.fixture(scope="session", autouse=True)
def default_signals() -> None:
    """Let the processes of the tests end by signals that they would ignore.

    Under nohup they would ignore SIGHUP, and behind the ``&`` of a script SIGINT.
    """
    for number, handler in ((signal.SIGHUP, signal.SIG_DFL), (signal.SIGINT, signal.default_int_handler)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.fixture(scope="session", autouse=True)
def quiet_logs() -> None:
    """Log only errors, as text."""
    configure_logs(level="error", log_format="text")


@pytest.fixture(autouse=True)
def quiet_logs_afterwards() -> Iterator[None]:
    """Configure the log again after a test that configured it for another stream."""
    before = structlog.get_config()["logger_factory"]
    yield
    if structlog.get_config()["logger_factory"] is not before:
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
    """A namespace that only this test uses."""
    return f"test-{uuid.uuid4().hex[:16]}"


@pytest.fixture
def own_store(tmp_path: Path) -> Iterator[str]:
    """The URL of a store that only this test uses. It may stop the store, remove it, and count its keys."""
    with store_process(find_binary(None), tmp_path) as url:
        yield url
