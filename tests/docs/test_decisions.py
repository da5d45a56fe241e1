"""Each decision is recorded in one form, and the index names it by its title."""

import re
from pathlib import Path
from typing import Final

import pytest

from tests.docs.markdown import ROOT

DECISIONS: Final = ROOT / "docs" / "decisions"
RECORDS: Final = sorted(DECISIONS.glob("[0-9]*.md"))
INDEX: Final = dict(
    re.findall(r"^\| \[\d+\]\(([^)]+)\) \| (.+) \|$", (DECISIONS / "README.md").read_text(), re.MULTILINE)
)


def _parts(record: Path) -> list[str]:
    """Return the names of a record's parts, which stand as headings, or in bold at the beginning of a paragraph."""
    return re.findall(r"^(?:## (\w+)|\*\*(\w+)\.\*\*)", record.read_text(), re.MULTILINE)


def test_the_index_names_each_record_by_its_title() -> None:
    titles = {record.name: record.read_text().splitlines()[0] for record in RECORDS}
    assert {name: title.split(". ", 1)[1] for name, title in titles.items()} == INDEX
    assert {name: f"# {int(name[:4])}. {INDEX[name]}" for name in titles} == titles


def test_the_records_are_numbered_without_a_gap() -> None:
    assert [int(record.name[:4]) for record in RECORDS] == list(range(1, len(RECORDS) + 1))


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
def test_each_record_has_its_context_and_its_decision_first(record: Path) -> None:
    parts = ["".join(names) for names in _parts(record)]
    assert parts[:2] == ["Context", "Decision"]
