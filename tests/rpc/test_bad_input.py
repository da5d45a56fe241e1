"""Bad input: every field of every request is checked, the error names it, and nothing is written."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
import redis
from google.protobuf.message import Message
from grpc import StatusCode

from tallykeeper.v1.batch_pb2 import BATCH_MODE_INDEPENDENT, ApplyRequest, Operation
from tallykeeper.v1.counter_pb2 import BatchGetCountersRequest, ConfigureCounterRequest, IncrementRequest
from tallykeeper.v1.inventory_pb2 import (
    AvailabilityLine,
    BatchGetStockRequest,
    CheckAvailabilityRequest,
    ConfigureStockRequest,
    ListStockRequest,
    MoveCopiesRequest,
    StockKey,
)
from tallykeeper.v1.ledger_pb2 import WatchRequest
from tallykeeper.v1.reservation_pb2 import CommitRequest, ReserveRequest, StockLine
from tests.rpc.bad_values import (
    BAD_VALUES,
    MAX,
    NOT_CHECKED_ALONE,
    BadField,
    BrokenText,
    bad_fields,
    broken_texts,
    field_names,
    length_delimited,
    set_field,
)
from tests.rpc.conftest import FailingCall
from tests.rpc.valid_requests import MUTATION_TYPES, preparation, valid_requests
from tests.support.batches import mode_of
from tests.support.client import REQUEST_TYPES, Caller, Failure

VIOLATIONS_MAX = 20
ANY_LOCATION_RULE = "'main' is given together with any_location; it must be empty then"


class UnchangedStore:
    """The store, as the last test left it."""

    def __init__(self, store: redis.Redis, namespace: str) -> None:
        """``namespace`` is the namespace of the tests."""
        self._store = cast("Any", store)
        self._own: list[bytes] = self._store.keys(f"tk:{{{namespace}}}:*")
        self._values = self._read_values()
        self._keys, self._namespaces = self._read_names()

    def check(self) -> None:
        """Fail if a key of the tests' namespace has another value, or if there is a new key or namespace.

        The names of all keys are read only if their number has changed, because reading them takes longer than a test.
        """
        before, self._values = self._values, self._read_values()
        assert self._values == before
        if (self._store.dbsize(), self._store.scard("tk:namespaces")) != (len(self._keys), len(self._namespaces)):
            self.check_names()

    def check_names(self) -> None:
        """Fail if there is a new key, or if the namespaces are not the same."""
        keys, namespaces = self._keys, self._namespaces
        self._keys, self._namespaces = self._read_names()
        assert _without_sweeps(self._keys - keys) == set()
        assert self._namespaces == namespaces

    def _read_values(self) -> dict[bytes, bytes]:
        """Return the keys of the tests' namespace, with their values as the store dumps them."""
        pipeline = self._store.pipeline(transaction=False)
        for key in self._own:
            pipeline.dump(key)
        return dict(zip(self._own, pipeline.execute(), strict=True))

    def _read_names(self) -> tuple[set[bytes], set[bytes]]:
        return set(self._store.keys("*")), self._store.smembers("tk:namespaces")


def _without_sweeps(keys: set[bytes]) -> set[bytes]:
    """Return the keys, except those that a sweep makes for levels of other tests that expire."""
    return {key for key in keys if not key.endswith(b"}:expiry:reservation")}


@pytest.fixture(scope="module")
def namespace() -> str:
    """The namespace of all these tests, because none of them changes it."""
    return f"test-{uuid.uuid4().hex[:16]}"


@pytest.fixture(scope="module")
def prepared(call: Caller, namespace: str) -> str:
    """A namespace in which every valid request succeeds."""
    for request in preparation(namespace):
        call(request)
    return namespace


@pytest.fixture(scope="module")
def unchanged(raw_store: redis.Redis, prepared: str) -> Iterator[UnchangedStore]:
    """Check that these tests together leave the store as it was."""
    store = UnchangedStore(raw_store, prepared)
    yield store
    store.check_names()


@pytest.fixture(autouse=True)
def nothing_written(unchanged: UnchangedStore) -> Iterator[None]:
    """Check that a test leaves the store as it was."""
    yield
    unchanged.check()


def assert_invalid(failure: Failure, *paths: str) -> None:
    """Check that a call failed because of exactly these fields."""
    assert (failure.code, failure.reason) == (StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert failure.violations.keys() == set(paths)
    assert all(failure.violations.values())
    assert failure.metadata["field"] in paths
    assert int(failure.metadata["violations"]) >= len(paths)
    assert failure.metadata.keys() == {"field", "violations"}
    assert (failure.preconditions, failure.retry_delay_seconds) == ((), None)


@pytest.fixture
def send_broken(call: Caller) -> Callable[[type[Message], bytes], Failure]:
    """Send bytes that are no valid request, and return the failure."""

    def send(request_type: type[Message], raw: bytes) -> Failure:
        with pytest.raises(Failure) as caught:
            call.send(request_type, raw)
        return caught.value

    return send


def test_there_are_bad_values_for_every_field_of_every_request() -> None:
    assert field_names() == BAD_VALUES.keys() | NOT_CHECKED_ALONE


@pytest.mark.parametrize("bad", bad_fields(), ids=str)
def test_a_bad_value_is_refused_by_name(failure: FailingCall, prepared: str, bad: BadField) -> None:
    for value in bad.values:
        request = valid_requests(prepared)[bad.request_type]
        set_field(request, bad.field, value)

        assert_invalid(failure(request), bad.path)


@pytest.mark.parametrize("request_type", MUTATION_TYPES)
def test_a_bad_value_is_refused_under_a_request_id_too(
    failure: FailingCall, prepared: str, request_type: type[Message]
) -> None:
    request = valid_requests(prepared)[request_type]
    set_field(request, "request_id", "r1")
    set_field(request, "reason", "a\nb")

    assert_invalid(failure(request), "reason")


@pytest.mark.parametrize("broken", broken_texts(), ids=str)
def test_a_text_that_is_not_utf_8_is_refused_by_name(
    send_broken: Callable[[type[Message], bytes], Failure], prepared: str, broken: BrokenText
) -> None:
    raw = valid_requests(prepared)[broken.request_type].SerializeToString()

    assert_invalid(send_broken(broken.request_type, raw + broken.tail), broken.path)


@pytest.mark.parametrize("request_type", [each for each in REQUEST_TYPES if each.DESCRIPTOR.fields])
def test_all_bad_fields_are_named_at_once(failure: FailingCall, prepared: str, request_type: type[Message]) -> None:
    request = valid_requests(prepared)[request_type]
    bad = {bad.field: bad for bad in bad_fields() if bad.request_type is request_type}
    for field, its_values in bad.items():
        set_field(request, field, its_values.values[0])

    refused = failure(request)

    assert_invalid(refused, *(each.path for each in bad.values()))


def test_all_texts_that_are_not_utf_8_are_named_at_once(
    send_broken: Callable[[type[Message], bytes], Failure], prepared: str
) -> None:
    broken = [text for text in broken_texts() if text.request_type is ConfigureCounterRequest]
    raw = valid_requests(prepared)[ConfigureCounterRequest].SerializeToString()

    failure = send_broken(ConfigureCounterRequest, raw + b"".join(text.tail for text in broken))

    assert_invalid(failure, *(text.path for text in broken))


@pytest.mark.parametrize("request_type", REQUEST_TYPES)
@pytest.mark.parametrize("raw", [b"\xff" * 20, b"\x0a\x7fshort", b"\x0b", b"\x00"])
def test_bytes_that_are_no_message_are_refused(
    send_broken: Callable[[type[Message], bytes], Failure], request_type: type[Message], raw: bytes
) -> None:
    assert_invalid(send_broken(request_type, raw), "")


def test_a_least_value_above_the_greatest_is_refused(failure: FailingCall, prepared: str) -> None:
    request = ConfigureCounterRequest(namespace=prepared, counter="visits", min=4, max=3)

    assert_invalid(failure(request), "max")


@pytest.mark.parametrize(
    "request_message",
    [ConfigureCounterRequest(counter="visits"), ConfigureStockRequest(item="dune")],
    ids=["counter", "stock"],
)
def test_a_configuration_of_nothing_is_refused(failure: FailingCall, prepared: str, request_message: Message) -> None:
    set_field(request_message, "namespace", prepared)

    assert_invalid(failure(request_message), "update_mask")


def test_a_bad_value_is_refused_though_the_mask_does_not_name_it(failure: FailingCall, prepared: str) -> None:
    request = ConfigureStockRequest(namespace=prepared, item="dune", safety_stock=-1)
    request.update_mask.paths.append("backorder_limit")

    assert_invalid(failure(request), "safety_stock")


@pytest.mark.parametrize("locations", [("", ""), ("main", ""), ("", "main"), ("annex", "annex")])
def test_a_move_to_where_the_copies_are_is_refused(
    failure: FailingCall, prepared: str, locations: tuple[str, str]
) -> None:
    request = MoveCopiesRequest(namespace=prepared, item="emma", from_location=locations[0], to_location=locations[1])

    assert_invalid(failure(request), "to_location")


def test_a_location_together_with_any_location_is_refused(failure: FailingCall, prepared: str) -> None:
    line = AvailabilityLine(item="dune", location="main", any_location=True)

    refused = failure(CheckAvailabilityRequest(namespace=prepared, lines=[AvailabilityLine(item="dune"), line]))

    assert_invalid(refused, "lines[1].location")
    assert refused.violations["lines[1].location"] == ANY_LOCATION_RULE


def test_a_list_of_a_location_and_of_any_is_refused(failure: FailingCall, prepared: str) -> None:
    refused = failure(ListStockRequest(namespace=prepared, location="main", any_location=True))

    assert_invalid(refused, "location")
    assert refused.violations["location"] == ANY_LOCATION_RULE


def test_levels_together_with_a_revision_are_refused(failure: FailingCall, prepared: str) -> None:
    request = WatchRequest(namespace=prepared, after_revision=0, include_levels=True)

    assert failure(request).reason == "INVALID_FIELD"


def test_an_operation_of_nothing_is_refused(failure: FailingCall, prepared: str) -> None:
    counted = Operation(increment=IncrementRequest(counter="visits"))

    refused = failure(
        ApplyRequest(namespace=prepared, operations=[counted, Operation(), counted], mode=BATCH_MODE_INDEPENDENT)
    )

    assert (refused.code, refused.reason) == (StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert [path.split(".")[0] for path in refused.violations] == ["operations[1]"]


@pytest.mark.parametrize("atomic", [False, True])
def test_an_operation_with_a_request_id_or_another_namespace_is_refused(
    failure: FailingCall, prepared: str, *, atomic: bool
) -> None:
    operations = [
        Operation(increment=IncrementRequest(counter="visits")),
        Operation(increment=IncrementRequest(counter="visits", request_id="r1")),
        Operation(increment=IncrementRequest(counter="visits", namespace="another")),
    ]

    refused = failure(ApplyRequest(namespace=prepared, operations=operations, mode=mode_of(atomic=atomic)))

    assert_invalid(refused, "operations[1].increment.request_id", "operations[2].increment.namespace")


@pytest.mark.parametrize("request_type", [ReserveRequest, CommitRequest])
def test_lines_whose_sum_is_no_number_are_refused(
    failure: FailingCall, prepared: str, request_type: type[Message]
) -> None:
    request = valid_requests(prepared)[request_type]
    set_field(request, "lines", [StockLine(item="emma", copies=MAX)] * 2)

    refused = failure(request)

    assert refused.code in {StatusCode.INVALID_ARGUMENT, StatusCode.FAILED_PRECONDITION, StatusCode.OUT_OF_RANGE}


@pytest.mark.parametrize("count", [21, 1_000])
def test_of_many_bad_fields_the_first_are_named_and_all_are_counted(
    failure: FailingCall, prepared: str, count: int
) -> None:
    refused = failure(BatchGetCountersRequest(namespace=prepared, counters=[""] * count))

    assert_invalid(refused, *(f"counters[{index}]" for index in range(VIOLATIONS_MAX)))
    assert int(refused.metadata["violations"]) == count


def test_of_too_many_elements_none_is_looked_at(failure: FailingCall, prepared: str) -> None:
    assert_invalid(failure(BatchGetCountersRequest(namespace=prepared, counters=[""] * 30_000)), "counters")


@pytest.mark.parametrize("character", ["\U000e0001", "😀", "\x01", "名", "\\"])
def test_an_error_about_many_long_values_fits_into_the_trailers(
    failure: FailingCall, prepared: str, character: str
) -> None:
    key = StockKey(item=character * 1_000, location=character * 1_000)

    refused = failure(BatchGetStockRequest(namespace=prepared, keys=[key] * 20))

    assert_invalid(refused, *(f"keys[{index}].{field}" for index in range(10) for field in ("item", "location")))


def test_an_error_about_a_long_mask_fits_into_the_trailers(failure: FailingCall, prepared: str) -> None:
    request = ConfigureStockRequest(namespace=prepared, item="dune")
    request.update_mask.paths.extend(["\U0001f600" * 100] * 1_000)

    refused = failure(request)

    assert_invalid(refused, "update_mask")


def test_a_request_of_more_than_four_mebibytes_is_refused(failure: FailingCall, prepared: str) -> None:
    request = IncrementRequest(namespace=prepared, counter="visits", reference="x" * 2**22)

    assert failure(request).code is StatusCode.RESOURCE_EXHAUSTED


def test_a_request_of_less_than_four_mebibytes_is_read(failure: FailingCall, prepared: str) -> None:
    request = IncrementRequest(namespace=prepared, counter="visits", reference="x" * (2**22 - 100))

    assert_invalid(failure(request), "reference")


def test_a_field_that_the_contract_does_not_have_is_passed_over(call: Caller, prepared: str) -> None:
    raw = BatchGetCountersRequest(namespace=prepared, counters=["visits"]).SerializeToString()

    reply = call.send(BatchGetCountersRequest, raw + length_delimited(15, b"\xff"))

    assert [counter.counter for counter in reply.counters] == ["visits"]
