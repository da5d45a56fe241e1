"""The CSV form of stock: correct rows, the messages about others, and the written form."""

import unicodedata
from dataclasses import replace
from io import StringIO
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallykeeper_cli.stock_csv.export_command import write_levels
from tallykeeper_cli.stock_csv.file_format import BadRow, Row, StockReader
from tallykeeper_cli.stock_csv.header import Form, HeaderError
from tallykeeper_cli.stock_csv.source_file import encoding_of, open_source
from tallykeeper_client import StockLevel

THOUSANDS = "write thousands without a separator"


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
        "line 4, column on_hand: 'x' is not a whole number from -(2^53-1) to 2^53-1",
    ]


@pytest.mark.parametrize(
    ("cells", "flaw"),
    [
        *(
            (f"dune,,{text}", f"column on_hand: {text!r} is not a whole number from -(2^53-1) to 2^53-1")
            for text in ("x", "1.5", "1_0", "٣", "5E+03", "(3)", "- 3", "9007199254740992", "-9007199254740992", "5.")
        ),
        *(
            (
                f"dune,,{text}",
                f"column on_hand: {text!r} is not a whole number from -(2^53-1) to 2^53-1; {THOUSANDS}",
            )
            for text in ("1.000", "1'000", "1 000", "12.000.000", "-1.000")
        ),
        ("dune,,", "column on_hand: is empty; a whole number is needed"),
        (f"dune,,{'9' * 60}", f"column on_hand: '{'9' * 40}…' is not a whole number from -(2^53-1) to 2^53-1"),
        (",,1", "column item: is empty; 1 to 128 bytes are allowed"),
        (f"{'é' * 65},,1", f"column item: '{'é' * 40}…' has 130 bytes; 1 to 128 are allowed"),
        (
            "\udcff,,1",
            "column item: is not text in the encoding of the file; try another, such as --encoding cp1252",
        ),
        ("dune,no place,1", "column location: 'no place' is not of the form [A-Za-z0-9][A-Za-z0-9._-]{0,62}"),
    ],
)
def test_a_bad_cell_is_named_with_the_allowed_values(cells: str, flaw: str) -> None:
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
        ("dune", "line 2: fewer cells than columns: 1, not 2"),
        ("dune,1,2", "line 2: more cells than columns: 3, not 2; '2' belongs to no column"),
        (
            '"dune"x,1',
            'line 2, column item: text follows a closing quote; within quotes, write a quote twice ("")',
        ),
        ('"24 inch,1', "line 2, column item: a quote is opened and not closed"),
        ('dune,"1', "line 2, column on_hand: a quote is opened and not closed"),
        (f"{'x' * 140_000},1", "line 2: has more than 131072 characters"),
        (f"{'x' * 500_000},1", "line 2: has more than 131072 characters"),
    ],
)
def test_a_row_that_does_not_fit_is_named_and_the_next_one_is_read(line: str, flaw: str) -> None:
    rows = _read(f"item,on_hand\n{line}\nemma,1\n")

    assert rows == [BadRow(2, [flaw]), Row(3, "emma", "", 1, {})]


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("", "the file names no columns, because this line is empty"),
        ("item", "the column on_hand is missing; the columns are item, location, on_hand"),
        ("item,on_hand,colour", "'colour' is not a column; --ignore-extra ignores it; the columns are"),
        ("sku,on_hand", "'sku' is not a column; --columns item='sku' makes it the column item"),
        ("item,Qty", "'Qty' is not a column; --columns on_hand='Qty' makes it the column on_hand"),
        ("item,on_hand,safe_item", "item is there twice"),
        ("item,on_hand,item", "item is there twice"),
        ('"item"x,on_hand', "text follows a closing quote"),
        ('"item,on_hand', "a quote is opened and not closed"),
    ],
)
def test_the_first_line_names_the_columns(header: str, words: str) -> None:
    with pytest.raises(HeaderError, match="line 1: ") as caught:
        StockReader(StringIO(header))

    assert words in str(caught.value)


@pytest.mark.parametrize("safe", [False, True])
@given(
    levels=st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=30)
            .map(lambda text: unicodedata.normalize("NFC", text).strip())
            .filter(lambda item: 1 <= len(item.encode()) <= 128),
            st.integers(1 - 2**53, 2**53 - 1),
            st.integers(0, 2**53 - 1),
        ),
        max_size=20,
    )
)
def test_written_stock_is_read_again(levels: list[tuple[str, int, int]], *, safe: bool) -> None:
    file = StringIO(newline="")

    written = write_levels(
        file,
        (
            StockLevel(item=item, location="annex", on_hand=on_hand, safety_stock=safety_stock)
            for item, on_hand, safety_stock in levels
        ),
        safe=safe,
    )

    assert written == len(levels)
    settings = {"backorder_limit": 0, "low_stock_threshold": 0}
    assert [replace(row, warnings=()) for row in _read(file.getvalue()) if isinstance(row, Row)] == [
        Row(line, item, "annex", on_hand, {"safety_stock": safety_stock, **settings})
        for line, (item, on_hand, safety_stock) in enumerate(levels, start=2)
    ]


def test_a_file_of_a_spreadsheet_is_read(tmp_path: Path) -> None:
    path = tmp_path / "stock.csv"
    path.write_bytes("\ufeffitem,on_hand\r\nthé,5\r\n".encode())

    with open_source(str(path)) as source, source.text(encoding_of(source, None)[0]) as file:
        rows = list(StockReader(file).rows())

    assert rows == [Row(2, "thé", "", 5, {})]


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("item;on_hand\ndune;5\n", ";"),
        ("item\ton_hand\ndune\t5\n", "\t"),
        ("item|on_hand\ndune|5\n", "|"),
        ("sep=;\nitem;on_hand\ndune;5\n", ";"),
        ('"sep=#"\nitem#on_hand\ndune#5\n', "#"),
        ('"Item";"On Hand"\n"dune";"5"\n', ";"),
        ("ITEM , On-Hand\n dune , 5.0 \n", ","),
        ('item;on_hand\ndune;"5,00"\n', ";"),
        ("item,on_hand,,\ndune,5,,\n,,,\n  \n\n", ","),
        ("item,on_hand,,\ndune,5\n", ","),
        ("\nitem,on_hand\ndune,5\n".removeprefix("\n"), ","),
        ("item,on_hand\rdune,+5\r", ","),
        ('item, on_hand\n "dune" , "5"\n', ","),
        ("item,on_hand,reason\ndune,5,line 2: too few\n", ","),
    ],
)
def test_the_habits_of_spreadsheets_are_understood(tmp_path: Path, *, text: str, delimiter: str) -> None:
    path = tmp_path / "stock.csv"
    path.write_bytes(text.encode())

    with open_source(str(path)) as source, source.text("utf-8") as file:
        reader = StockReader(file)
        rows = [row for row in reader.rows() if isinstance(row, Row)]

    assert reader.header.delimiter == delimiter
    assert [(row.item, row.on_hand) for row in rows] == [("dune", 5)]


def test_the_names_of_the_file_are_used_for_columns_and_others_are_ignored() -> None:
    form = Form(columns={"item": "Art. Nr.", "on_hand": "qty"}, ignore_extra=True)
    text = 'Art. Nr.,item,QTY,note\n17,Dune,5,"two ""quoted""\nlines, ""too"""\n18,Emma,6,\n'

    reader = StockReader(StringIO(text), form)

    assert [row.item for row in reader.rows() if isinstance(row, Row)] == ["17", "18"]
    assert "ignored columns: item, note" in reader.header.words


def test_an_open_quote_in_an_ignored_column_swallows_no_row() -> None:
    text = 'item,on_hand,note\na,5,"24 inch\nb,6,\nc,7,"fine"\nd,8,ok\n'

    rows = list(StockReader(StringIO(text), Form(ignore_extra=True)).rows())

    assert rows == [
        BadRow(2, ["line 2, column note: a quote is opened and not closed"]),
        Row(3, "b", "", 6, {}),
        Row(4, "c", "", 7, {}),
        Row(5, "d", "", 8, {}),
    ]


@pytest.mark.parametrize(
    ("item", "doubt"),
    [
        ("sku\u200b1", "has invisible characters: U+200B"),
        ("sku\u00a01", "has invisible characters: U+00A0"),
        ("caf\ufffd", "has invisible characters: U+FFFD"),
        ("9.78014E+12", "looks like a long number that a spreadsheet has shortened"),
    ],
)
def test_a_doubtful_name_is_a_warning(item: str, doubt: str) -> None:
    (row,) = _read(f"item,on_hand\n{item},1\n")

    assert isinstance(row, Row)
    assert row.item == item
    assert len(row.warnings) == 1
    assert doubt in row.warnings[0]


def test_a_name_that_is_not_normalized_is_imported_in_its_normal_form_with_a_warning() -> None:
    (row,) = _read("item,on_hand\ncafe\u0301,1\n")

    assert isinstance(row, Row)
    assert row.item == "caf\u00e9"
    assert row.warnings == ("line 2, column item: 'cafe\\u0301' is not in Unicode NFC; it is imported as 'caf\u00e9'",)


def test_a_protected_name_that_begins_with_white_space_is_refused() -> None:
    (row,) = _read("safe_item,on_hand\n' dune,1\n")

    assert isinstance(row, BadRow)
    assert row.flaws == ["line 2, column safe_item: ' dune' begins or ends with white space; remove it"]


@pytest.mark.parametrize(
    ("content", "asked_for", "encoding"),
    [
        (b"\xef\xbb\xbfitem", None, "utf-8-sig"),
        (b"\xef\xbb\xbfitem", "utf-8", "utf-8-sig"),
        ("item".encode("utf-16"), None, "utf-16"),
        ("item".encode("utf-32"), None, "utf-32"),
        (b"\xfe\xff\x00i", None, "utf-16"),
        (b"item", None, "utf-8"),
        (b"th\xe9", "latin-1", "iso8859-1"),
        (b"", "cp1252", "cp1252"),
    ],
)
def test_the_encoding_comes_from_the_mark_or_the_option(
    tmp_path: Path, *, content: bytes, asked_for: str | None, encoding: str
) -> None:
    path = tmp_path / "stock.csv"
    path.write_bytes(content)

    with open_source(str(path)) as source:
        assert encoding_of(source, asked_for)[0] == encoding


@pytest.mark.parametrize(
    ("content", "asked_for", "words"),
    [
        (b"\xef\xbb\xbfitem", "latin-1", "begins with the mark of UTF-8; leave out --encoding latin-1"),
        ("item,on_hand".encode("utf-16-le"), None, "looks like UTF-16 without its mark"),
        (b"item", "utf-77", "'utf-77' is not a text encoding"),
        (b"item", "base64", "'base64' is not a text encoding"),
    ],
)
def test_an_encoding_that_cannot_be_right_is_wrong_usage(
    tmp_path: Path, *, content: bytes, asked_for: str | None, words: str
) -> None:
    path = tmp_path / "stock.csv"
    path.write_bytes(content)

    with open_source(str(path)) as source, pytest.raises(click.UsageError) as caught:
        encoding_of(source, asked_for)

    assert words in str(caught.value)


def test_an_open_quote_in_an_item_spoils_its_own_line_even_if_a_later_line_closes_it() -> None:
    rows = _read('item,on_hand\n"24 inch,5\nb,six\n32",7\n')

    assert rows == [
        BadRow(2, ["line 2, column item: a quote is opened and not closed"]),
        BadRow(3, ["line 3, column on_hand: 'six' is not a whole number from -(2^53-1) to 2^53-1"]),
        Row(4, '32"', "", 7, {}),
    ]
