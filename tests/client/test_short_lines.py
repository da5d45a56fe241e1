"""The levels that an exception names because they are short."""

import grpc
import pytest
from google.rpc.error_details_pb2 import PreconditionFailure

from tallykeeper_client import (
    CommitExceedsReserved,
    InsufficientStock,
    StockBelowReserved,
    StockLine,
    StockNotEmpty,
    TallykeeperError,
)
from tests.client.connecting import Connect
from tests.client.scripted_server import Refusal, ScriptedServer
from tests.client.trailers import trailers

Code = grpc.StatusCode
LEVEL = {"item": "dune", "location": "main"}


def _short_line(number: int) -> dict[str, str]:
    suffix = "" if number == 1 else f"_{number}"
    values = {"item": f"item-{number}", "location": "main", "requested": "3", "available": "-1", "backorder_limit": "1"}
    return {f"{name}{suffix}": value for name, value in values.items()}


@pytest.mark.parametrize(("count", "listed"), [(1, 1), (3, 3), (20, 20), (57, 20)])
async def test_insufficient_stock_names_every_short_line_up_to_twenty(
    connect: Connect, scripted: ScriptedServer, *, count: int, listed: int
) -> None:
    metadata = {"lines": str(count)}
    for number in range(1, listed + 1):
        metadata |= _short_line(number)
    scripted.will_answer(Refusal(Code.FAILED_PRECONDITION, trailers=trailers("INSUFFICIENT_STOCK", metadata)))
    client = await connect(scripted.target)

    with pytest.raises(InsufficientStock) as caught:
        await client.reserve([StockLine(item="item-1")])

    error = caught.value
    assert error.lines == tuple((f"item-{number}", "main", 3, -1, 1) for number in range(1, listed + 1))
    assert error.short_line_count == count
    assert (error.item, error.location, error.requested, error.available, error.backorder_limit) == error.lines[0]
    assert (error.lines[0].requested, error.lines[0].backorder_limit) == (3, 1)


async def test_an_error_may_list_fewer_short_lines_than_it_counts(connect: Connect, scripted: ScriptedServer) -> None:
    metadata = {"lines": "2"} | _short_line(1)
    scripted.will_answer(Refusal(Code.FAILED_PRECONDITION, trailers=trailers("INSUFFICIENT_STOCK", metadata)))
    client = await connect(scripted.target)

    with pytest.raises(InsufficientStock) as caught:
        await client.reserve([StockLine(item="item-1")])

    assert (len(caught.value.lines), caught.value.short_line_count) == (1, 2)


async def test_short_lines_without_numbers_raise_the_plain_exception(
    connect: Connect, scripted: ScriptedServer
) -> None:
    metadata = {"lines": "2"} | _short_line(1) | {"item_2": "item-2"}
    scripted.will_answer(Refusal(Code.FAILED_PRECONDITION, trailers=trailers("INSUFFICIENT_STOCK", metadata)))
    client = await connect(scripted.target)

    with pytest.raises(TallykeeperError) as caught:
        await client.reserve([StockLine(item="item-1")])

    assert type(caught.value) is TallykeeperError


async def test_commit_exceeds_reserved_names_every_line(connect: Connect, scripted: ScriptedServer) -> None:
    first, second = {"requested": "3", "reserved": "2"}, {"requested_2": "9", "reserved_2": "0"}
    metadata = LEVEL | first | {"lines": "2", "item_2": "emma", "location_2": "annex"} | second
    scripted.will_answer(Refusal(Code.FAILED_PRECONDITION, trailers=trailers("COMMIT_EXCEEDS_RESERVED", metadata)))
    client = await connect(scripted.target)

    with pytest.raises(CommitExceedsReserved) as caught:
        await client.commit("basket-1", lines=[StockLine(item="dune", copies=3)])

    error = caught.value
    assert error.lines == (("dune", "main", 3, 2), ("emma", "annex", 9, 0))
    assert error.excess_line_count == 2
    assert (error.item, error.location, error.requested, error.reserved) == error.lines[0]


@pytest.mark.parametrize(
    ("reason", "metadata"),
    [
        ("STOCK_BELOW_RESERVED", {"on_hand": "1", "reserved": "2", "backorder_limit": "0"}),
        ("COMMIT_EXCEEDS_RESERVED", {"requested": "3", "reserved": "2"}),
        ("INSUFFICIENT_STOCK", {"requested": "3", "available": "2", "backorder_limit": "0"}),
        ("STOCK_NOT_EMPTY", {"on_hand": "3", "reserved": "2"}),
    ],
)
async def test_a_precondition_names_its_subject(
    connect: Connect, scripted: ScriptedServer, *, reason: str, metadata: dict[str, str]
) -> None:
    stands_in_the_way = PreconditionFailure(
        violations=[PreconditionFailure.Violation(type=reason, subject="main/dune", description="few")]
    )
    details = trailers(reason, LEVEL | metadata, stands_in_the_way)
    scripted.will_answer(Refusal(Code.FAILED_PRECONDITION, trailers=details))
    client = await connect(scripted.target)

    with pytest.raises(TallykeeperError) as caught:
        await client.decrement_copies("dune", copies=3)

    assert isinstance(caught.value, InsufficientStock | StockNotEmpty | StockBelowReserved | CommitExceedsReserved)
    assert caught.value.violations == ((reason, "main/dune", "few"),)
    assert caught.value.violations[0].subject == "main/dune"
