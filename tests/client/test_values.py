"""The values on the command line."""

from datetime import UTC, datetime, timedelta, timezone

import click
import pytest

from tallykeeper_cli.terminal.parameter_types import LENGTH, LINE, MOMENT
from tallykeeper_client import StockLine


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("dune", StockLine(item="dune", copies=1)),
        ("dune=2", StockLine(item="dune", copies=2)),
        ("dune@annex", StockLine(item="dune", location="annex", copies=1)),
        ("dune@annex=2", StockLine(item="dune", location="annex", copies=2)),
        ("a=b@c=d@annex=2", StockLine(item="a=b@c=d", location="annex", copies=2)),
        ("2=3=4", StockLine(item="2=3", copies=4)),
        ("tea @ 5 pm@main", StockLine(item="tea @ 5 pm", location="main", copies=1)),
        ("a=b=1", StockLine(item="a=b", copies=1)),
        ("a=b@main=1", StockLine(item="a=b", location="main", copies=1)),
        ("@=@main=1", StockLine(item="@=", location="main", copies=1)),
        ("茶=9007199254740991", StockLine(item="茶", copies=2**53 - 1)),
    ],
)
def test_a_line_is_read_from_its_end(text: str, line: StockLine) -> None:
    assert LINE.convert(text, None, None) == line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no item"),
        ("=2", "names no item"),
        ("@annex", "names no item"),
        ("@annex=1", "names no item"),
        ("dune=0", "not a number of copies"),
        ("dune=-1", "not a number of copies"),
        ("dune=1.5", "not a number of copies"),
        ("dune=", "not a number of copies"),
        ("dune=1,000", "not a number of copies"),
        ("dune=2x", "not a number of copies"),
        ("dune=٣", "not a number of copies"),
        ("dune= 2", "not a number of copies"),
        ("dune=9007199254740992", "not a number of copies"),
        ("dune=99999999999999999", "not a number of copies"),
        ("dune@bad place=1", "not a location"),
        ("dune@=1", "not a location"),
        ("tea @ 5 pm", "not a location"),
    ],
)
def test_a_mistyped_line_is_never_read_as_an_item(text: str, words: str) -> None:
    with pytest.raises(click.BadParameter, match=words):
        LINE.convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("500ms", timedelta(milliseconds=500)),
        ("90s", timedelta(seconds=90)),
        ("1h30m", timedelta(minutes=90)),
        ("30d", timedelta(days=30)),
    ],
)
def test_a_length_of_time_is_the_sum_of_its_parts(text: str, length: timedelta) -> None:
    assert LENGTH.convert(text, None, None) == length


@pytest.mark.parametrize("text", ["", "5", "s", "-5s", "5 s", "1.5h", "999999999d999999999d"])
def test_a_length_of_time_needs_its_unit(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a length of time" if len(text) < 9 else "is too long"):
        LENGTH.convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-05-01", datetime(2026, 5, 1, tzinfo=UTC)),
        ("2026-05-01T12:00:00Z", datetime(2026, 5, 1, 12, tzinfo=UTC)),
        ("2026-05-01T12:00:00+02:00", datetime(2026, 5, 1, 12, tzinfo=timezone(timedelta(hours=2)))),
    ],
)
def test_a_moment_is_in_utc_unless_it_names_a_zone(text: str, moment: datetime) -> None:
    assert MOMENT.convert(text, None, None) == moment


def test_a_moment_may_be_a_time_before_now() -> None:
    ago = datetime.now(UTC) - MOMENT.convert("1h", None, None)

    assert timedelta(minutes=59) < ago < timedelta(minutes=61)


def test_a_converted_value_stays_as_it_is() -> None:
    line, length, moment = StockLine(item="dune"), timedelta(1), datetime.now(UTC)

    assert LINE.convert(line, None, None) is line
    assert LENGTH.convert(length, None, None) is length
    assert MOMENT.convert(moment, None, None) is moment
