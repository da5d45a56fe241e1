"""The exceptions that the client makes of the server's trailers, and their values."""

import pickle
import re
from collections.abc import Mapping
from pathlib import Path

import grpc
import pytest
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, RetryInfo

import tallykeeper.v1
from tallykeeper_client import (
    BatchTooLarge,
    CounterBoundExceeded,
    CounterNotFound,
    DeadlineExceeded,
    InternalError,
    InvalidField,
    ItemNotFound,
    LevelDamaged,
    NotDurableYet,
    OutcomeUnknown,
    Overloaded,
    PageTokenInvalid,
    RequestIdReused,
    RequestTooLarge,
    ReservationCommitted,
    ReservationExists,
    ReservationExpired,
    ReservationLifetimeExceeded,
    ReservationNotFound,
    ReservationReleased,
    RevisionAhead,
    RevisionsLost,
    RevisionTrimmed,
    ShuttingDown,
    StockBelowReserved,
    StockNotEmpty,
    StoreOutOfMemory,
    StoreUnavailable,
    TallykeeperError,
    TooManyWatches,
    Unavailable,
    ValueChanged,
    ValueOverflow,
    WatcherTooSlow,
)
from tallykeeper_client.errors import reasons
from tests.client.connection import Connect
from tests.client.scripted_server import Refusal, ScriptedServer, Trailers
from tests.client.trailers import DETAILS_KEY, NEVER_AGAIN, trailers

Code = grpc.StatusCode
LEVEL = {"item": "dune", "location": "main"}
BASKET = {"reservation_id": "basket-1"}


@pytest.mark.parametrize(
    ("code", "reason", "metadata", "kind", "attributes"),
    [
        (Code.INVALID_ARGUMENT, "REQUEST_ID_REUSED", {}, RequestIdReused, {}),
        (Code.NOT_FOUND, "COUNTER_NOT_FOUND", {"counter": "c"}, CounterNotFound, {"counter": "c"}),
        (Code.NOT_FOUND, "ITEM_NOT_FOUND", LEVEL, ItemNotFound, LEVEL),
        (Code.NOT_FOUND, "ITEM_NOT_FOUND", {"item": "d"}, ItemNotFound, {"item": "d", "location": None}),
        (
            Code.FAILED_PRECONDITION,
            "STOCK_NOT_EMPTY",
            LEVEL | {"on_hand": "3", "reserved": "0"},
            StockNotEmpty,
            LEVEL | {"on_hand": 3, "reserved": 0},
        ),
        (
            Code.OUT_OF_RANGE,
            "COUNTER_BOUND_EXCEEDED",
            {"value": "9", "delta": "2", "min": "0", "max": "10"},
            CounterBoundExceeded,
            {"value": 9, "delta": 2, "min": 0, "max": 10},
        ),
        (
            Code.OUT_OF_RANGE,
            "COUNTER_BOUND_EXCEEDED",
            {"value": "9"},
            CounterBoundExceeded,
            {"value": 9, "delta": None, "min": None, "max": None},
        ),
        (
            Code.OUT_OF_RANGE,
            "VALUE_OVERFLOW",
            {"value": "1", "delta": "2"},
            ValueOverflow,
            {"metadata": {"value": "1", "delta": "2"}},
        ),
        (
            Code.ABORTED,
            "VALUE_CHANGED",
            {"actual": "4", "expected": "5"},
            ValueChanged,
            {"actual": 4, "expected": 5},
        ),
        (
            Code.FAILED_PRECONDITION,
            "STOCK_BELOW_RESERVED",
            LEVEL | {"on_hand": "1", "reserved": "4", "backorder_limit": "2"},
            StockBelowReserved,
            LEVEL | {"on_hand": 1, "reserved": 4, "backorder_limit": 2},
        ),
        (Code.NOT_FOUND, "RESERVATION_NOT_FOUND", BASKET, ReservationNotFound, BASKET),
        (Code.ALREADY_EXISTS, "RESERVATION_EXISTS", BASKET, ReservationExists, BASKET),
        (Code.FAILED_PRECONDITION, "RESERVATION_COMMITTED", BASKET, ReservationCommitted, BASKET),
        (Code.FAILED_PRECONDITION, "RESERVATION_RELEASED", BASKET, ReservationReleased, BASKET),
        (Code.FAILED_PRECONDITION, "RESERVATION_EXPIRED", BASKET, ReservationExpired, BASKET),
        (
            Code.OUT_OF_RANGE,
            "RESERVATION_LIFETIME_EXCEEDED",
            BASKET | {"lifetime_ms": "9", "lifetime_ms_max": "8"},
            ReservationLifetimeExceeded,
            BASKET | {"lifetime_ms": 9, "lifetime_ms_max": 8},
        ),
        (
            Code.INVALID_ARGUMENT,
            "BATCH_TOO_LARGE",
            {"operations": "1001", "operations_max": "1000", "lines": "1001", "lines_max": "10000"},
            BatchTooLarge,
            {"operations": 1001, "operations_max": 1000, "lines": 1001, "lines_max": 10_000},
        ),
        (
            Code.OUT_OF_RANGE,
            "REVISION_TRIMMED",
            {"after_revision": "3", "oldest": "7"},
            RevisionTrimmed,
            {"after_revision": 3, "oldest": 7},
        ),
        (
            Code.OUT_OF_RANGE,
            "REVISION_AHEAD",
            {"after_revision": "9", "revision": "7"},
            RevisionAhead,
            {"after_revision": 9, "min_revision": None, "revision": 7},
        ),
        (
            Code.OUT_OF_RANGE,
            "REVISION_AHEAD",
            {"min_revision": "9", "revision": "7"},
            RevisionAhead,
            {"after_revision": None, "min_revision": 9, "revision": 7},
        ),
        (
            Code.DATA_LOSS,
            "LEVEL_DAMAGED",
            {"item": "dune", "location": "main"},
            LevelDamaged,
            {"counter": None, "item": "dune", "location": "main", "reservation_id": None},
        ),
        (Code.DATA_LOSS, "REVISIONS_LOST", {"revision": "7"}, RevisionsLost, {"revision": 7}),
        (Code.RESOURCE_EXHAUSTED, "WATCHER_TOO_SLOW", {"revision": "7"}, WatcherTooSlow, {"revision": 7}),
        (Code.RESOURCE_EXHAUSTED, "TOO_MANY_WATCHES", {}, TooManyWatches, {}),
        (Code.RESOURCE_EXHAUSTED, "OVERLOADED", {}, Overloaded, {"retry_after_seconds": None}),
        (
            Code.RESOURCE_EXHAUSTED,
            "REQUEST_TOO_LARGE",
            {"size": "7", "limit": "5"},
            RequestTooLarge,
            {"size": 7, "limit": 5},
        ),
        (Code.RESOURCE_EXHAUSTED, "STORE_OUT_OF_MEMORY", {}, StoreOutOfMemory, {}),
        (Code.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", {}, DeadlineExceeded, {}),
        (Code.INTERNAL, "INTERNAL", {}, InternalError, {}),
        (Code.PERMISSION_DENIED, "NOT_YET_INVENTED", {"a": "b"}, TallykeeperError, {"metadata": {"a": "b"}}),
        (Code.ABORTED, "VALUE_CHANGED", {"actual": "4"}, TallykeeperError, {}),
        (Code.ABORTED, "VALUE_CHANGED", {"actual": "4", "expected": "five"}, TallykeeperError, {}),
    ],
)
async def test_each_reason_is_an_exception_with_its_values(
    connect: Connect,
    scripted: ScriptedServer,
    *,
    code: grpc.StatusCode,
    reason: str,
    metadata: Mapping[str, str],
    kind: type[TallykeeperError],
    attributes: Mapping[str, object],
) -> None:
    scripted.will_answer(Refusal(code, trailers=(*trailers(reason, metadata), NEVER_AGAIN)))
    client = await connect(scripted.target)

    with pytest.raises(TallykeeperError) as caught:
        await client.increment("visitors", request_id="mine")

    error = caught.value
    assert type(error) is kind
    assert (error.code, error.reason, error.message) == (code, reason, "in words")
    assert (error.metadata, error.request_id) == (metadata, "mine")
    assert {name: getattr(error, name) for name in attributes} == attributes
    assert isinstance(error.__cause__, grpc.RpcError)


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("STORE_UNAVAILABLE", StoreUnavailable),
        ("NOT_DURABLE_YET", NotDurableYet),
        ("OUTCOME_UNKNOWN", OutcomeUnknown),
        ("NOT_YET_INVENTED", Unavailable),
    ],
)
async def test_every_unavailable_reason_has_the_base_class_and_a_retry_delay(
    connect: Connect, scripted: ScriptedServer, *, reason: str, kind: type[Unavailable]
) -> None:
    retry = RetryInfo(retry_delay=Duration(nanos=250_000_000))
    scripted.will_answer(Refusal(Code.UNAVAILABLE, trailers=(*trailers(reason, {}, retry), NEVER_AGAIN)))
    client = await connect(scripted.target)

    with pytest.raises(Unavailable) as caught:
        await client.get_counter("visitors")

    assert type(caught.value) is kind
    assert caught.value.retry_after_seconds == 0.25
    assert caught.value.request_id == ""


@pytest.mark.parametrize(
    ("reason", "kind"), [("INVALID_FIELD", InvalidField), ("PAGE_TOKEN_INVALID", PageTokenInvalid)]
)
async def test_every_bad_field_is_named(
    connect: Connect, scripted: ScriptedServer, *, reason: str, kind: type[InvalidField]
) -> None:
    bad = BadRequest(
        field_violations=[
            BadRequest.FieldViolation(field="counter", description="is empty"),
            BadRequest.FieldViolation(field="delta", description="is too large"),
        ]
    )
    scripted.will_answer(Refusal(Code.INVALID_ARGUMENT, trailers=trailers(reason, {}, bad)))
    client = await connect(scripted.target)

    with pytest.raises(InvalidField) as caught:
        await client.increment("")

    assert type(caught.value) is kind
    assert caught.value.violations == (("counter", "is empty"), ("delta", "is too large"))
    assert caught.value.violations[0].field == "counter"


@pytest.mark.parametrize(
    "details",
    [
        (),
        (("x-other", "1"),),
        ((DETAILS_KEY, b"\xff\xff no status"),),
        trailers("OVERLOADED", domain="example.com"),
    ],
    ids=["none", "others", "garbage", "another domain"],
)
async def test_without_details_the_reason_is_the_code(
    connect: Connect, scripted: ScriptedServer, *, details: Trailers
) -> None:
    scripted.will_answer(Refusal(Code.PERMISSION_DENIED, "keep out", details))
    client = await connect(scripted.target)

    with pytest.raises(TallykeeperError) as caught:
        await client.increment("visitors")

    assert type(caught.value) is TallykeeperError
    assert caught.value.reason == "PERMISSION_DENIED"
    assert str(caught.value) == f"the call to {scripted.target} failed with PERMISSION_DENIED: keep out"


async def test_an_unreadable_detail_is_ignored(connect: Connect, scripted: ScriptedServer) -> None:
    garbage = Any(type_url="type.googleapis.com/google.rpc.RetryInfo", value=b"\xff")
    scripted.will_answer(Refusal(Code.RESOURCE_EXHAUSTED, trailers=(*trailers("OVERLOADED", {}, garbage), NEVER_AGAIN)))
    client = await connect(scripted.target)

    with pytest.raises(Overloaded) as caught:
        await client.increment("visitors")

    assert caught.value.retry_after_seconds is None


async def test_no_server_is_unavailable_and_names_the_target(connect: Connect, nobody: str) -> None:
    client = await connect(nobody)

    with pytest.raises(Unavailable, match=f"no Tallykeeper server answers at {nobody}"):
        await client.wait_until_ready(timeout_seconds=0.1)


async def test_no_answer_in_time_is_deadline_exceeded_and_names_the_target(
    connect: Connect, scripted: ScriptedServer
) -> None:
    scripted.will_answer(None)
    client = await connect(scripted.target, timeout_seconds=0.1)

    with pytest.raises(DeadlineExceeded, match=f"{scripted.target} did not answer before the deadline"):
        await client.increment("visitors")


async def test_a_stopping_server_reports_its_last_revision(connect: Connect, scripted: ScriptedServer) -> None:
    final = ("grpc-retry-pushback-ms", "-1")
    details = (*trailers("SHUTTING_DOWN", {"revision": "7"}), final)
    scripted.will_answer(Refusal(Code.UNAVAILABLE, trailers=details))
    client = await connect(scripted.target)

    with pytest.raises(ShuttingDown) as caught:
        await client.list_entries()

    assert caught.value.revision == 7


async def test_an_exception_survives_pickling(connect: Connect, scripted: ScriptedServer) -> None:
    scripted.will_answer(Refusal(Code.ABORTED, trailers=trailers("VALUE_CHANGED", {"actual": "1", "expected": "2"})))
    client = await connect(scripted.target)
    with pytest.raises(ValueChanged) as caught:
        await client.set_counter("visitors", 3, expected_value=2)

    copy = pickle.loads(pickle.dumps(caught.value))  # noqa: S301  # our own bytes

    assert (type(copy), copy.actual, str(copy)) == (ValueChanged, 1, "in words")


def test_the_reasons_with_a_class_are_those_of_the_contract() -> None:
    protos = (file for folder in tallykeeper.v1.__path__ for file in Path(folder).glob("*.proto"))
    comments = "".join(line for file in protos for line in re.findall("//.*\n", file.read_text()))
    words = set(re.findall(r"\b[A-Z_]{8,}\b", comments))

    codes = set(Code.__members__)
    assert words - codes - {"TAKE_AVAILABLE", "INDEPENDENT"} == reasons() - codes
