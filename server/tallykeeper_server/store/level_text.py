"""How a level is written in the store. The files of its kinds say the same in Lua."""

from collections.abc import Iterator
from typing import Final, cast

from tallykeeper_server.domain.levels import (
    Counter,
    Level,
    LevelName,
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


def decode_level(name: LevelName, text: str) -> Level:
    """Return what a level's text says.

    :raises ValueError: the text was not written by the script.
    """
    if isinstance(name, StockName):
        if " " not in text:
            return tuple.__new__(StockLevel, (name, int(text), 0, 0, 0, 0))  # its own constructor takes twice as long
        fields = text.split(" ")
        _check_count(fields, _STOCK_FIELDS)
        return StockLevel(name, *map(int, fields))
    if isinstance(name, ReservationName):
        return _decode_reservation(name, text)
    if " " not in text:
        return Counter(name, int(text))
    fields = text.split(" ")
    _check_count(fields, _COUNTER_FIELDS)
    return Counter(name, int(fields[0]), *map(_optional, fields[1:]))


def _check_count(fields: list[str], whole: int) -> None:
    if len(fields) != whole:
        message = f"a level has 1 or {whole} fields, and not {len(fields)}"
        raise ValueError(message)


def _decode_reservation(name: ReservationName, text: str) -> Reservation:
    """Decode the text of a reservation, or that which the ledger has, without lines."""
    head, *lines = text.split("\t")
    state, created_at, expire_at, resolved_at, holder = head.split(" ", 4)
    return Reservation(
        name,
        ReservationState(state),
        int(created_at),
        int(expire_at),
        _optional(resolved_at),
        holder,
        tuple(_lines_of(lines)),
    )


def _lines_of(fields: list[str]) -> Iterator[ReservationLine]:
    for suffix, copies, committed in zip(fields[::3], fields[1::3], fields[2::3], strict=True):
        name = cast("StockName", keys.name_of_suffix(suffix))
        yield ReservationLine(name, int(copies), int(committed))


def _optional(field: str) -> int | None:
    return None if field == _ABSENT else int(field)
