"""The command line against the real server: imports and exports of files."""

import json
import re
from pathlib import Path

import pytest

from tallykeeper_cli.main import main
from tallykeeper_client import Client
from tests.support.server import ThreadedServer

HEADER = "item,location,on_hand,safety_stock,backorder_limit,low_stock_threshold\n"


@pytest.fixture(autouse=True)
def _served(monkeypatch: pytest.MonkeyPatch, server: ThreadedServer, namespace: str) -> None:
    """Point every command at the server and the test's own namespace."""
    monkeypatch.setenv("TALLYKEEPER_TARGET", server.target)
    monkeypatch.setenv("TALLYKEEPER_NAMESPACE", namespace)


@pytest.fixture
def stock_file(tmp_path: Path) -> Path:
    """A file of 1,500 rows, in the order in which an export has them."""
    path = tmp_path / "stock.csv"
    rows = (f"item-{number:05},main,{number},{number % 3},0,{number % 7}\n" for number in range(1500))
    path.write_text(HEADER + "".join(rows))
    return path


def _revision(server: ThreadedServer, namespace: str) -> int:
    with Client(server.target, namespace=namespace) as client:
        return client.get_namespace().revision


@pytest.mark.parametrize("form", [(), ("--add",)], ids=["set", "add"])
def test_an_import_is_exported_unchanged_and_resuming_it_changes_nothing(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    stock_file: Path,
    server: ThreadedServer,
    namespace: str,
    *,
    form: tuple[str, ...],
) -> None:
    assert main(["stock", "import", str(stock_file), *form]) == 0
    after_first = _revision(server, namespace)
    resume = re.findall(r"--resume import-[0-9a-f-]+", capsys.readouterr().err)[0].split()
    assert main(["stock", "import", str(stock_file), *form, *resume]) == 0

    assert main(["stock", "export", str(tmp_path / "out.csv")]) == 0

    assert _revision(server, namespace) == after_first
    assert (tmp_path / "out.csv").read_text() == stock_file.read_text()


@pytest.fixture
def scattered_file(tmp_path: Path) -> Path:
    """A file of 1,500 rows at three locations and none at main, in the order in which an export has them."""
    path = tmp_path / "scattered.csv"
    levels = ((item, location) for item in range(500) for location in range(3))
    rows = (f"item-{item:05},loc-{location},{item},{location},0,{item % 7}\n" for item, location in levels)
    path.write_text(HEADER + "".join(rows))
    return path


def test_an_export_has_all_locations_and_restores_them_in_another_namespace(
    tmp_path: Path, scattered_file: Path, server: ThreadedServer, namespace: str
) -> None:
    exported, copy = tmp_path / "out.csv", f"{namespace}-copy"

    assert main(["stock", "import", str(scattered_file)]) == 0
    assert main(["stock", "export", str(exported)]) == 0
    assert main(["stock", "import", str(exported), "--namespace", copy]) == 0

    assert exported.read_text() == scattered_file.read_text()
    with Client(server.target) as client:
        levels, copied = (
            list(client.iterate_stock(any_location=True, page_size=1000, namespace=each)) for each in (namespace, copy)
        )
    assert copied == levels
    assert len(levels) == 1500


def test_an_export_of_one_location_has_only_that_location(tmp_path: Path, scattered_file: Path) -> None:
    main(["stock", "import", str(scattered_file)])

    assert main(["stock", "export", str(tmp_path / "out.csv"), "--location", "loc-1"]) == 0

    rows = scattered_file.read_text().splitlines(keepends=True)
    assert (tmp_path / "out.csv").read_text() == HEADER + "".join(rows[2::3])


def test_each_row_is_counted_by_its_result(capsys: pytest.CaptureFixture[str], stock_file: Path) -> None:
    main(["stock", "import", str(stock_file)])
    main(["stock", "set", "item-00007", "99"])
    main(["stock", "configure", "item-00008", "--backorder-limit", "3"])
    main(["stock", "delete", "item-00000"])
    capsys.readouterr()
    main(["stock", "import", str(stock_file)])

    assert capsys.readouterr().out == (
        "1500 rows: 1 new, 2 changed, 1497 unchanged, 0 overridden by a later row, 0 refused, 0 bad\n"
    )


def test_the_same_content_can_be_imported_again(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, stock_file: Path
) -> None:
    other = tmp_path / "other.csv"
    other.write_text("item,on_hand\nitem-00007,3\n")
    for path in (stock_file, other, stock_file):
        assert main(["stock", "import", str(path)]) == 0
    note = tmp_path / "note.csv"
    note.write_text("item,on_hand\nemma,10\n")
    for _ in range(2):
        assert main(["stock", "import", str(note), "--add"]) == 0
    capsys.readouterr()

    main(["stock", "get", "item-00007", "emma", "--json"])

    assert [json.loads(line)["on_hand"] for line in capsys.readouterr().out.splitlines()] == ["7", "20"]


def test_a_refused_row_is_named_and_the_others_are_imported(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "stock.csv"
    path.write_text("item,on_hand\ndune,1\nemma,5\n")
    main(["stock", "set", "dune", "3"])
    main(["reservation", "reserve", "dune=2"])
    capsys.readouterr()

    assert main(["stock", "import", str(path)]) == 1

    captured = capsys.readouterr()
    assert captured.err.splitlines()[1].startswith("line 2: ")
    assert "[STOCK_BELOW_RESERVED]" in captured.err
    assert captured.out == "2 rows: 1 new, 0 changed, 0 unchanged, 0 overridden by a later row, 1 refused, 0 bad\n"

    assert main(["stock", "import", str(path), "--allow-below-reserved"]) == 0
    assert "0 new, 1 changed, 1 unchanged" in capsys.readouterr().out


def test_the_later_row_of_a_file_wins(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "stock.csv"
    path.write_text("item,on_hand\n" + "".join(f"item-{number % 600},{number}\n" for number in range(3000)))

    assert main(["stock", "import", str(path)]) == 0
    assert "2400 overridden by a later row" in capsys.readouterr().out
    main(["stock", "get", "item-0", "item-599", "--json"])

    assert [json.loads(line)["on_hand"] for line in capsys.readouterr().out.splitlines()] == ["2400", "2999"]


def test_commands_work_together(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stock", "increment", "dune", "--copies", "3"]) == 0
    assert main(["reservation", "reserve", "dune=2", "--id", "b"]) == 0
    assert main(["reservation", "reserve", "dune=2"]) == 1
    assert main(["reservation", "commit", "b"]) == 0
    assert main(["verify"]) == 0
    capsys.readouterr()

    assert main(["ledger", "list", "--item", "dune", "--json"]) == 0

    kinds = [json.loads(line)["operation"] for line in capsys.readouterr().out.splitlines()]
    assert kinds == ["OPERATION_KIND_INCREMENT_COPIES", "OPERATION_KIND_RESERVE", "OPERATION_KIND_COMMIT"]
