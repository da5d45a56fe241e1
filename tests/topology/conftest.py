"""A cluster and a watched pair, each with a server, made when a test first asks for them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest

from tallykeeper_server.settings import Settings
from tests.support.client import Caller
from tests.support.server import ThreadedServer
from tests.topology.clusters import ClusterOfNodes
from tests.topology.sentinels import WatchedPair

Nodes = TypeVar("Nodes", ClusterOfNodes, WatchedPair)


@contextmanager
def running(nodes: Nodes) -> Iterator[Nodes]:
    """Start nodes, and end them."""
    try:
        nodes.start()
        yield nodes
    finally:
        nodes.stop()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterOfNodes]:
    """Three primaries with a replica each."""
    with running(ClusterOfNodes(tmp_path_factory.mktemp("cluster"))) as nodes:
        yield nodes


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedPair]:
    """A primary, its replica, and three sentinels."""
    with running(WatchedPair(tmp_path_factory.mktemp("pair"))) as nodes:
        yield nodes


@pytest.fixture(scope="session")
def cluster_target(cluster: ClusterOfNodes) -> Iterator[str]:
    """The address of a server on the cluster."""
    with ThreadedServer(Settings(listen="127.0.0.1:0", store=cluster.url, sweep_seconds=0.2)) as server:
        yield server.target


@pytest.fixture(scope="session")
def pair_target(pair: WatchedPair) -> Iterator[str]:
    """The address of a server on the pair."""
    with ThreadedServer(Settings(listen="127.0.0.1:0", store=pair.url, sweep_seconds=0.2)) as server:
        yield server.target


@pytest.fixture
def cluster_call(cluster_target: str) -> Iterator[Caller]:
    """A caller of the server on the cluster."""
    caller = Caller(cluster_target)
    yield caller
    caller.close()


@pytest.fixture
def pair_call(pair_target: str) -> Iterator[Caller]:
    """A caller of the server on the pair."""
    caller = Caller(pair_target)
    yield caller
    caller.close()
