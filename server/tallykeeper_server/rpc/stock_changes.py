"""The mutations of stock on the wire."""

from typing import Final, Protocol, cast

from tallykeeper.v1 import inventory_pb2
from tallykeeper_server.domain.levels import StockLevel, StockName
from tallykeeper_server.domain.mutations import Applied
from tallykeeper_server.rpc.messages import fill_stock
from tallykeeper_server.rpc.mutations import Body, Change, Origin
from tallykeeper_server.rpc.validation import Fields, stock_name

_CONFIGURABLE: Final = ("safety_stock", "backorder_limit", "low_stock_threshold")
_LEAVE: Final = "="
_ANY: Final = "-"
_POLICIES: Final = inventory_pb2.ShortagePolicy
_TAKE_AVAILABLE: Final = _POLICIES.SHORTAGE_POLICY_TAKE_AVAILABLE


def _read_decrement(request: inventory_pb2.DecrementCopiesRequest, fields: Fields, _: Origin) -> Body:
    name = stock_name(request, fields)
    copies = fields.copies(request)
    policy = request.shortage_policy
    if not policy:  # as nearly always
        return (name,), (copies, 0)
    return (name,), (copies, int(fields.enum("shortage_policy", policy, _POLICIES) == _TAKE_AVAILABLE))


def _read_increment(request: inventory_pb2.IncrementCopiesRequest, fields: Fields, _: Origin) -> Body:
    return (stock_name(request, fields),), (fields.copies(request),)


def _read_set(request: inventory_pb2.SetStockRequest, fields: Fields, _: Origin) -> Body:
    name = stock_name(request, fields)
    on_hand = fields.integer("on_hand", request.on_hand)
    if not on_hand:
        fields.given("on_hand", request)
    expected: int | str = _ANY
    if request.HasField("expected_on_hand"):
        expected = fields.integer("expected_on_hand", request.expected_on_hand)
    if request.allow_below_reserved:
        return (name,), (on_hand, expected, 1)
    return (name,), (on_hand, expected)


def _read_move(request: inventory_pb2.MoveCopiesRequest, fields: Fields, _: Origin) -> Body:
    item = fields.name("item", request.item)
    from_location = fields.location(request.from_location, "from_location")
    to_location = fields.location(request.to_location, "to_location")
    if from_location == to_location:
        fields.refuse("to_location", f"{to_location!r} is where the copies are; name another location")
    return (StockName(item, from_location), StockName(item, to_location)), (fields.copies(request),)


def _read_configure(request: inventory_pb2.ConfigureStockRequest, fields: Fields, _: Origin) -> Body:
    name = stock_name(request, fields)
    present = {
        field: fields.quantity(field, getattr(request, field), least=0)
        for field in _CONFIGURABLE
        if request.HasField(field)
    }
    named = fields.update_mask(request, request.update_mask, _CONFIGURABLE)
    return (name,), tuple(present.get(field, 0) if field in named else _LEAVE for field in _CONFIGURABLE)


def _read_delete(request: inventory_pb2.DeleteStockRequest, fields: Fields, _: Origin) -> Body:
    return (stock_name(request, fields),), ()


class _HasStock(Protocol):
    @property
    def stock_level(self) -> inventory_pb2.StockLevel: ...


def _fill(response: _HasStock, applied: Applied) -> None:
    fill_stock(response.stock_level, cast("StockLevel", applied.levels[0]))


def _fill_decrement(response: inventory_pb2.DecrementCopiesResponse, applied: Applied) -> None:
    response.copies_taken = applied.extra
    fill_stock(response.stock_level, cast("StockLevel", applied.levels[0]))


def _fill_move(response: inventory_pb2.MoveCopiesResponse, applied: Applied) -> None:
    fill_stock(response.from_stock_level, cast("StockLevel", applied.levels[0]))
    fill_stock(response.to_stock_level, cast("StockLevel", applied.levels[1]))


DECREMENT_COPIES: Final = Change(
    "stock_decrement", _read_decrement, inventory_pb2.DecrementCopiesResponse, _fill_decrement
)
INCREMENT_COPIES: Final = Change("stock_increment", _read_increment, inventory_pb2.IncrementCopiesResponse, _fill)
SET_STOCK: Final = Change("stock_set", _read_set, inventory_pb2.SetStockResponse, _fill)
MOVE_COPIES: Final = Change("stock_move", _read_move, inventory_pb2.MoveCopiesResponse, _fill_move)
CONFIGURE_STOCK: Final = Change("stock_configure", _read_configure, inventory_pb2.ConfigureStockResponse, _fill)
DELETE_STOCK: Final = Change("stock_delete", _read_delete, inventory_pb2.DeleteStockResponse, _fill)
