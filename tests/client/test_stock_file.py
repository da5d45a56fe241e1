"""The CSV form of stock: which rows are right, what is said of those that are not, and what is written."""

import csv
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallykeeper_client import StockLevel
from tallykeeper_client.commands.stock_file import BadRow, HeaderError, Row, StockReader, write_levels


def _read(text: str) -> list[Row | BadRow]:
    return list(StockReader(StringIO(text, newline="")).rows())


def _flaws(text: str) -> list[str]:
    return [flaw for row in _read(text) if isinstance(row, BadRow) for flaw in row.flaws]


def test_rows_are_read_with_their_lines_and_columns_in_any_order() -> None:
    text = 'on_hand, item ,location,safety_stock,low_stock_threshold\r\n5,dune,,,\r\n\r\n 7 ,"a,b\nc"'
    text += ",annex,2,0\r\n0,emma,,,3\r\n"

    rows = _read(text.replace("\nc", " c"))

    assert rows == [
        Row(2, "dune", "", 5, {}),
        Row(4, "a,b c", "annex", 7, {"safety_stock": 2, "low_stock_threshold": 0}),
        Row(5, "emma", "", 0, {"low_stock_threshold": 3}),
    ]


def test_a_row_is_named_by_the_line_where_it_begins() -> None:
    assert _flaws('item,on_hand\n"two\nlines",1\ndune,x\n') == [
        r"line 2, column item: 'two\nlines' has a control character; none is allowed",
        "line 4, column on_hand: 'x' is not a whole number from 0 to 2^53-1",
    ]


@pytest.mark.parametrize(
    ("cells", "flaw"),
    [
        ("dune,,x", "column on_hand: 'x' is not a whole number from 0 to 2^53-1"),
        ("dune,,-1", "column on_hand: '-1' is not a whole number from 0 to 2^53-1"),
        ("dune,,1.0", "column on_hand: '1.0' is not a whole number from 0 to 2^53-1"),
        ("dune,,1_0", "column on_hand: '1_0' is not a whole number from 0 to 2^53-1"),
        ("dune,,٣", "column on_hand: '٣' is not a whole number from 0 to 2^53-1"),
        ("dune,,", "column on_hand: nothing is not a whole number from 0 to 2^53-1"),
        ("dune,,9007199254740992", "column on_hand: '9007199254740992' is not a whole number from 0 to 2^53-1"),
        (f"dune,,{'9' * 60}", f"column on_hand: '{'9' * 40}…' is not a whole number from 0 to 2^53-1"),
        (",,1", "column item: is empty; 1 to 128 bytes are allowed"),
        (f"{'é' * 65},,1", f"column item: '{'é' * 40}…' has 130 bytes; 1 to 128 are allowed"),
        ("\udcff,,1", "column item: is not UTF-8"),
        ("dune,no place,1", "column location: 'no place' is not of the form [A-Za-z0-9][A-Za-z0-9._-]{0,62}"),
    ],
)
def test_a_bad_cell_is_named_with_what_is_allowed(cells: str, flaw: str) -> None:
    assert _flaws(f"item,location,on_hand\n{cells}\n") == [f"line 2, {flaw}"]


def test_every_flaw_of_a_row_is_named() -> None:
    assert [flaw.partition(":")[0] for flaw in _flaws("item,on_hand,safety_stock\n,x,y\n")] == [
        "line 2, column safety_stock",
        "line 2, column item",
        "line 2, column on_hand",
    ]


@pytest.mark.parametrize(
    ("line", "flaw"),
    [
        ("dune", "line 2: not as many cells as columns: 1 and not 2"),
        ("dune,1,2", "line 2: not as many cells as columns: 3 and not 2"),
        ('"dune"x,1', "line 2: ',' expected after '\"'"),
        (f"{'x' * 140_000},1", "line 2: field larger than field limit (131072)"),
    ],
)
def test_a_row_that_does_not_fit_is_named_and_the_next_one_is_read(line: str, flaw: str) -> None:
    rows = _read(f"item,on_hand\n{line}\nemma,1\n")

    assert rows == [BadRow(2, [flaw]), Row(3, "emma", "", 1, {})]


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("", "item is missing"),
        ("item", "on_hand is missing; the first line names the columns, of these: item, location"),
        ("item,on_hand,qty", "'qty' is no column; the first line names the columns"),
        ("item,on_hand,item", "item is there twice"),
        ('"item"x,on_hand', "',' expected after"),
    ],
)
def test_the_first_line_names_the_columns(header: str, words: str) -> None:
    with pytest.raises(HeaderError, match="line 1: ") as caught:
        StockReader(StringIO(header))

    assert words in str(caught.value)


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=30),
            st.integers(0, 2**53 - 1),
            st.integers(0, 2**53 - 1),
        ),
        max_size=20,
    )
)
def test_what_is_written_is_read_back(levels: list[tuple[str, int, int]]) -> None:
    file = StringIO(newline="")

    written = write_levels(
        file,
        (
            StockLevel(item=item, location="annex", on_hand=on_hand, safety_stock=safety_stock)
            for item, on_hand, safety_stock in levels
        ),
    )

    assert written == len(levels)
    settings = {"backorder_limit": 0, "low_stock_threshold": 0}
    assert [row for row in _read(file.getvalue()) if isinstance(row, Row)] == [
        Row(line, item, "annex", on_hand, {"safety_stock": safety_stock, **settings})
        for line, (item, on_hand, safety_stock) in enumerate(levels, start=2)
    ]


def test_a_file_of_a_spreadsheet_is_read(tmp_path: Path) -> None:
    path = tmp_path / "stock.csv"
    path.write_bytes("\ufeffitem,on_hand\r\nthé,5\r\n".encode())

    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        rows = list(StockReader(file).rows())

    assert rows == [Row(2, "thé", "", 5, {})]
    assert csv.field_size_limit() == 131_072
