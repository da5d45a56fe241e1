"""How a level is written in the store. The files of its kinds say the same in Lua."""

from collections.abc import Iterator
from typing import Final

from tallykeeper_server.domain import limits
from tallykeeper_server.domain.levels import (
    Counter,
    DamagedLevel,
    Level,
    LevelName,
    ReadLevel,
    Reservation,
    ReservationLine,
    ReservationName,
    ReservationState,
    StockLevel,
    StockName,
)
from tallykeeper_server.store import keys

_ABSENT: Final = "-"
_STOCK_FIELDS: Final = 5
_COUNTER_FIELDS: Final = 4
_HEAD_FIELDS: Final = 5
_LINE_FIELDS: Final = 3
_DIGITS_MAX: Final = 17
_TIME_MS_MAX: Final = 253_402_300_799_999
"""The last millisecond of the year 9999: protobuf's timestamps end there."""


def integer_of(text: str, most: int = limits.INTEGER_MAX) -> int:
    """Return the integer that a text is, in decimal digits and from ``-most`` to ``most``.

    :raises ValueError: the text is not one. Python's own ``int`` would take "1_0" and " 1" too.
    """
    digits = text.removeprefix("-")
    if not (digits.isdigit() and digits.isascii() and len(digits) <= _DIGITS_MAX and int(digits) <= most):
        message = f"a number in it is not an integer from -{most} to {most}"
        raise ValueError(message)
    return int(text)


def time_ms_of(text: str) -> int:
    """Return the time that a text is, in milliseconds since 1970.

    :raises ValueError: the text is not a time before the year 10000.
    """
    value = integer_of(text)
    if not 0 <= value <= _TIME_MS_MAX:
        message = "a time in it is not in milliseconds from 1970 to the year 9999"
        raise ValueError(message)
    return value


def read_level(name: LevelName, text: bytes) -> ReadLevel:
    """Return the level that a stored text holds, or what is wrong with the text, of which nothing is shown."""
    try:
        return decode_level(name, text.decode())
    except UnicodeDecodeError:
        return DamagedLevel(name, "it is not UTF-8")
    except ValueError as error:
        return DamagedLevel(name, str(error))


def decode_level(name: LevelName, text: str) -> Level:
    """Return what a level's text says.

    :raises ValueError: the text was not written by the script.
    """
    if isinstance(name, StockName):
        if " " not in text:
            return tuple.__new__(
                StockLevel, (name, integer_of(text), 0, 0, 0, 0)
            )  # its own constructor takes twice as long
        fields = text.split(" ")
        _check_count(fields, _STOCK_FIELDS)
        return StockLevel(name, *map(integer_of, fields))
    if isinstance(name, ReservationName):
        return _decode_reservation(name, text)
    if " " not in text:
        return Counter(name, integer_of(text))
    fields = text.split(" ")
    _check_count(fields, _COUNTER_FIELDS)
    value, least, most, expire_at = fields
    return Counter(name, integer_of(value), _optional(least), _optional(most), _optional_time(expire_at))


def _check_count(fields: list[str], whole: int) -> None:
    if len(fields) != whole:
        message = f"a level has 1 or {whole} fields, and not {len(fields)}"
        raise ValueError(message)


def _decode_reservation(name: ReservationName, text: str) -> Reservation:
    """Decode the text of a reservation, or that which the ledger has, without lines."""
    head, *lines = text.split("\t")
    fields = head.split(" ", _HEAD_FIELDS - 1)
    if len(fields) != _HEAD_FIELDS or len(lines) % _LINE_FIELDS:
        message = f"a reservation has {_HEAD_FIELDS} fields and {_LINE_FIELDS} for each line"
        raise ValueError(message)
    state, created_at, expire_at, resolved_at, holder = fields
    if state not in ReservationState.__members__:
        message = "its state is none of a reservation"
        raise ValueError(message)
    return Reservation(
        name,
        ReservationState(state),
        time_ms_of(created_at),
        time_ms_of(expire_at),
        _optional_time(resolved_at),
        holder,
        tuple(_lines_of(lines)),
    )


def _lines_of(fields: list[str]) -> Iterator[ReservationLine]:
    for suffix, copies, committed in zip(fields[::3], fields[1::3], fields[2::3], strict=True):
        name = keys.name_of_suffix(suffix)
        if not isinstance(name, StockName):
            message = "a line of it does not name a stock level"
            raise ValueError(message)  # noqa: TRY004  # the text is wrong, and no argument's type
        yield ReservationLine(name, integer_of(copies), integer_of(committed))


def _optional(field: str) -> int | None:
    return None if field == _ABSENT else integer_of(field)


def _optional_time(field: str) -> int | None:
    return None if field == _ABSENT else time_ms_of(field)
