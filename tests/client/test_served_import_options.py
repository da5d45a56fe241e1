"""The options of an import against the real server: the imported rows, the others, and the messages."""

import csv
import io
import json
from pathlib import Path

import pytest

from tallykeeper_cli.main import main
from tallykeeper_client import Client
from tests.support.server import ThreadedServer


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, server: ThreadedServer, namespace: str) -> Client:
    """Point every command at the server and the test's own namespace, and return a client for the result."""
    monkeypatch.setenv("TALLYKEEPER_TARGET", server.target)
    monkeypatch.setenv("TALLYKEEPER_NAMESPACE", namespace)
    return Client(server.target, namespace=namespace)


def _levels(client: Client) -> dict[str, int]:
    return {level.item: level.on_hand for level in client.iterate_stock(any_location=True)}


def _file(directory: Path, text: str) -> str:
    path = directory / "stock.csv"
    path.write_text(text)
    return str(path)


BAD = "item,on_hand\ndune,5\nemma,many\nmoby,7\n"


def test_adding_sends_nothing_if_a_row_is_bad(
    capsys: pytest.CaptureFixture[str], client: Client, tmp_path: Path
) -> None:
    assert main(["stock", "import", _file(tmp_path, BAD), "--add"]) == 1

    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("line 3, column on_hand: 'many'")
    assert "--resume" not in lines[1]
    assert lines[-1] == ("tallykeeper: nothing was sent: 1 row is bad; correct them, or leave them out with --skip-bad")
    assert _levels(client) == {}

    corrected = BAD.replace("many", "6").replace("\n", "\r\n")
    assert main(["stock", "import", _file(tmp_path, corrected), "--add"]) == 0
    assert _levels(client) == {"dune": 5, "emma": 6, "moby": 7}


def test_rows_that_are_left_out_are_added_later_from_the_rejects(client: Client, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.csv"

    assert main(["stock", "import", _file(tmp_path, BAD), "--add", "--skip-bad", "--rejects", str(rejects)]) == 1
    assert _levels(client) == {"dune": 5, "moby": 7}
    header, row = csv.reader(io.StringIO(rejects.read_text()))
    assert header == ["item", "on_hand", "reason"]
    assert row[:2] == ["emma", "many"]
    assert row[2].startswith("line 3, column on_hand: 'many' is not a whole number")

    rejects.write_text(rejects.read_text().replace("emma,many", "emma,6"))
    assert main(["stock", "import", str(rejects), "--add"]) == 0
    assert _levels(client) == {"dune": 5, "emma": 6, "moby": 7}


def test_refused_rows_are_among_the_rejects_and_a_later_run_tries_them_again(
    capsys: pytest.CaptureFixture[str], client: Client, tmp_path: Path
) -> None:
    main(["stock", "set", "dune", "5"])
    main(["reservation", "reserve", "dune=4", "--id", "basket"])
    path, rejects = _file(tmp_path, "item,on_hand,colour\ndune,2,red\n"), tmp_path / "rejects.csv"
    arguments = ["stock", "import", path, "--ignore-extra", "--rejects", str(rejects)]

    assert main(arguments) == 1
    assert "dune,2,red" in rejects.read_text()
    assert "[STOCK_BELOW_RESERVED]" in rejects.read_text()
    main(["reservation", "release", "basket"])
    capsys.readouterr()

    assert main(arguments) == 0
    assert rejects.read_text() == "item,on_hand,colour,reason\n"
    assert _levels(client) == {"dune": 2}


def test_an_atomic_import_is_all_or_nothing(capsys: pytest.CaptureFixture[str], client: Client, tmp_path: Path) -> None:
    path = _file(tmp_path, "item,on_hand,expected_on_hand\ndune,5,0\nemma,6,3\n")

    assert main(["stock", "import", path, "--atomic"]) == 1
    captured = capsys.readouterr()
    assert "line 3: the value is 0 and not 3 as expected [VALUE_CHANGED]" in captured.err
    assert captured.out.endswith("2 refused, 0 bad; nothing was changed (--atomic)\n")
    assert _levels(client) == {}

    many = _file(tmp_path, "item,on_hand\n" + "".join(f"item-{number},1\n" for number in range(1001)))
    assert main(["stock", "import", many, "--atomic"]) == 2
    assert "--atomic takes files of up to 1000 changes, and this one has 1001" in capsys.readouterr().err
    assert main(["stock", "import", _file(tmp_path, BAD), "--atomic"]) == 1
    assert _levels(client) == {}


def test_existing_only_sets_only_items_that_exist(
    capsys: pytest.CaptureFixture[str], client: Client, tmp_path: Path
) -> None:
    main(["stock", "set", "dune", "1"])
    path = _file(tmp_path, "item,location,on_hand\ndune,main,5\ndune,annex,5\ndnue,,5\n")
    capsys.readouterr()

    assert main(["stock", "import", path, "--existing-only", "--dry-run"]) == 1
    assert "3 rows: 1 correct, 0 bad, 2 with an item that does not exist; nothing was sent" in capsys.readouterr().out
    assert main(["stock", "import", path, "--existing-only"]) == 1

    captured = capsys.readouterr()
    assert "line 3, column item: 'dune' does not exist at 'annex' (--existing-only)" in captured.err
    assert captured.out.endswith("1 changed, 0 unchanged, 0 overridden by a later row, 2 refused, 0 bad\n")
    assert _levels(client) == {"dune": 5}


def test_a_row_with_an_expected_count_is_refused_if_the_count_differs(client: Client, tmp_path: Path) -> None:
    main(["stock", "set", "dune", "3"])
    path = _file(tmp_path, "item,on_hand,expected_on_hand\ndune,5,4\nemma,6,\nmoby,7,0\n")

    assert main(["stock", "import", path]) == 1

    assert _levels(client) == {"dune": 3, "emma": 6, "moby": 7}


def test_names_that_look_alike_cause_a_warning_and_with_strict_a_refusal(
    capsys: pytest.CaptureFixture[str], client: Client, tmp_path: Path
) -> None:
    main(["stock", "set", "Emma", "1"])
    path = _file(tmp_path, "item,on_hand\nSKU123,5\n sku 123 ,6\nsku\u200b123,7\nemma,8\nEmma,9\n")
    capsys.readouterr()

    assert main(["stock", "import", path, "--strict"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert _levels(client) == {"Emma": 1}
    assert [line.partition(": ")[2] for line in lines if line.startswith("warning: ")] == [
        "line 4, column item: 'sku\\u200b123' has invisible characters: U+200B",
        "line 3, column item: 'sku 123' looks like 'SKU123' of line 2",
        "line 4, column item: 'sku\\u200b123' looks like 'SKU123' of line 2",
        "line 6, column item: 'Emma' looks like 'emma' of line 5",
        "line 5, column item: 'emma' is new and looks like 'Emma', which exists",
    ]
    assert lines[-1] == "tallykeeper: nothing was sent: there are 5 warnings (--strict)"

    assert main(["stock", "import", path]) == 0
    assert _levels(client) == {"Emma": 9, "SKU123": 5, "emma": 8, "sku 123": 6, "sku\u200b123": 7}


def test_a_negative_row_takes_copies_when_it_is_added(client: Client, tmp_path: Path) -> None:
    main(["stock", "set", "dune", "5"])

    assert main(["stock", "import", _file(tmp_path, "item,on_hand\ndune,-2\n"), "--add"]) == 0

    assert _levels(client) == {"dune": 3}


def test_an_import_of_one_request_id_counts_once(
    capsys: pytest.CaptureFixture[str], client: Client, tmp_path: Path
) -> None:
    path = _file(tmp_path, "item,on_hand\ndune,5\n")

    for _ in range(2):
        assert main(["stock", "import", path, "--add", "--request-id", "note-17", "--json"]) == 0

    captured = capsys.readouterr()
    assert [json.loads(line)["replayed"] for line in captured.out.splitlines()] == [0, 1]
    assert "the same --request-id note-17" in captured.err
    assert _levels(client) == {"dune": 5}


def test_an_interrupted_import_says_how_to_continue(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, client: Client, tmp_path: Path
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    path = _file(tmp_path, "item,on_hand\ndune,5\n")
    with monkeypatch.context() as patched:
        patched.setattr(Client, "apply", interrupt)
        assert main(["stock", "import", path, "--add"]) == 130

    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("tallykeeper: stopped after line 1: interrupted; to continue, add --resume import-")
    resume = line.partition("add ")[2].partition(":")[0].split()
    assert main(["stock", "import", path, "--add", *resume]) == 0
    assert _levels(client) == {"dune": 5}
