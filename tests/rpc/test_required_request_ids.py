"""A server that refuses changes without a request id."""

from collections.abc import Iterator

import grpc
import pytest
from google.protobuf.message_factory import GetMessageClass

from tallykeeper.v1 import batch_pb2
from tallykeeper.v1.counter_pb2 import GetCounterRequest, IncrementRequest, SetCounterRequest
from tallykeeper.v1.ledger_pb2 import LookupRequestRequest
from tallykeeper_server.rpc.permissions import is_mutation
from tallykeeper_server.settings import Settings
from tests.http.http_client import COUNTERS, request
from tests.support.client import METHODS, OWN_CONNECTION, Caller, Failure
from tests.support.server import ThreadedServer


@pytest.fixture(scope="module")
def strict(store_url: str) -> Iterator[ThreadedServer]:
    with ThreadedServer(Settings(listen="127.0.0.1:0", store=store_url, require_request_ids=True)) as server:
        yield server


@pytest.fixture(scope="module")
def strict_call(strict: ThreadedServer) -> Iterator[Caller]:
    caller = Caller(strict.target, OWN_CONNECTION)
    yield caller
    caller.close()


@pytest.mark.parametrize("name", sorted(name for name, method in METHODS.items() if is_mutation(method)))
def test_every_change_without_a_request_id_is_refused(strict_call: Caller, name: str) -> None:
    with pytest.raises(Failure) as failed:
        strict_call(GetMessageClass(METHODS[name].input_type)())

    assert (failed.value.code, failed.value.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert set(failed.value.violations) == {"request_id"}
    assert "is absent" in failed.value.violations["request_id"]


def test_a_refused_change_changes_nothing_and_one_with_an_id_counts(strict_call: Caller, namespace: str) -> None:
    with pytest.raises(Failure):
        strict_call(SetCounterRequest(namespace=namespace, counter="c", value=5))
    assert strict_call(IncrementRequest(namespace=namespace, counter="c", request_id="a")).counter.value == 1


def test_a_batch_needs_one_id_for_all_its_operations(strict_call: Caller, namespace: str) -> None:
    operation = batch_pb2.Operation(increment=IncrementRequest(counter="c"))
    batch = batch_pb2.ApplyRequest(namespace=namespace, mode=batch_pb2.BATCH_MODE_ATOMIC, operations=[operation])
    with pytest.raises(Failure) as failed:
        strict_call(batch)
    batch.request_id = "b"

    assert set(failed.value.violations) == {"request_id"}
    assert strict_call(batch).revision == 1


def test_reads_need_none(strict_call: Caller, namespace: str) -> None:
    with pytest.raises(Failure) as failed:
        strict_call(GetCounterRequest(namespace=namespace, counter="c"))
    assert failed.value.reason == "COUNTER_NOT_FOUND"
    assert strict_call(LookupRequestRequest(namespace=namespace, request_id="x")).outcome


def test_over_http_the_idempotency_key_is_enough(strict: ThreadedServer, namespace: str) -> None:
    body = {"namespace": namespace, "counter": "c"}
    refused = request(strict.http, f"{COUNTERS}/Increment", body)

    assert (refused.status, set(refused.violations)) == (400, {"request_id"})
    assert request(strict.http, f"{COUNTERS}/Increment", body, {"Idempotency-Key": "k"}).status == 200
