"""``tallykeeper stock import``: its requests, its messages, and that nothing counts twice."""

import asyncio
import json
import re
import resource
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo

from tallykeeper.v1.batch_pb2 import BATCH_MODE_INDEPENDENT, ApplyRequest
from tallykeeper_cli.main import main
from tallykeeper_client import ApplyResponse, OperationResult, operations
from tests.client.command_run import run
from tests.client.scripted_server import Refusal, ScriptedServer
from tests.client.trailers import operation_error, trailers

Code = grpc.StatusCode


@pytest.fixture(autouse=True)
def _changes_alone(scripted: ScriptedServer) -> None:
    """Keep the scripted answers for changes. The reads of an import get empty answers."""
    scripted.will_pass_over("GetNamespace", "ListStock", "BatchGetStock")


@pytest.fixture
def stock_file(tmp_path: Path) -> Path:
    """A file with two correct rows, a bad row between them, and settings."""
    path = tmp_path / "stock.csv"
    path.write_text("item,location,on_hand,safety_stock\ndune,annex,5,1\nemma,,x,\nmoby,,0,\n")
    return path


def _many(path: Path, count: int) -> Path:
    path.write_text("item,on_hand\n" + "".join(f"item-{number},{number}\n" for number in range(count)))
    return path


def _asked(scripted: ScriptedServer) -> list[ApplyRequest]:
    requests = [ApplyRequest.FromString(asked.body) for asked in scripted.asked]
    return sorted(requests, key=lambda request: int(request.request_id.rpartition("-")[2]))


async def test_rows_are_set_and_a_bad_one_is_named_and_left_out(
    capsys: pytest.CaptureFixture[str], scripted: ScriptedServer, stock_file: Path
) -> None:
    assert await run(scripted, "stock", "import", str(stock_file), "--namespace", "shop", "--reference", "count-7") == 1

    (request,) = _asked(scripted)
    assert list(request.operations) == [
        operations.set_stock("dune", 5, location="annex"),
        operations.configure_stock("dune", location="annex", safety_stock=1),
        operations.set_stock("moby", 0),
    ]
    assert (request.namespace, request.reason, request.reference, request.mode) == (
        "shop",
        "import",
        "count-7",
        BATCH_MODE_INDEPENDENT,
    )
    detected, flaw = capsys.readouterr().err.splitlines()
    assert detected.startswith(f"{stock_file}: 3 rows, UTF-8, separated by comma (detected); to continue it")
    assert flaw == "line 3, column on_hand: 'x' is not a whole number from -(2^53-1) to 2^53-1"


async def test_rows_may_be_added_and_may_name_a_location(scripted: ScriptedServer, stock_file: Path) -> None:
    await run(
        scripted,
        "stock",
        "import",
        str(stock_file),
        "--add",
        "--skip-bad",
        "--location",
        "shop",
        "--reason",
        "delivery",
    )

    (request,) = _asked(scripted)
    assert request.reason == "delivery"
    assert list(request.operations) == [
        operations.increment_copies("dune", location="annex", copies=5),
        operations.configure_stock("dune", location="annex", safety_stock=1),
    ]


async def test_a_dry_run_sends_nothing(capsys: pytest.CaptureFixture[str], nobody: str, stock_file: Path) -> None:
    assert await run(nobody, "stock", "import", str(stock_file), "--dry-run") == 1

    assert capsys.readouterr().out == "3 rows: 2 correct, 1 bad; nothing was sent\n"


async def test_the_sum_may_be_json(
    capsys: pytest.CaptureFixture[str], scripted: ScriptedServer, stock_file: Path
) -> None:
    await run(scripted, "stock", "import", str(stock_file), "--json")

    assert json.loads(capsys.readouterr().out) == {
        "rows": 3, "new": 0, "changed": 0, "unchanged": 2, "overridden": 0, "replayed": 0, "refused": 0, "bad": 1,
        "line": 4, "done": 2,
    }  # fmt: skip


async def test_a_row_that_the_server_refuses_is_named_by_its_line(
    capsys: pytest.CaptureFixture[str], scripted: ScriptedServer, stock_file: Path
) -> None:
    refused = OperationResult(error=operation_error(9, "STOCK_BELOW_RESERVED", "too few"))
    scripted.will_answer(ApplyResponse(results=[{"set_stock": {}}, {"configure_stock": {}}, refused], failed_count=1))

    assert await run(scripted, "stock", "import", str(stock_file)) == 1

    captured = capsys.readouterr()
    assert captured.err.splitlines()[2] == "line 4: too few [STOCK_BELOW_RESERVED]"
    assert captured.out == ("3 rows: 1 new, 0 changed, 0 unchanged, 0 overridden by a later row, 1 refused, 1 bad\n")


def _import_id(captured: str) -> str:
    found = re.search(r"--resume (import-[0-9a-f-]+)", captured)
    assert found
    return found[1]


async def test_a_resumed_import_sends_the_same_batches_under_the_same_ids(
    capsys: pytest.CaptureFixture[str], scripted: ScriptedServer, tmp_path: Path
) -> None:
    path = _many(tmp_path / "many.csv", 1200)

    assert await run(scripted, "stock", "import", str(path)) == 0
    import_id, first = _import_id(capsys.readouterr().err), _asked(scripted)
    scripted.asked.clear()
    path.rename(tmp_path / "renamed.csv")
    assert await run(scripted, "stock", "import", str(tmp_path / "renamed.csv"), "--resume", import_id) == 0

    assert _asked(scripted) == first
    assert [len(request.operations) for request in first] == [500, 500, 200]
    assert [request.request_id for request in first] == [f"{import_id}-{row}" for row in (1, 501, 1001)]
    assert f"continuing --resume {import_id}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "other", [(), ("--add",), ("--location", "annex"), ("--request-id", "again")], ids=["same", "add", "place", "id"]
)
async def test_each_start_is_a_new_import(scripted: ScriptedServer, tmp_path: Path, *, other: tuple[str, ...]) -> None:
    path = _many(tmp_path / "many.csv", 2)

    await run(scripted, "stock", "import", str(path))
    await run(scripted, "stock", "import", str(path), *other)

    first, second = (ApplyRequest.FromString(asked.body).request_id for asked in scripted.asked)
    assert first != second
    if other[1:] == ("again",):
        assert second == "again-1"


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("item,on_hand\nitem-0,1\n", (), "belongs to a file with other content"),
        (None, ("--add",), "was started with other options"),
        (None, ("--namespace", "other"), "was started with other options or in another namespace"),
        (None, ("--reference", "other"), "was started with other options"),
        (None, ("--request-id", "mine"), "exclude each other"),
    ],
)
async def test_an_import_is_resumed_only_with_its_own_file_and_options(
    capsys: pytest.CaptureFixture[str],
    scripted: ScriptedServer,
    tmp_path: Path,
    *,
    text: str | None,
    options: tuple[str, ...],
    words: str,
) -> None:
    path = _many(tmp_path / "many.csv", 2)
    await run(scripted, "stock", "import", str(path))
    import_id = _import_id(capsys.readouterr().err)
    scripted.asked.clear()
    path.write_text(text or path.read_text())

    assert await run(scripted, "stock", "import", str(path), "--resume", import_id, *options) == 2

    assert words in capsys.readouterr().err
    assert scripted.asked == []


async def test_an_import_that_adds_is_not_resumed_when_its_request_ids_may_be_forgotten(
    capsys: pytest.CaptureFixture[str], scripted: ScriptedServer, tmp_path: Path
) -> None:
    path = _many(tmp_path / "many.csv", 2)
    await run(scripted, "stock", "import", str(path), "--add")
    import_id = _import_id(capsys.readouterr().err)
    scripted.asked.clear()

    # The scripted answer about the namespace is empty, so its request retention is 0.
    assert await run(scripted, "stock", "import", str(path), "--add", "--resume", import_id) == 2

    assert "its rows could count twice" in capsys.readouterr().err
    assert scripted.asked == []


async def test_rows_that_were_imported_before_are_counted(
    capsys: pytest.CaptureFixture[str], scripted: ScriptedServer, stock_file: Path
) -> None:
    results: list[dict[str, object]] = [
        {"set_stock": {"replayed": True}},
        {"configure_stock": {"replayed": True}},
        {"set_stock": {}},
    ]
    scripted.will_answer(ApplyResponse(results=results))

    await run(scripted, "stock", "import", str(stock_file))

    assert capsys.readouterr().out.startswith("3 rows: 1 imported before, 1 new, 0 changed")


async def test_batches_are_sent_at_the_same_time_unless_they_change_the_same_level(
    scripted: ScriptedServer, tmp_path: Path
) -> None:
    path = tmp_path / "twice.csv"
    rows = [f"item-{number},1\n" for number in range(999)]
    path.write_text("item,on_hand\n" + "".join([*rows, "item-998,2\n", "item-998,3\n"]))
    scripted.will_answer(None)
    importing = asyncio.create_task(run(scripted, "stock", "import", str(path), "--timeout", "2"))
    await asyncio.wait_for(scripted.was_asked.wait(), timeout=10)

    assert await importing == 3

    assert len(_asked(scripted)) == 2
    assert "item-998" not in {operation.set_stock.item for operation in _asked(scripted)[0].operations}


async def test_an_import_that_stops_reports_its_last_line(
    capsys: pytest.CaptureFixture[str], scripted: ScriptedServer, tmp_path: Path
) -> None:
    path = _many(tmp_path / "many.csv", 2500)
    denied = Refusal(Code.UNAVAILABLE, "in words", (*trailers("OUTCOME_UNKNOWN"), ("grpc-retry-pushback-ms", "-1")))
    scripted.will_answer(*[denied] * 5)

    assert await run(scripted, "stock", "import", str(path)) == 3

    detected, stopped = capsys.readouterr().err.splitlines()
    assert stopped == (
        "tallykeeper: stopped after line 1: in words [OUTCOME_UNKNOWN]; to continue, add "
        f"--resume {_import_id(detected)}: no row counts twice"
    )


async def test_rows_of_another_import_are_refused(
    capsys: pytest.CaptureFixture[str], scripted: ScriptedServer, stock_file: Path
) -> None:
    scripted.will_answer(Refusal(Code.INVALID_ARGUMENT, "in words", trailers("REQUEST_ID_REUSED")))

    assert await run(scripted, "stock", "import", str(stock_file)) == 1

    assert "was sent before with other rows or options" in capsys.readouterr().err


async def test_an_import_waits_for_an_overloaded_server(scripted: ScriptedServer, stock_file: Path) -> None:
    soon = RetryInfo(retry_delay=Duration(nanos=1_000_000))
    busy = Refusal(Code.RESOURCE_EXHAUSTED, "in words", trailers("OVERLOADED", {}, soon))
    scripted.will_answer(busy, busy)

    await run(scripted, "stock", "import", str(stock_file))

    assert len(scripted.asked) == 3
    assert len({asked.body for asked in scripted.asked}) == 1


async def test_a_file_that_changes_during_an_import_is_reported(
    capsys: pytest.CaptureFixture[str], scripted: ScriptedServer, stock_file: Path
) -> None:
    scripted.will_answer(None)
    importing = asyncio.create_task(run(scripted, "stock", "import", str(stock_file)))
    await asyncio.wait_for(scripted.was_asked.wait(), timeout=10)

    with stock_file.open("a") as file:  # the file is a few bytes long
        file.write("more,1\n")
    await scripted.stop()
    await scripted.start()

    assert await importing == 1
    assert "was changed while it was read" in capsys.readouterr().err


async def test_a_file_with_only_bad_rows_sends_nothing(nobody: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("item,on_hand\ndune,x\n")

    assert await run(nobody, "stock", "import", str(path), "--add") == 3
    assert await run(nobody, "stock", "import", str(path), "--dry-run") == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("item\n", "line 1: the column on_hand is missing"),
        ("item,on_hand,qty\n", "line 1: 'qty' is not a column; --ignore-extra ignores it"),
    ],
)
def test_a_bad_first_line_is_wrong_usage(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, *, text: str, words: str
) -> None:
    path = tmp_path / "stock.csv"
    path.write_text(text)

    assert main(["stock", "import", str(path)]) == 2

    assert words in capsys.readouterr().err


@pytest.mark.parametrize("path", ["-", "/dev/stdin"])
def test_a_file_that_cannot_be_read_twice_is_copied(path: str, nobody: str) -> None:
    command = [sys.executable, "-m", "tallykeeper_cli", "stock", "import", path, "--dry-run", "--target", nobody]

    ran = subprocess.run(command, input="item,on_hand\ndune,1\n", capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stdout) == (0, "1 row: 1 correct, 0 bad; nothing was sent\n")


async def test_memory_does_not_grow_with_the_file(nobody: str, tmp_path: Path) -> None:
    await run(nobody, "stock", "import", str(_many(tmp_path / "few.csv", 5000)), "--dry-run")
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    await run(nobody, "stock", "import", str(_many(tmp_path / "many.csv", 100_000)), "--dry-run")

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 20_000
