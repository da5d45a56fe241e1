"""Large messages: an answer too large for a client comes in parts, and the largest batch reaches the server."""

from contextlib import closing
from typing import Final

import pytest
from google.protobuf.duration_pb2 import Duration
from grpc import StatusCode

from tallykeeper.v1.batch_pb2 import BATCH_MODE_INDEPENDENT, ApplyRequest, Operation
from tallykeeper.v1.counter_pb2 import IncrementRequest
from tallykeeper.v1.inventory_pb2 import ConfigureStockRequest
from tallykeeper.v1.ledger_pb2 import ListEntriesRequest, WatchRequest
from tallykeeper.v1.reservation_pb2 import ListReservationsRequest, ReserveRequest, StockLine
from tallykeeper_server.domain import limits
from tallykeeper_server.settings import Settings
from tests.rpc.conftest import Contents
from tests.support.client import Caller, Failure
from tests.support.server import ThreadedServer

LOCATION: Final = "x" * 63
ITEMS: Final = tuple(f"{'n' * 125}-{number:02}" for number in range(100))
BATCHES: Final = 5
RESERVATIONS_OF_A_BATCH: Final = 45
RESERVATIONS: Final = BATCHES * RESERVATIONS_OF_A_BATCH


@pytest.fixture
def large(call: Caller, namespace: str) -> str:
    """A namespace with reservations of the longest lines, 5 MB in all."""
    levels = [
        Operation(configure_stock=ConfigureStockRequest(item=item, location=LOCATION, backorder_limit=1_000))
        for item in ITEMS
    ]
    call(ApplyRequest(namespace=namespace, operations=levels, mode=BATCH_MODE_INDEPENDENT))
    held = Operation(reserve=ReserveRequest(lines=[StockLine(item=item, location=LOCATION) for item in ITEMS]))
    for _ in range(BATCHES):
        call(
            ApplyRequest(namespace=namespace, operations=[held] * RESERVATIONS_OF_A_BATCH, mode=BATCH_MODE_INDEPENDENT)
        )
    return namespace


def test_a_page_of_large_reservations_is_shorter_than_was_asked_for(call: Caller, large: str) -> None:
    request = ListReservationsRequest(namespace=large, page_size=1_000)

    listed = [reservation for page in call.pages(request) for reservation in page.reservations]

    assert len({reservation.reservation_id for reservation in listed}) == len(listed) == RESERVATIONS
    assert {len(reservation.lines) for reservation in listed} == {len(ITEMS)}


@pytest.mark.parametrize("newest_first", [False, True])
def test_a_page_of_large_entries_is_shorter_than_was_asked_for(call: Caller, large: str, *, newest_first: bool) -> None:
    request = ListEntriesRequest(namespace=large, page_size=1_000, newest_first=newest_first)

    revisions = [entry.revision for page in call.pages(request) for entry in page.entries]

    assert revisions == sorted(range(1, len(ITEMS) + RESERVATIONS + 1), reverse=newest_first)


def test_large_entries_are_watched_in_parts(call: Caller, large: str) -> None:
    last = len(ITEMS) + RESERVATIONS
    revisions: list[int] = []

    with call.stream(WatchRequest(namespace=large, after_revision=0)) as responses:
        for response in responses:
            revisions += [entry.revision for entry in response.entries]
            if response.revision >= last:
                break

    assert revisions == list(range(1, last + 1))


def _largest_batch(namespace: str, *, copies: int) -> ApplyRequest:
    """Return a batch with as many operations and lines as a batch may have, and the longest text in every field."""
    of_an_operation = limits.BATCH_LINES_MAX // limits.BATCH_OPERATIONS_MAX
    lines = [StockLine(item=item, location=LOCATION, copies=copies) for item in ITEMS[:of_an_operation]]
    held = ReserveRequest(
        reason="r" * limits.REASON_BYTES_MAX,
        reference="r" * limits.REFERENCE_BYTES_MAX,
        holder="h" * limits.HOLDER_BYTES_MAX,
        ttl=Duration(seconds=86_400, nanos=999_000_000),
        lines=lines,
    )
    operations = []
    for number in range(limits.BATCH_OPERATIONS_MAX):
        held.reservation_id = f"{number:0{limits.NAME_BYTES_MAX}}"
        operations.append(Operation(reserve=held))
    return ApplyRequest(namespace=namespace, request_id="r" * 64, operations=operations, mode=BATCH_MODE_INDEPENDENT)


def test_the_largest_batch_is_smaller_than_the_largest_request() -> None:
    size_bytes = _largest_batch("n" * 63, copies=limits.INTEGER_MAX).ByteSize()

    assert 2_680_000 < size_bytes < 2_700_000
    assert size_bytes < Settings().message_bytes_max


def test_the_largest_batch_is_applied(call: Caller, namespace: str) -> None:
    levels = [
        Operation(configure_stock=ConfigureStockRequest(item=item, location=LOCATION, backorder_limit=1_000))
        for item in ITEMS[:10]
    ]
    call(ApplyRequest(namespace=namespace, operations=levels, mode=BATCH_MODE_INDEPENDENT))

    reply = call(_largest_batch(namespace, copies=1))

    assert (len(reply.results), reply.failed_count) == (limits.BATCH_OPERATIONS_MAX, 0)


def test_a_request_that_is_too_large_is_refused_with_both_sizes_and_no_retry_delay(
    call: Caller, contents: Contents, namespace: str
) -> None:
    limit = Settings().message_bytes_max

    with pytest.raises(Failure) as caught:
        call(IncrementRequest(namespace=namespace, counter="c", delta=1, reason="r" * limit))

    size = int(caught.value.metadata["size"])
    assert limit < size < limit + 1_000
    assert (caught.value.code, caught.value.reason) == (StatusCode.RESOURCE_EXHAUSTED, "REQUEST_TOO_LARGE")
    assert caught.value.metadata["limit"] == str(limit)
    assert caught.value.message == f"the request has {size} bytes, and the server takes {limit} (--message-bytes-max)"
    assert (caught.value.retry_delay_seconds, caught.value.pushback_ms) == (None, -1)
    assert contents() == {}


def test_a_compressed_request_that_is_too_large_is_refused_before_it_is_decompressed(
    server: ThreadedServer, namespace: str
) -> None:
    limit = Settings().message_bytes_max
    request = IncrementRequest(namespace=namespace, counter="c", delta=1, reason="r" * 10 * limit)
    with (
        closing(Caller(server.target, [("grpc.default_compression_algorithm", 2)])) as compressing,
        pytest.raises(Failure) as caught,
    ):
        compressing(request)

    assert caught.value.reason == "REQUEST_TOO_LARGE"
    assert caught.value.metadata == {"size": str(request.ByteSize()), "limit": str(limit)}
