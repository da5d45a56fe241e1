"""VerifyNamespace: the ledger is compared with the levels, and each difference is found."""

from typing import cast

import pytest
import redis
from google.protobuf.duration_pb2 import Duration

from tallykeeper.v1.counter_pb2 import (
    ConfigureCounterRequest,
    DeleteCounterRequest,
    GetCounterRequest,
    IncrementRequest,
)
from tallykeeper.v1.inventory_pb2 import ConfigureStockRequest, DecrementCopiesRequest, SetStockRequest
from tallykeeper.v1.ledger_pb2 import (
    DIFFERENCE_KIND_COUNTER,
    DIFFERENCE_KIND_LEDGER,
    DIFFERENCE_KIND_RESERVATION,
    DIFFERENCE_KIND_STOCK,
    VerifyNamespaceRequest,
    VerifyResult,
)
from tallykeeper.v1.reservation_pb2 import CommitRequest, ReserveRequest, StockLine
from tests.rpc.conftest import FailingCall
from tests.support.client import Caller, Failure
from tests.support.server import wait_until


@pytest.fixture
def changed(call: Caller, namespace: str) -> str:
    """A namespace with mutations of many kinds."""
    call(IncrementRequest(namespace=namespace, counter="visits", delta=3))
    call(IncrementRequest(namespace=namespace, counter="gone"))
    call(DeleteCounterRequest(namespace=namespace, counter="gone"))
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=9))
    call(SetStockRequest(namespace=namespace, item="dune", location="annex", on_hand=4))
    call(ConfigureStockRequest(namespace=namespace, item="dune", safety_stock=1))
    call(DecrementCopiesRequest(namespace=namespace, item="dune", copies=2))
    for reservation_id in ("open", "taken"):
        lines = [StockLine(item="dune"), StockLine(item="dune", location="annex")]
        call(ReserveRequest(namespace=namespace, reservation_id=reservation_id, lines=lines))
    call(CommitRequest(namespace=namespace, reservation_id="taken", lines=[StockLine(item="dune")]))
    return namespace


def verify(call: Caller, namespace: str) -> VerifyResult:
    """Return the differences that the verification finds."""
    return call.verify(namespace)


def test_what_nobody_tampered_with_is_clean(call: Caller, changed: str) -> None:
    report = verify(call, changed)

    assert (report.clean, list(report.differences), report.difference_count) == (True, [], 0)
    assert (report.from_revision, report.revision) == (1, 10)
    assert (report.levels_unchecked, report.reservations_checked) == (0, 2)
    assert report.levels_checked >= 3


def test_a_namespace_without_changes_is_clean(call: Caller, namespace: str) -> None:
    assert verify(call, namespace) == VerifyResult(clean=True, from_revision=1)


def test_a_counter_that_has_expired_is_clean(call: Caller, changed: str) -> None:
    life = Duration(nanos=1_000_000)
    call(ConfigureCounterRequest(namespace=changed, counter="visits", ttl=life))
    wait_until(lambda: _is_gone(call, changed), what="the counter expires")

    assert verify(call, changed).clean


def _is_gone(call: Caller, namespace: str) -> bool:
    try:
        call(GetCounterRequest(namespace=namespace, counter="visits"))
    except Failure as failure:
        return failure.reason == "COUNTER_NOT_FOUND"
    return False


@pytest.mark.parametrize(
    ("key", "value", "difference"),
    [
        ("counter:visits", "4", (DIFFERENCE_KIND_COUNTER, "visits", "")),
        ("counter:visits", None, (DIFFERENCE_KIND_COUNTER, "visits", "")),
        ("counter:gone", "1", (DIFFERENCE_KIND_COUNTER, "gone", "")),
        ("stock:main:dune", "8 1 1 0 0", (DIFFERENCE_KIND_STOCK, "dune", "main")),
        ("stock:main:dune", "6 0 1 0 0", (DIFFERENCE_KIND_STOCK, "dune", "main")),
        ("stock:annex:dune", None, (DIFFERENCE_KIND_STOCK, "dune", "annex")),
        ("reservation:open", None, (DIFFERENCE_KIND_RESERVATION, "open", "")),
    ],
)
def test_what_was_tampered_with_is_a_difference(
    call: Caller, changed: str, raw_store: redis.Redis, *, key: str, value: str | None, difference: tuple[int, str, str]
) -> None:
    path = f"tk:{{{changed}}}:{key}"
    if value is None:
        raw_store.delete(path)
    else:
        raw_store.set(path, value)

    report = verify(call, changed)

    assert (report.clean, report.difference_count) == (False, len(report.differences))
    assert difference in [(each.kind, each.name, each.location) for each in report.differences]
    for each in report.differences:
        assert each.expected != each.actual
        assert each.expected
        assert each.actual


def test_an_entry_that_is_missing_is_a_difference(call: Caller, changed: str, raw_store: redis.Redis) -> None:
    key = f"tk:{{{changed}}}:ledger"
    ids = [stream_id for stream_id, _ in cast("list[tuple[bytes, object]]", raw_store.xrange(key))]
    raw_store.xdel(key, ids[6])

    report = verify(call, changed)

    assert not report.clean
    assert DIFFERENCE_KIND_LEDGER in {difference.kind for difference in report.differences}


def test_of_many_differences_the_first_thousand_are_reported_and_all_are_counted(
    call: Caller, namespace: str, raw_store: redis.Redis
) -> None:
    names = [f"counter-{number}" for number in range(1_001)]
    for name in names:
        call(IncrementRequest(namespace=namespace, counter=name))
    raw_store.delete(*(f"tk:{{{namespace}}}:counter:{name}" for name in names))

    report = verify(call, namespace)

    assert (len(report.differences), report.difference_count) == (1_000, 1_001)


def test_it_tells_its_progress_and_then_its_result(call: Caller, changed: str) -> None:
    with call.stream(VerifyNamespaceRequest(namespace=changed)) as responses:
        first, *_, last = responses

    assert first.WhichOneof("response") == "progress"
    assert last.result == verify(call, changed)


def test_an_invalid_namespace_is_refused_before_anything_is_sent(failure: FailingCall) -> None:
    assert failure(VerifyNamespaceRequest(namespace="a b")).violations.keys() == {"namespace"}
