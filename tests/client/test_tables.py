"""The form of answers on a terminal and elsewhere."""

from io import StringIO

import pytest
from rich.console import Console

from tallykeeper_cli.terminal import columns, descriptions
from tallykeeper_cli.terminal.output import Output
from tallykeeper_client import Counter, Entry, EntryLine, StockLevel
from tests.support.ledger import counter_line, stock_line


def test_a_table_on_a_terminal_is_at_most_as_wide() -> None:
    screen = StringIO()
    console = Console(file=screen, force_terminal=True, width=60, color_system=None)
    levels = [StockLevel(item=f"a-title-that-is-rather-long-{number}", location="main") for number in range(3)]

    Output(as_json=False, console=console).show(columns.STOCK, levels)

    assert "─" in screen.getvalue()
    assert max(map(len, screen.getvalue().splitlines())) <= 60


def test_a_name_is_never_markup() -> None:
    screen = StringIO()
    console = Console(file=screen, force_terminal=True, width=60, color_system=None)

    Output(as_json=False, console=console).show(columns.COUNTER, [Counter(counter="[red]votes")])

    assert "[red]votes" in screen.getvalue()


def test_columns_elsewhere_are_aligned_by_their_visible_width(capsys: pytest.CaptureFixture[str]) -> None:
    counters = [Counter(counter="茶", value=1), Counter(counter="tea", value=20)]

    Output(as_json=False, console=Console(file=StringIO())).show(columns.COUNTER, counters)

    assert capsys.readouterr().out.splitlines() == [
        "counter  value  min  max  expires",
        "茶           1",
        "tea         20",
    ]


def test_a_long_list_is_shown_in_parts(capsys: pytest.CaptureFixture[str]) -> None:
    counters = (Counter(counter=str(number)) for number in range(2500))

    Output(as_json=False, console=Console(file=StringIO())).show(columns.COUNTER, counters)

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2500 + 3
    assert [index for index, line in enumerate(lines) if line.startswith("counter")] == [0, 1001, 2002]


@pytest.mark.parametrize(
    ("line", "description"),
    [
        (counter_line("c", -2, Counter(value=5)), "c: -2 = 5"),
        (counter_line("c"), "c: deleted"),
        (
            stock_line("d", on_hand_change=3, after=StockLevel(on_hand=5)),
            "d@main: on_hand +3 = 5",
        ),
        (
            stock_line("d", reserved_change=2, after=StockLevel(on_hand=5, reserved=2)),
            "d@main: on_hand 5, reserved +2 = 2",
        ),
        (
            stock_line(
                "d",
                on_hand_change=-5,
                after=StockLevel(),
                crossings=["THRESHOLD_CROSSING_LOW", "THRESHOLD_CROSSING_OUT"],
            ),
            "d@main: on_hand -5 = 0, low, out",
        ),
        (stock_line("d"), "d@main: deleted"),
        (EntryLine(), "a kind of change that this client does not know"),
    ],
)
def test_a_line_of_an_entry_is_described_in_words(line: EntryLine, description: str) -> None:
    assert descriptions.changes(Entry(lines=[line])) == description


def test_an_entry_of_a_reservation_names_it_first() -> None:
    entry = Entry(
        lines=[counter_line("c", 1, Counter(value=1))],
        reservation={"reservation_id": "basket-1", "state": "RESERVATION_STATE_EXPIRED"},
    )

    assert descriptions.changes(entry) == "basket-1 expired; c: +1 = 1"
