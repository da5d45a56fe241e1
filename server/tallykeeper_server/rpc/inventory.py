"""InventoryService on the wire."""

from typing import cast

from tallykeeper.v1 import inventory_pb2
from tallykeeper_server.domain import limits
from tallykeeper_server.domain.errors import InvalidFieldError
from tallykeeper_server.domain.levels import DamagedLevel, StockLevel, StockName
from tallykeeper_server.domain.queries import FindLevels, GetLevels, Kind, LevelRange
from tallykeeper_server.domain.refusals import damaged, item_not_found, not_found, total_overflow
from tallykeeper_server.engine.engine import Engine
from tallykeeper_server.engine.pending import Pending
from tallykeeper_server.rpc import stock_changes as changes
from tallykeeper_server.rpc.admission import Call
from tallykeeper_server.rpc.availability import availability_of, wanted_lines
from tallykeeper_server.rpc.messages import stock_message, stock_messages
from tallykeeper_server.rpc.mutations import apply
from tallykeeper_server.rpc.page_tokens import PageTokens
from tallykeeper_server.rpc.validation import Fields, stock_name


class InventoryServicer:
    """Each method checks its request, asks the engine and builds the response."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tokens = PageTokens(engine)

    def DecrementCopies(
        self, request: inventory_pb2.DecrementCopiesRequest, call: Call
    ) -> Pending[inventory_pb2.DecrementCopiesResponse]:
        """Take copies."""
        return apply(self._engine, changes.DECREMENT_COPIES, request, call)

    def IncrementCopies(
        self, request: inventory_pb2.IncrementCopiesRequest, call: Call
    ) -> Pending[inventory_pb2.IncrementCopiesResponse]:
        """Add copies."""
        return apply(self._engine, changes.INCREMENT_COPIES, request, call)

    def SetStock(self, request: inventory_pb2.SetStockRequest, call: Call) -> Pending[inventory_pb2.SetStockResponse]:
        """Set the copies on hand."""
        return apply(self._engine, changes.SET_STOCK, request, call)

    def MoveCopies(
        self, request: inventory_pb2.MoveCopiesRequest, call: Call
    ) -> Pending[inventory_pb2.MoveCopiesResponse]:
        """Move copies from one location to another."""
        return apply(self._engine, changes.MOVE_COPIES, request, call)

    def ConfigureStock(
        self, request: inventory_pb2.ConfigureStockRequest, call: Call
    ) -> Pending[inventory_pb2.ConfigureStockResponse]:
        """Set a level's safety stock, backorder limit and low-stock threshold."""
        return apply(self._engine, changes.CONFIGURE_STOCK, request, call)

    def DeleteStock(
        self, request: inventory_pb2.DeleteStockRequest, call: Call
    ) -> Pending[inventory_pb2.DeleteStockResponse]:
        """Delete an empty level."""
        return apply(self._engine, changes.DELETE_STOCK, request, call)

    async def GetStock(self, request: inventory_pb2.GetStockRequest, call: Call) -> inventory_pb2.GetStockResponse:
        """Read one level."""
        fields = Fields()
        name = stock_name(request, fields)
        query = GetLevels(fields.namespace(request.namespace), (name,), fields.min_revision(request.min_revision))
        fields.check()
        read = await self._engine.ask(query, deadline=call.deadline)
        (level,) = read.levels
        if level is None:
            raise not_found(name)
        if isinstance(level, DamagedLevel):
            raise damaged(level)
        return inventory_pb2.GetStockResponse(
            stock_level=stock_message(cast("StockLevel", level)), revision=read.revision
        )

    async def BatchGetStock(
        self, request: inventory_pb2.BatchGetStockRequest, call: Call
    ) -> inventory_pb2.BatchGetStockResponse:
        """Read many levels."""
        fields = Fields()
        fields.count("keys", len(request.keys), limits.BATCH_GET_NAMES_MAX)
        names = tuple(stock_name(key, fields.within(f"keys[{place}].")) for place, key in enumerate(request.keys))
        query = GetLevels(fields.namespace(request.namespace), names, fields.min_revision(request.min_revision))
        fields.check()
        read = await self._engine.ask(query, deadline=call.deadline)
        return inventory_pb2.BatchGetStockResponse(
            stock_levels=stock_messages(read.levels),
            missing=[
                inventory_pb2.StockKey(item=name.item, location=name.location)
                for name, level in zip(names, read.levels, strict=True)
                if level is None
            ],
            revision=read.revision,
        )

    async def GetItem(self, request: inventory_pb2.GetItemRequest, call: Call) -> inventory_pb2.GetItemResponse:
        """Read an item's levels at all its locations."""
        fields = Fields()
        namespace = fields.namespace(request.namespace)
        item = fields.name("item", request.item)
        min_revision = fields.min_revision(request.min_revision)
        fields.check()
        query = FindLevels(
            namespace=namespace,
            ranges=(LevelRange(kind=Kind.STOCK, prefix=item, whole_item=True),),
            levels_max=limits.ITEM_LOCATIONS_MAX,
            min_revision=min_revision,
        )
        found = await self._engine.ask(query, deadline=call.deadline)
        stock_levels = stock_messages(found.levels)
        if not stock_levels:
            raise item_not_found(item)
        totals = {
            total: sum(getattr(level, total.removeprefix("total_")) for level in stock_levels)
            for total in ("total_on_hand", "total_reserved", "total_available")
        }
        if any(abs(total) > limits.INTEGER_MAX for total in totals.values()):
            raise total_overflow(item)
        return inventory_pb2.GetItemResponse(stock_levels=stock_levels, revision=found.revision, **totals)

    async def ListStock(self, request: inventory_pb2.ListStockRequest, call: Call) -> inventory_pb2.ListStockResponse:
        """List levels at a location, or at all, by item prefix, a page at a time."""
        fields = Fields()
        namespace = fields.namespace(request.namespace)
        prefix = fields.prefix("item_prefix", request.item_prefix)
        location = fields.location_or_any(request.location, any_location=request.any_location)
        page_size = fields.page_size(request.page_size)
        fields.check()
        listing = ("stock", namespace, prefix, location or "")
        after = await self._tokens.open(request.page_token, _place_of, *listing, deadline=call.deadline)
        wanted = LevelRange(kind=Kind.STOCK, prefix=prefix, after=after, location=location)
        query = FindLevels(namespace=namespace, ranges=(wanted,), levels_max=page_size)
        found = await self._engine.ask(query, deadline=call.deadline)
        last = cast("StockName | None", found.after)
        token = ""
        if last:
            token = await self._tokens.seal(f"{last.item}\0{last.location}", *listing, deadline=call.deadline)
        return inventory_pb2.ListStockResponse(
            stock_levels=stock_messages(found.levels),
            next_page_token=token,
            revision=found.revision,
        )

    async def CheckAvailability(
        self, request: inventory_pb2.CheckAvailabilityRequest, call: Call
    ) -> inventory_pb2.CheckAvailabilityResponse:
        """Tell for each line what is available."""
        fields = Fields()
        wanted = wanted_lines(request, fields)
        namespace = fields.namespace(request.namespace)
        min_revision = fields.min_revision(request.min_revision)
        fields.check()
        items = dict.fromkeys(line.item for line in wanted if line.location is None)
        named = dict.fromkeys(StockName(line.item, line.location) for line in wanted if line.location is not None)
        query = FindLevels(
            namespace=namespace,
            ranges=tuple(LevelRange(kind=Kind.STOCK, prefix=item, whole_item=True) for item in items),
            names=tuple(named),
            levels_max=limits.ITEM_LOCATIONS_MAX,
            min_revision=min_revision,
        )
        found = await self._engine.ask(query, deadline=call.deadline)
        if found.after is not None and len(items) > 1:
            rule = f"the items have more than {limits.ITEM_LOCATIONS_MAX} locations together; ask for fewer of them"
            raise InvalidFieldError([("lines", rule)])
        for level in found.levels:
            if isinstance(level, DamagedLevel):
                raise damaged(level)
        once = {level.name: level for level in cast("tuple[StockLevel, ...]", found.levels)}
        return availability_of(wanted, list(once.values()), found.revision)


def _place_of(text: str) -> StockName:
    """Return the level at which a page ended.

    :raises ValueError: the text is not that of one.
    """
    item, location = text.split("\0")
    return StockName(item, location)
