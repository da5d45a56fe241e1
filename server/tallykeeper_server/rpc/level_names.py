"""Which levels requests name. A name that was right not long ago is not checked once more."""

from collections.abc import Callable
from functools import lru_cache
from typing import Final, Protocol, TypeVar

from tallykeeper_server.domain.errors import InvalidFieldError
from tallykeeper_server.domain.levels import CounterName, ReservationName, StockName
from tallykeeper_server.rpc.validation import Fields

_REMEMBERED_MAX: Final = 8_192
"""How many names of a kind are remembered: a name takes at most 1 KB."""

Name = TypeVar("Name")


class NamesStock(Protocol):
    """A message with the fields that name a stock level."""

    item: str
    location: str


class NamesCounter(Protocol):
    """A message with the field that names a counter."""

    counter: str


def stock_name(request: NamesStock, fields: Fields) -> StockName:
    """Return the stock level that a message names."""
    item, location = request.item, request.location
    try:
        return _right_stock_name(item, location)
    except InvalidFieldError:
        return _stock_name(item, location, fields)


def counter_name(request: NamesCounter, fields: Fields) -> CounterName:
    """Return the counter that a message names."""
    try:
        return _right_counter_name(request.counter)
    except InvalidFieldError:
        return _counter_name(request.counter, fields)


def reservation_name(value: str, fields: Fields) -> ReservationName:
    """Return the reservation that a request names."""
    return ReservationName(fields.name("reservation_id", value))


def _stock_name(item: str, location: str, fields: Fields) -> StockName:
    return StockName(fields.name("item", item), fields.location(location))


def _counter_name(counter: str, fields: Fields) -> CounterName:
    return CounterName(fields.name("counter", counter))


def _remembered(read: Callable[..., Name]) -> Callable[..., Name]:
    """Return what reads a name and raises InvalidFieldError for a wrong one, which is not remembered."""

    @lru_cache(maxsize=_REMEMBERED_MAX)
    def read_right(*values: str) -> Name:
        fields = Fields()
        name = read(*values, fields)
        fields.check()
        return name

    return read_right


_right_stock_name: Final = _remembered(_stock_name)
_right_counter_name: Final = _remembered(_counter_name)
