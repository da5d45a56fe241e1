"""The values on the command line: numbers, lengths of time, moments, and lines of copies."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

import click

from tallykeeper.v1.inventory_pb2 import AvailabilityLine
from tallykeeper.v1.reservation_pb2 import StockLine

INTEGER_MAX: Final = 2**53 - 1

INTEGER: Final = click.IntRange(-INTEGER_MAX, INTEGER_MAX)
COUNT: Final = click.IntRange(0, INTEGER_MAX)
COPIES: Final = click.IntRange(1, INTEGER_MAX)

_UNITS: Final = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_LENGTH: Final = re.compile(r"(?:[0-9]{1,9}(?:ms|s|m|h|d))+")
_PART: Final = re.compile(r"([0-9]+)(ms|s|m|h|d)")
_LOCATION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_COPIES: Final = re.compile(r"[0-9]{1,16}")


class Length(click.ParamType[timedelta]):
    """A length of time, such as 90s, 15m, 1h30m or 500ms."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Add up the parts of a length."""
        if isinstance(value, timedelta):
            return value
        if not _LENGTH.fullmatch(str(value)):
            self.fail(f"{value!r} is not a length of time, such as 90s, 15m, 1h30m or 500ms", param, ctx)
        try:
            return sum((int(number) * _UNITS[unit] for number, unit in _PART.findall(str(value))), timedelta())
        except OverflowError:
            self.fail(f"{value!r} is too long", param, ctx)


class Moment(click.ParamType[datetime]):
    """A time, such as 2026-05-01, 2026-05-01T12:00:00Z, or 1h for an hour ago. A time without a zone is in UTC."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read a time, or count back from now."""
        if isinstance(value, datetime):
            return value
        if _LENGTH.fullmatch(str(value)):
            return datetime.now(UTC) - LENGTH.convert(value, param, ctx)
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a time, such as 2026-05-01, 2026-05-01T12:00:00Z or 1h (ago)", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class Line(click.ParamType[StockLine]):
    """Copies of an item: ITEM, ITEM=COPIES, ITEM@LOCATION or ITEM@LOCATION=COPIES."""

    name = "line"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> StockLine:
        """Read a line from its end: COPIES follow the last =, and LOCATION follows the last @ before them.

        So a mistyped number is never read as a part of the item's name. An item with = in its name needs its copies,
        and an item with @ needs its location.
        """
        if isinstance(value, StockLine):
            return value
        head, counted, copies = str(value).rpartition("=")
        if not counted:
            head, copies = str(value), "1"
        item, located, location = head.rpartition("@")
        if not located:
            item, location = head, ""
        if not item:
            self.fail(f"{value!r} names no item; a line is ITEM, ITEM=COPIES or ITEM@LOCATION=COPIES", param, ctx)
        if located and not _LOCATION.fullmatch(location):
            hint = f"; if @ belongs to the item, write {head}@main={copies}"
            self.fail(f"{location!r} in {value!r} is not a location{hint}", param, ctx)
        if not _COPIES.fullmatch(copies) or not 1 <= int(copies) <= INTEGER_MAX:
            hint = f"; if = belongs to the item, write {value}=1"
            self.fail(f"{copies!r} in {value!r} is not a number of copies, 1 to 2^53-1{hint}", param, ctx)
        return StockLine(item=item, location=location, copies=int(copies))


LENGTH: Final = Length()
MOMENT: Final = Moment()
LINE: Final = Line()


def availability_line(line: StockLine, *, any_location: bool) -> AvailabilityLine:
    """Return a line of copies as a question for their availability, at its location or at any."""
    return AvailabilityLine(item=line.item, location=line.location, copies=line.copies, any_location=any_location)
