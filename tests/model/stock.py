"""A stock level, and the rules of its requests. A rule returns the new level, None if it is gone, or a refusal."""

from dataclasses import dataclass, replace

from tallykeeper.v1 import inventory_pb2
from tallykeeper.v1.inventory_pb2 import ShortagePolicy
from tests.model.refusal import MAX, Refusal, refusal


@dataclass(frozen=True, slots=True)
class Stock:
    """Copies on hand, copies that are held, and the settings that limit how many may be taken."""

    on_hand: int = 0
    reserved: int = 0
    safety_stock: int = 0
    backorder_limit: int = 0
    low_stock_threshold: int = 0

    @property
    def available(self) -> int:
        """The copies that are neither held nor in the safety stock."""
        return self.on_hand - self.reserved - self.safety_stock

    @property
    def low(self) -> bool:
        """True if the available copies are at or below the low-stock threshold."""
        return 0 < self.low_stock_threshold >= self.available

    @property
    def out(self) -> bool:
        """True if no copies are available."""
        return self.available <= 0

    @property
    def text(self) -> str:
        """The level in the form in which it is stored."""
        extras = (self.reserved, self.safety_stock, self.backorder_limit, self.low_stock_threshold)
        shown = (self.on_hand, *extras) if any(extras) else (self.on_hand,)
        return " ".join(map(str, shown))

    def message(self, item: str, location: str) -> inventory_pb2.StockLevel:
        """Return the level in the form of replies."""
        return inventory_pb2.StockLevel(
            item=item,
            location=location,
            on_hand=self.on_hand,
            reserved=self.reserved,
            safety_stock=self.safety_stock,
            backorder_limit=self.backorder_limit,
            low_stock_threshold=self.low_stock_threshold,
            available=self.available,
            short_copies=max(0, min(self.reserved, self.reserved - self.on_hand - self.backorder_limit)),
        )


NONE = Stock()


def may_be_taken(level: Stock) -> int:
    """Return the number of copies that may be taken or held: those available, and those on backorder."""
    return max(0, level.available + level.backorder_limit)


def decrement_copies(before: Stock | None, request: inventory_pb2.DecrementCopiesRequest, _: int) -> Stock | Refusal:
    """Take copies: all that are requested, or as many as are allowed."""
    if before is None:
        return refusal("ITEM_NOT_FOUND")
    copies = may_be_taken(before)
    if request.copies <= copies:
        return replace(before, on_hand=before.on_hand - request.copies)
    if request.shortage_policy == ShortagePolicy.SHORTAGE_POLICY_TAKE_AVAILABLE:
        return replace(before, on_hand=before.on_hand - copies)
    return refusal(
        "INSUFFICIENT_STOCK",
        requested=request.copies,
        available=before.available,
        backorder_limit=before.backorder_limit,
    )


def increment_copies(before: Stock | None, request: inventory_pb2.IncrementCopiesRequest, _: int) -> Stock | Refusal:
    """Add copies."""
    level = before or NONE
    if level.on_hand + request.copies > MAX:
        return refusal("VALUE_OVERFLOW", on_hand=level.on_hand, copies=request.copies)
    return replace(level, on_hand=level.on_hand + request.copies)


def set_stock(before: Stock | None, request: inventory_pb2.SetStockRequest, _: int) -> Stock | Refusal:
    """Set the copies on hand. Checks come in this order: the expected number, the held copies, the range of numbers."""
    level = before or NONE
    if request.HasField("expected_on_hand") and request.expected_on_hand != level.on_hand:
        return refusal("VALUE_CHANGED", actual=level.on_hand, expected=request.expected_on_hand)
    after = replace(level, on_hand=request.on_hand)
    if after.on_hand + after.backorder_limit < after.reserved and not request.allow_below_reserved:
        return refusal(
            "STOCK_BELOW_RESERVED",
            on_hand=after.on_hand,
            reserved=after.reserved,
            backorder_limit=after.backorder_limit,
        )
    return _within_range(after)


def configure_stock(before: Stock | None, request: inventory_pb2.ConfigureStockRequest, _: int) -> Stock | Refusal:
    """Set the fields that the mask names. An absent field becomes 0."""
    level = before or NONE
    for field in request.update_mask.paths:
        level = replace(level, **{field: getattr(request, field)})
    return _within_range(level)


def _within_range(after: Stock) -> Stock | Refusal:
    if after.available < -MAX:
        return refusal(
            "VALUE_OVERFLOW", on_hand=after.on_hand, reserved=after.reserved, safety_stock=after.safety_stock
        )
    return after


def delete_stock(before: Stock | None, _: inventory_pb2.DeleteStockRequest, __: int) -> Refusal | None:
    """Delete a level that has no copies on hand and none held."""
    if before is None:
        return refusal("ITEM_NOT_FOUND")
    if before.on_hand or before.reserved:
        return refusal("STOCK_NOT_EMPTY", on_hand=before.on_hand, reserved=before.reserved)
    return None
