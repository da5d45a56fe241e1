"""Data of an older format: its promises hold after the upgrade."""

from pathlib import Path
from typing import Final

import pytest
import redis
from google.protobuf.duration_pb2 import Duration

from tallykeeper.v1.counter_pb2 import ConfigureCounterRequest, IncrementRequest
from tallykeeper.v1.inventory_pb2 import SetStockRequest
from tallykeeper.v1.namespace_pb2 import ListNamespacesRequest
from tallykeeper.v1.reservation_pb2 import ReserveRequest, StockLine
from tallykeeper_server.store.embedded.valkey import EmbeddedStore, find_binary
from tests.support.client import Caller
from tests.support.server import ServerProcess, wait_until

NAMESPACE: Final = "shop"
PREFIX: Final = f"tk:{{{NAMESPACE}}}:"
LIFE_MS: Final = 86_400_000


@pytest.fixture
def old_data(tmp_path: Path) -> Path:
    """A data directory of format 1, with Redis' own expiry, request buckets by their time, and no agenda."""
    data_dir = tmp_path / "data"
    with ServerProcess("--data-dir", str(data_dir), "--sweep-seconds", "3600") as server:
        call = Caller(server.target)
        call(IncrementRequest(namespace=NAMESPACE, counter="visits", request_id="middle"))
        call(ConfigureCounterRequest(namespace=NAMESPACE, counter="brief", ttl=Duration(seconds=86_400)))
        call(SetStockRequest(namespace=NAMESPACE, item="dune", on_hand=3))
        line, ttl = StockLine(item="dune", copies=1), Duration(nanos=1_000_000)
        call(ReserveRequest(namespace=NAMESPACE, reservation_id="basket", lines=[line], ttl=ttl))
        call.close()
        with redis.Redis.from_url(EmbeddedStore(data_dir, find_binary(None)).url) as store:
            for number, name in ((41_560, "oldest"), (41_561, "middle"), (41_562, "newest")):
                record = store.hget(f"{PREFIX}requests:1", "middle")
                store.hset(f"{PREFIX}requests:{number}", name, record or b"")
                store.pexpire(f"{PREFIX}requests:{number}", LIFE_MS)
            store.pexpire(f"{PREFIX}counter:brief", LIFE_MS)
            store.delete(f"{PREFIX}requests:1", f"{PREFIX}clock", "tk:namespaces", "tk:agenda", "tk:open-reservations")
    (data_dir / "format.json").unlink()
    return data_dir


def test_data_of_format_1_keeps_its_promises(old_data: Path) -> None:
    with ServerProcess("--data-dir", str(old_data)) as server:
        call = Caller(server.target)
        store = redis.Redis.from_url(EmbeddedStore(old_data, find_binary(None)).url)
        wait_until(lambda: not store.zcard(f"{PREFIX}expiry"), what="the reservation expires with no other call")
        again = [
            call(IncrementRequest(namespace=NAMESPACE, counter="visits", request_id=name)).replayed
            for name in ("oldest", "middle", "newest")
        ]
        listed = [each.namespace for each in call(ListNamespacesRequest()).namespaces]
        lives = {store.pttl(key) for key in store.keys(f"{PREFIX}*")}
        open_count = store.get("tk:open-reservations")
        store.close()
        call.close()

    assert again == [True, True, True]
    assert listed == [NAMESPACE]
    assert lives == {-1}
    assert open_count == b"0"
