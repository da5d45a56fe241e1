"""InventoryService on the wire."""

from collections.abc import Sequence
from typing import Final, Protocol, cast

from tallykeeper.v1 import inventory_pb2
from tallykeeper_server.domain import limits
from tallykeeper_server.domain.levels import Level, StockLevel, StockName
from tallykeeper_server.domain.mutations import Applied
from tallykeeper_server.domain.queries import GetLevels, Kind, ListNames
from tallykeeper_server.domain.refusals import item_not_found, not_found, total_overflow
from tallykeeper_server.engine.engine import Engine
from tallykeeper_server.rpc.fields import Fields
from tallykeeper_server.rpc.mutating import commit_fields, mutation_of
from tallykeeper_server.rpc.pages import open_page_token, seal_page_token

_CONFIGURABLE: Final = ("safety_stock", "backorder_limit", "low_stock_threshold")
_LEAVE: Final = "="
_ANY: Final = "-"
_POLICIES: Final = inventory_pb2.ShortagePolicy
_LIST_SCANS_MAX: Final = 10
"""How many ranges of the index one page reads at most before it is returned short."""
_LIST_SCAN_NAMES: Final = 1_000


class _NamesStock(Protocol):
    """A message with the fields that name a stock level."""

    item: str
    location: str


class InventoryServicer:
    """Each method checks its request, asks the engine and builds the response."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def DecrementCopies(
        self, request: inventory_pb2.DecrementCopiesRequest, deadline: float
    ) -> inventory_pb2.DecrementCopiesResponse:
        """Take copies."""
        fields = Fields()
        name = _name(request, fields)
        copies = fields.quantity("copies", request.copies, least=1) if request.HasField("copies") else 1
        if request.shortage_policy not in _POLICIES.values():
            fields.refuse("shortage_policy", f"{request.shortage_policy} is not a ShortagePolicy")
        take_available = request.shortage_policy == _POLICIES.SHORTAGE_POLICY_TAKE_AVAILABLE
        mutation = mutation_of(request, fields, "stock_decrement", name, copies, int(take_available))
        applied = await self._engine.apply(mutation, deadline=deadline)
        return inventory_pb2.DecrementCopiesResponse(
            copies_taken=applied.extras[0], stock_level=_stock_level_of(applied), **commit_fields(applied)
        )

    async def IncrementCopies(
        self, request: inventory_pb2.IncrementCopiesRequest, deadline: float
    ) -> inventory_pb2.IncrementCopiesResponse:
        """Add copies."""
        fields = Fields()
        name = _name(request, fields)
        copies = fields.quantity("copies", request.copies, least=1) if request.HasField("copies") else 1
        mutation = mutation_of(request, fields, "stock_increment", name, copies)
        applied = await self._engine.apply(mutation, deadline=deadline)
        return inventory_pb2.IncrementCopiesResponse(stock_level=_stock_level_of(applied), **commit_fields(applied))

    async def SetStock(self, request: inventory_pb2.SetStockRequest, deadline: float) -> inventory_pb2.SetStockResponse:
        """Set the copies on hand."""
        fields = Fields()
        name = _name(request, fields)
        on_hand = fields.quantity("on_hand", request.on_hand, least=0)
        expected: int | str = _ANY
        if request.HasField("expected_on_hand"):
            expected = fields.integer("expected_on_hand", request.expected_on_hand)
        mutation = mutation_of(request, fields, "stock_set", name, on_hand, expected)
        applied = await self._engine.apply(mutation, deadline=deadline)
        return inventory_pb2.SetStockResponse(stock_level=_stock_level_of(applied), **commit_fields(applied))

    async def ConfigureStock(
        self, request: inventory_pb2.ConfigureStockRequest, deadline: float
    ) -> inventory_pb2.ConfigureStockResponse:
        """Set a level's safety stock, backorder limit and low-stock threshold."""
        fields = Fields()
        name = _name(request, fields)
        mutation = mutation_of(request, fields, "stock_configure", name, *_configuration(request, fields))
        applied = await self._engine.apply(mutation, deadline=deadline)
        return inventory_pb2.ConfigureStockResponse(stock_level=_stock_level_of(applied), **commit_fields(applied))

    async def DeleteStock(
        self, request: inventory_pb2.DeleteStockRequest, deadline: float
    ) -> inventory_pb2.DeleteStockResponse:
        """Delete an empty level."""
        fields = Fields()
        mutation = mutation_of(request, fields, "stock_delete", _name(request, fields))
        applied = await self._engine.apply(mutation, deadline=deadline)
        return inventory_pb2.DeleteStockResponse(stock_level=_stock_level_of(applied), **commit_fields(applied))

    async def GetStock(self, request: inventory_pb2.GetStockRequest, deadline: float) -> inventory_pb2.GetStockResponse:
        """Read one level."""
        fields = Fields()
        name = _name(request, fields)
        query = GetLevels(fields.namespace(request.namespace), (name,))
        fields.check()
        (level,) = await self._engine.get_levels(query, deadline=deadline)
        if level is None:
            raise not_found(name)
        return inventory_pb2.GetStockResponse(stock_level=_message_of(cast("StockLevel", level)))

    async def BatchGetStock(
        self, request: inventory_pb2.BatchGetStockRequest, deadline: float
    ) -> inventory_pb2.BatchGetStockResponse:
        """Read many levels."""
        fields = Fields()
        fields.count("keys", len(request.keys), limits.BATCH_GET_NAMES_MAX)
        names = tuple(_name(key, fields, f"keys[{place}].") for place, key in enumerate(request.keys))
        query = GetLevels(fields.namespace(request.namespace), names)
        fields.check()
        levels = await self._engine.get_levels(query, deadline=deadline)
        return inventory_pb2.BatchGetStockResponse(
            stock_levels=_messages_of(levels),
            missing=[
                inventory_pb2.StockKey(item=name.item, location=name.location)
                for name, level in zip(names, levels, strict=True)
                if level is None
            ],
        )

    async def GetItem(self, request: inventory_pb2.GetItemRequest, deadline: float) -> inventory_pb2.GetItemResponse:
        """Read an item's levels at all its locations."""
        fields = Fields()
        namespace = fields.namespace(request.namespace)
        item = fields.name("item", request.item)
        fields.check()
        query = ListNames(namespace, Kind.STOCK, prefix=item, whole_item=True, limit=limits.ITEM_LOCATIONS_MAX)
        names = await self._engine.list_names(query, deadline=deadline)
        levels = await self._engine.get_levels(GetLevels(namespace, tuple(names)), deadline=deadline)
        stock_levels = _messages_of(levels)
        if not stock_levels:
            raise item_not_found(item)
        totals = {
            total: sum(getattr(level, total.removeprefix("total_")) for level in stock_levels)
            for total in ("total_on_hand", "total_reserved", "total_available")
        }
        if any(abs(total) > limits.INTEGER_MAX for total in totals.values()):
            raise total_overflow(item)
        return inventory_pb2.GetItemResponse(stock_levels=stock_levels, **totals)

    async def ListStock(
        self, request: inventory_pb2.ListStockRequest, deadline: float
    ) -> inventory_pb2.ListStockResponse:
        """List a location's levels by item prefix, a page at a time."""
        fields = Fields()
        namespace = fields.namespace(request.namespace)
        prefix = fields.text("item_prefix", request.item_prefix, limits.NAME_BYTES_MAX)
        location = fields.location(request.location)
        page_size = fields.page_size(request.page_size)
        fields.check()
        listing = ("stock", namespace, prefix, location)
        token = open_page_token(request.page_token, *listing)
        after = None if token is None else StockName(*token.split("\0"))

        page: list[StockName] = []
        for _ in range(_LIST_SCANS_MAX):
            query = ListNames(namespace, Kind.STOCK, prefix=prefix, after=after, limit=_LIST_SCAN_NAMES)
            names = cast("list[StockName]", await self._engine.list_names(query, deadline=deadline))
            page += [name for name in names if name.location == location]
            after = names[-1] if len(names) == _LIST_SCAN_NAMES else None
            if after is None or len(page) > page_size:
                break
        if len(page) > page_size:
            page = page[:page_size]
            after = page[-1]
        levels = await self._engine.get_levels(GetLevels(namespace, tuple(page)), deadline=deadline)
        return inventory_pb2.ListStockResponse(
            stock_levels=_messages_of(levels),
            next_page_token=seal_page_token(f"{after.item}\0{after.location}", *listing) if after else "",
        )


def _name(request: _NamesStock, fields: Fields, path: str = "") -> StockName:
    return StockName(fields.name(f"{path}item", request.item), fields.location(request.location, f"{path}location"))


def _configuration(request: inventory_pb2.ConfigureStockRequest, fields: Fields) -> list[int | str]:
    """Return the script's arguments for what can be configured: a number, or leave it."""
    present = {
        field: fields.quantity(field, getattr(request, field), least=0)
        for field in _CONFIGURABLE
        if request.HasField(field)
    }
    named = fields.update_mask(request, request.update_mask, _CONFIGURABLE)
    return [present.get(field, 0) if field in named else _LEAVE for field in _CONFIGURABLE]


def _stock_level_of(applied: Applied) -> inventory_pb2.StockLevel:
    return _message_of(cast("StockLevel", applied.levels[0]))


def _messages_of(levels: Sequence[Level | None]) -> list[inventory_pb2.StockLevel]:
    return [_message_of(cast("StockLevel", level)) for level in levels if level is not None]


def _message_of(level: StockLevel) -> inventory_pb2.StockLevel:
    return inventory_pb2.StockLevel(
        item=level.name.item,
        location=level.name.location,
        on_hand=level.on_hand,
        reserved=level.reserved,
        safety_stock=level.safety_stock,
        backorder_limit=level.backorder_limit,
        low_stock_threshold=level.low_stock_threshold,
        available=level.available,
    )
