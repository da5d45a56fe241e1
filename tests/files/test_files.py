"""Some files with the habits of spreadsheets, and one killed import. `make files` runs hundreds of files."""

from pathlib import Path
from random import Random

import pytest

from tests.files.judge import Imported, faults, run_import
from tests.files.kills import kill_and_resume
from tests.files.spreadsheet import spreadsheet
from tests.support.server import ThreadedServer

SEEDS = range(12)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_row_is_imported_or_named_by_line_and_column(
    tmp_path: Path, server: ThreadedServer, namespace: str, seed: int
) -> None:
    sheet = spreadsheet(seed, rows=40 + 90 * seed)
    path = tmp_path / "stock.csv"
    path.write_bytes(sheet.content)

    imported = run_import(path, *sheet.options, target=server.target, namespace=namespace)

    assert faults(sheet, imported, target=server.target, namespace=namespace) == []


def test_the_generated_files_have_all_habits_of_spreadsheets() -> None:
    sheets = [spreadsheet(seed, rows=40 + 90 * seed) for seed in SEEDS]

    assert any(sheet.bad for sheet in sheets)
    assert any(not sheet.bad for sheet in sheets)
    assert any("--encoding" in sheet.options for sheet in sheets)
    assert any("--columns" in sheet.options for sheet in sheets)
    assert any(b"sep=" in sheet.content for sheet in sheets)


def test_a_missing_row_is_a_fault(server: ThreadedServer, namespace: str) -> None:
    sheet = spreadsheet(1, rows=50)
    nothing = Imported(0, {"rows": 49}, [], 1.0)

    found = faults(sheet, nothing, target=server.target, namespace=namespace)

    assert [fault.split()[0] for fault in found if not fault.startswith(("rows", "exit"))][-1] == "levels"
    assert any("do not add up" in fault for fault in found)


def test_a_killed_import_is_continued_and_every_row_counts_once(
    tmp_path: Path, server: ThreadedServer, namespace: str
) -> None:
    found = kill_and_resume(Random(7), tmp_path, rows=3_000, target=server.target, namespace=namespace)

    assert found == []
