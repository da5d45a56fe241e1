"""What a stock level holds, and what each request makes of it: the level after, None if it is gone, or a refusal."""

from dataclasses import dataclass, replace

from tallykeeper.v1 import inventory_pb2
from tallykeeper.v1.inventory_pb2 import ShortagePolicy
from tests.model.refusal import MAX, Refusal, refusal


@dataclass(frozen=True, slots=True)
class Stock:
    """Copies on hand, and how many may be taken. None are reserved."""

    on_hand: int = 0
    safety_stock: int = 0
    backorder_limit: int = 0
    low_stock_threshold: int = 0

    @property
    def available(self) -> int:
        """Copies that are not kept back."""
        return self.on_hand - self.safety_stock

    @property
    def quantity(self) -> int:
        """What the ledger counts changes of."""
        return self.on_hand

    @property
    def text(self) -> str:
        """The level as it is stored."""
        extras = (0, self.safety_stock, self.backorder_limit, self.low_stock_threshold)
        shown = (self.on_hand, *extras) if any(extras) else (self.on_hand,)
        return " ".join(map(str, shown))

    def message(self, item: str, location: str) -> inventory_pb2.StockLevel:
        """Return the level as replies show it."""
        return inventory_pb2.StockLevel(
            item=item,
            location=location,
            on_hand=self.on_hand,
            safety_stock=self.safety_stock,
            backorder_limit=self.backorder_limit,
            low_stock_threshold=self.low_stock_threshold,
            available=self.available,
        )


NONE = Stock()


def decrement_copies(before: Stock | None, request: inventory_pb2.DecrementCopiesRequest, _: int) -> Stock | Refusal:
    """Take copies: all, or those that may be taken."""
    if before is None:
        return refusal("ITEM_NOT_FOUND")
    may_be_taken = max(0, before.available + before.backorder_limit)
    if request.copies <= may_be_taken:
        return replace(before, on_hand=before.on_hand - request.copies)
    if request.shortage_policy == ShortagePolicy.SHORTAGE_POLICY_TAKE_AVAILABLE:
        return replace(before, on_hand=before.on_hand - may_be_taken)
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
    """Set the copies on hand."""
    level = before or NONE
    if request.HasField("expected_on_hand") and request.expected_on_hand != level.on_hand:
        return refusal("VALUE_CHANGED", actual=level.on_hand, expected=request.expected_on_hand)
    return replace(level, on_hand=request.on_hand)


def configure_stock(before: Stock | None, request: inventory_pb2.ConfigureStockRequest, _: int) -> Stock | Refusal:
    """Set what the mask names; what is absent is 0."""
    level = before or NONE
    for field in request.update_mask.paths:
        level = replace(level, **{field: getattr(request, field)})
    if level.available < -MAX:
        return refusal("VALUE_OVERFLOW", on_hand=level.on_hand, safety_stock=level.safety_stock)
    return level


def delete_stock(before: Stock | None, _: inventory_pb2.DeleteStockRequest, __: int) -> Refusal | None:
    """Delete a level without copies."""
    if before is None:
        return refusal("ITEM_NOT_FOUND")
    if before.on_hand:
        return refusal("STOCK_NOT_EMPTY", on_hand=before.on_hand, reserved=0)
    return None
