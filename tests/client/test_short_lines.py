"""The levels that an exception names because they are short."""

import grpc
import pytest
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import PreconditionFailure

from tallykeeper.v1.inventory_pb2 import Shortage, Shortages
from tallykeeper_client import (
    CommitExceedsReserved,
    InsufficientStock,
    StockBelowReserved,
    StockLine,
    StockNotEmpty,
    TallykeeperError,
)
from tests.client.connection import Connect
from tests.client.scripted_server import Refusal, ScriptedServer
from tests.client.trailers import SHORT, shortages, trailers

Code = grpc.StatusCode
LEVEL = {"item": "dune", "location": "main"}


def _short_line(number: int) -> Shortage:
    return Shortage(item=f"item-{number}", location="main", requested=3, available=-1, backorder_limit=1)


@pytest.mark.parametrize(("count", "listed"), [(1, 1), (2, 1), (3, 3), (20, 20), (57, 20)])
async def test_insufficient_stock_names_the_short_lines_that_the_error_lists_and_counts_all(
    connect: Connect, scripted: ScriptedServer, *, count: int, listed: int
) -> None:
    detail = shortages(*map(_short_line, range(1, listed + 1)), count=count)
    scripted.will_answer(Refusal(Code.FAILED_PRECONDITION, trailers=trailers("INSUFFICIENT_STOCK", None, detail)))
    client = await connect(scripted.target)

    with pytest.raises(InsufficientStock) as caught:
        await client.reserve([StockLine(item="item-1")])

    error = caught.value
    assert error.lines == tuple((f"item-{number}", "main", 3, -1, 1) for number in range(1, listed + 1))
    assert error.short_line_count == count
    assert (error.item, error.location, error.requested, error.available, error.backorder_limit) == error.lines[0]
    assert (error.lines[0].requested, error.lines[0].backorder_limit) == (3, 1)


@pytest.mark.parametrize("reason", ["INSUFFICIENT_STOCK", "COMMIT_EXCEEDS_RESERVED"])
@pytest.mark.parametrize(
    "details",
    [
        (),
        (Shortages(count=1),),
        (Any(type_url="type.googleapis.com/tallykeeper.v1.Shortages", value=b"\xff"),),
    ],
    ids=["no detail", "no line", "undecodable"],
)
async def test_without_a_short_line_the_exception_is_the_plain_one(
    connect: Connect, scripted: ScriptedServer, *, reason: str, details: tuple[Message, ...]
) -> None:
    numbers = {"requested": "3", "available": "2", "backorder_limit": "0", "reserved": "2"}
    refusal = Refusal(Code.FAILED_PRECONDITION, trailers=trailers(reason, LEVEL | numbers, *details))
    scripted.will_answer(refusal)
    client = await connect(scripted.target)

    with pytest.raises(TallykeeperError) as caught:
        await client.reserve([StockLine(item="item-1")])

    assert (type(caught.value), caught.value.reason) == (TallykeeperError, reason)


async def test_commit_exceeds_reserved_names_every_line(connect: Connect, scripted: ScriptedServer) -> None:
    second = Shortage(item="emma", location="annex", requested=9, reserved=0)
    detail = shortages(Shortage(item="dune", location="main", requested=3, reserved=2), second)
    refusal = Refusal(Code.FAILED_PRECONDITION, trailers=trailers("COMMIT_EXCEEDS_RESERVED", None, detail))
    scripted.will_answer(refusal)
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
        ("COMMIT_EXCEEDS_RESERVED", {}),
        ("INSUFFICIENT_STOCK", {}),
        ("STOCK_NOT_EMPTY", {"on_hand": "3", "reserved": "2"}),
    ],
)
async def test_a_precondition_names_its_subject(
    connect: Connect, scripted: ScriptedServer, *, reason: str, metadata: dict[str, str]
) -> None:
    stands_in_the_way = PreconditionFailure(
        violations=[PreconditionFailure.Violation(type=reason, subject="main/dune", description="few")]
    )
    details = trailers(reason, LEVEL | metadata, stands_in_the_way, shortages(SHORT))
    scripted.will_answer(Refusal(Code.FAILED_PRECONDITION, trailers=details))
    client = await connect(scripted.target)

    with pytest.raises(TallykeeperError) as caught:
        await client.decrement_copies("dune", copies=3)

    assert isinstance(caught.value, InsufficientStock | StockNotEmpty | StockBelowReserved | CommitExceedsReserved)
    assert caught.value.violations == ((reason, "main/dune", "few"),)
    assert caught.value.violations[0].subject == "main/dune"
