"""``tallykeeper stock export``: its requests, and its complete file."""

from pathlib import Path

import grpc
import pytest

from tallykeeper.v1.inventory_pb2 import ListStockRequest, ListStockResponse
from tallykeeper_client import StockLevel
from tests.client.command_run import run
from tests.client.scripted_server import Refusal, ScriptedServer


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


PAGES = (
    ListStockResponse(
        stock_levels=[StockLevel(item="dune, part 1", location="main", on_hand=5, safety_stock=1)],
        next_page_token="more",  # noqa: S106  # a page token is no password
    ),
    ListStockResponse(stock_levels=[StockLevel(item="emma", location="main", backorder_limit=2)]),
    ListStockResponse(stock_levels=[StockLevel(item="dune", location="annex", low_stock_threshold=3)]),
)
EXPORTED = (
    "item,location,on_hand,safety_stock,backorder_limit,low_stock_threshold\n"
    '"dune, part 1",main,5,1,0,0\nemma,main,0,0,2,0\ndune,annex,0,0,0,3\n'
)


async def test_a_level_that_is_damaged_is_not_exported_as_numbers(
    capsys: pytest.CaptureFixture[str], scripted: ScriptedServer, tmp_path: Path
) -> None:
    damaged = StockLevel(item="emma", location="main", damage="it is not UTF-8")
    scripted.will_answer(ListStockResponse(stock_levels=[damaged]))

    assert await run(scripted, "stock", "export", str(tmp_path / "stock.csv")) == 1

    assert "'emma' at 'main' is damaged" in capsys.readouterr().err
    assert _names(tmp_path) == []


async def test_an_export_reads_all_pages_of_its_locations(
    capsys: pytest.CaptureFixture[str], scripted: ScriptedServer
) -> None:
    scripted.will_answer(*PAGES)
    locations = ("--location", "main", "--location", "annex", "--location", "main")

    assert await run(scripted, "stock", "export", *locations, "--item-prefix", "d") == 0

    assert capsys.readouterr().out == EXPORTED
    asked = [ListStockRequest.FromString(asked.body) for asked in scripted.asked]
    assert [(request.location, request.page_token) for request in asked] == [
        ("main", ""),
        ("main", "more"),
        ("annex", ""),
    ]
    assert {(request.item_prefix, request.any_location) for request in asked} == {("d", False)}


async def test_an_export_without_a_location_has_all_locations(
    capsys: pytest.CaptureFixture[str], scripted: ScriptedServer
) -> None:
    scripted.will_answer(PAGES[0], PAGES[2])

    assert await run(scripted, "stock", "export") == 0

    assert [line.split(",")[-5] for line in capsys.readouterr().out.splitlines()[1:]] == ["main", "annex"]
    asked = [ListStockRequest.FromString(asked.body) for asked in scripted.asked]
    assert asked == [
        ListStockRequest(namespace="default", any_location=True, page_size=1000, page_token=token)
        for token in ("", "more")
    ]


async def test_an_export_to_a_file_is_complete_or_absent(
    capsys: pytest.CaptureFixture[str], scripted: ScriptedServer, tmp_path: Path
) -> None:
    path = tmp_path / "out.csv"
    scripted.will_answer(PAGES[0], Refusal(grpc.StatusCode.INTERNAL))

    assert await run(scripted, "stock", "export", str(path)) == 3
    assert _names(tmp_path) == []
    capsys.readouterr()

    scripted.will_answer(*PAGES)
    assert await run(scripted, "stock", "export", str(path), "--location", "main", "--location", "annex") == 0
    assert path.read_text() == EXPORTED
    assert _names(tmp_path) == ["out.csv"]
    assert capsys.readouterr().err == f"3 rows written to {path}\n"
