"""The methods of InventoryService: reads as methods of the servicer, mutations as rows of the table of operations."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

from tallykeeper.v1 import inventory_pb2
from tallykeeper.v1.ledger_pb2 import OperationKind
from tallykeeper_server.access.roles import Role
from tallykeeper_server.domain import limits
from tallykeeper_server.domain.errors import InvalidFieldError
from tallykeeper_server.domain.levels import DamagedLevel, StockLevel, StockName
from tallykeeper_server.domain.mutations import Applied
from tallykeeper_server.domain.queries import FindLevels, GetLevels, Kind, LevelRange
from tallykeeper_server.domain.refusals import damaged, item_not_found, not_found, total_overflow
from tallykeeper_server.engine.engine import Engine
from tallykeeper_server.rpc.admission import Call
from tallykeeper_server.rpc.messages import fill_stock, stock_message, stock_messages
from tallykeeper_server.rpc.mutations import Body, MutationSpec, ReadContext
from tallykeeper_server.rpc.page_tokens import PageTokens
from tallykeeper_server.rpc.validation import Fields, stock_name

_CONFIGURABLE: Final = ("safety_stock", "backorder_limit", "low_stock_threshold")
_LEAVE: Final = "="
_ANY: Final = "-"
_POLICIES: Final = inventory_pb2.ShortagePolicy
_TAKE_AVAILABLE: Final = _POLICIES.SHORTAGE_POLICY_TAKE_AVAILABLE


class InventoryServicer:
    """The reads of InventoryService. Each method checks its request, asks the engine and builds the response."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tokens = PageTokens(engine)

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
        """Read up to 1,000 levels."""
        fields = Fields()
        fields.count("keys", len(request.keys), limits.BATCH_GET_NAMES_MAX)
        names = tuple(stock_name(key, fields.within(f"keys[{index}].")) for index, key in enumerate(request.keys))
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
        """List levels at a location, or at all locations, by item prefix, a page at a time."""
        fields = Fields()
        namespace = fields.namespace(request.namespace)
        prefix = fields.prefix("item_prefix", request.item_prefix)
        location = fields.location_or_any(request.location, any_location=request.any_location)
        page_size = fields.page_size(request.page_size)
        fields.check()
        listing = ("stock", namespace, prefix, location or "")
        after = await self._tokens.open(request.page_token, _cursor_of, *listing, deadline=call.deadline)
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
        """Return the copies that are available for each line."""
        fields = Fields()
        wanted = _wanted_lines(request, fields)
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
        return _availability_of(wanted, list(once.values()), found.revision)


def _cursor_of(text: str) -> StockName:
    """Return the level at which a page ended.

    :raises ValueError: the text is not a cursor of stock levels.
    """
    item, location = text.split("\0")
    return StockName(item, location)


@dataclass(frozen=True, slots=True)
class _WantedLine:
    """A number of copies of an item, wanted at a location, or at any location if it is None."""

    item: str
    location: str | None
    copies: int


def _wanted_lines(request: inventory_pb2.CheckAvailabilityRequest, fields: Fields) -> list[_WantedLine]:
    """Return the lines of a request, checked."""
    fields.count("lines", len(request.lines), limits.AVAILABILITY_LINES_MAX)
    return [_wanted_line(line, fields.within(f"lines[{index}].")) for index, line in enumerate(request.lines)]


def _wanted_line(line: inventory_pb2.AvailabilityLine, fields: Fields) -> _WantedLine:
    item = fields.name("item", line.item)
    location = fields.location_or_any(line.location, any_location=line.any_location)
    return _WantedLine(item, location, fields.copies(line))


def _availability_of(
    wanted: Sequence[_WantedLine], levels: Sequence[StockLevel], revision: int
) -> inventory_pb2.CheckAvailabilityResponse:
    """Return the response for the wanted lines. ``levels`` are their levels, which were read at ``revision``.

    :raises RefusedError: a total is outside the range of numbers.
    """
    together: Counter[tuple[str, str | None]] = Counter()
    for line in wanted:
        together[line.item, line.location] += line.copies
    answers = [_answer(line, levels, together[line.item, line.location]) for line in wanted]
    sufficient = all(line.sufficient for line in answers)
    return inventory_pb2.CheckAvailabilityResponse(lines=answers, sufficient=sufficient, revision=revision)


def _answer(line: _WantedLine, levels: Sequence[StockLevel], together: int) -> inventory_pb2.LineAvailability:
    if line.location is None:
        everywhere = sorted((level for level in levels if level.name.item == line.item), key=_location_of)
        there = [level for level in everywhere if _may_be_taken(level) > 0]
    else:
        there = [level for level in levels if (level.name.item, level.name.location) == (line.item, line.location)]
    available = sum(level.available for level in there)
    backorder_limit = sum(level.backorder_limit for level in there)
    if max(abs(available), backorder_limit) > limits.INTEGER_MAX:
        raise total_overflow(line.item)
    return inventory_pb2.LineAvailability(
        item=line.item,
        location=line.location or "",
        requested=line.copies,
        available=available,
        backorder_limit=backorder_limit,
        sufficient=together <= available + backorder_limit,
        locations=[
            inventory_pb2.LocationAvailability(
                location=level.name.location, available=level.available, backorder_limit=level.backorder_limit
            )
            for level in there
            if line.location is None
        ],
    )


def _location_of(level: StockLevel) -> str:
    return level.name.location


def _may_be_taken(level: StockLevel) -> int:
    return level.available + level.backorder_limit


def _read_decrement(request: inventory_pb2.DecrementCopiesRequest, fields: Fields, _: ReadContext) -> Body:
    name = stock_name(request, fields)
    copies = fields.copies(request)
    policy = request.shortage_policy
    if not policy:  # as in most requests
        return (name,), (copies, 0)
    return (name,), (copies, int(fields.enum("shortage_policy", policy, _POLICIES) == _TAKE_AVAILABLE))


def _read_increment(request: inventory_pb2.IncrementCopiesRequest, fields: Fields, _: ReadContext) -> Body:
    return (stock_name(request, fields),), (fields.copies(request),)


def _read_set(request: inventory_pb2.SetStockRequest, fields: Fields, _: ReadContext) -> Body:
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


def _read_move(request: inventory_pb2.MoveCopiesRequest, fields: Fields, _: ReadContext) -> Body:
    item = fields.name("item", request.item)
    from_location = fields.location(request.from_location, "from_location")
    to_location = fields.location(request.to_location, "to_location")
    if from_location == to_location:
        fields.refuse("to_location", f"{to_location!r} is where the copies are; name another location")
    return (StockName(item, from_location), StockName(item, to_location)), (fields.copies(request),)


def _read_configure(request: inventory_pb2.ConfigureStockRequest, fields: Fields, _: ReadContext) -> Body:
    name = stock_name(request, fields)
    present = {
        field: fields.quantity(field, getattr(request, field), least=0)
        for field in _CONFIGURABLE
        if request.HasField(field)
    }
    named = fields.update_mask(request, request.update_mask, _CONFIGURABLE)
    return (name,), tuple(present.get(field, 0) if field in named else _LEAVE for field in _CONFIGURABLE)


def _read_delete(request: inventory_pb2.DeleteStockRequest, fields: Fields, _: ReadContext) -> Body:
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


MUTATIONS: Final[tuple[MutationSpec[Any, Any], ...]] = (
    MutationSpec(
        rpc="InventoryService.DecrementCopies",
        field="decrement_copies",
        operation="stock_decrement",
        kind=OperationKind.OPERATION_KIND_DECREMENT_COPIES,
        role=Role.WRITE,
        read=_read_decrement,
        response=inventory_pb2.DecrementCopiesResponse,
        fill=_fill_decrement,
    ),
    MutationSpec(
        rpc="InventoryService.IncrementCopies",
        field="increment_copies",
        operation="stock_increment",
        kind=OperationKind.OPERATION_KIND_INCREMENT_COPIES,
        role=Role.WRITE,
        read=_read_increment,
        response=inventory_pb2.IncrementCopiesResponse,
        fill=_fill,
    ),
    MutationSpec(
        rpc="InventoryService.SetStock",
        field="set_stock",
        operation="stock_set",
        kind=OperationKind.OPERATION_KIND_SET_STOCK,
        role=Role.WRITE,
        read=_read_set,
        response=inventory_pb2.SetStockResponse,
        fill=_fill,
    ),
    MutationSpec(
        rpc="InventoryService.MoveCopies",
        field="move_copies",
        operation="stock_move",
        kind=OperationKind.OPERATION_KIND_MOVE_COPIES,
        role=Role.WRITE,
        read=_read_move,
        response=inventory_pb2.MoveCopiesResponse,
        fill=_fill_move,
    ),
    MutationSpec(
        rpc="InventoryService.ConfigureStock",
        field="configure_stock",
        operation="stock_configure",
        kind=OperationKind.OPERATION_KIND_CONFIGURE_STOCK,
        role=Role.ADMINISTER,
        read=_read_configure,
        response=inventory_pb2.ConfigureStockResponse,
        fill=_fill,
    ),
    MutationSpec(
        rpc="InventoryService.DeleteStock",
        field="delete_stock",
        operation="stock_delete",
        kind=OperationKind.OPERATION_KIND_DELETE_STOCK,
        role=Role.ADMINISTER,
        read=_read_delete,
        response=inventory_pb2.DeleteStockResponse,
        fill=_fill,
    ),
)
"""The rows of the table of operations for this service."""
