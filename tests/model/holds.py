"""The rules of reserving, committing, releasing, extending and expiring."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from tallykeeper.v1 import reservation_pb2
from tallykeeper.v1.reservation_pb2 import ReservationState
from tests.model.contents import Change, Contents, Key, Level, StockKey
from tests.model.refusal import MAX, Refusal, refusal, refusal_of_lines
from tests.model.reservation import ACTIVE, COMMITTED, EXPIRED, RELEASED, HeldLine, Reservation
from tests.model.stock import NONE, may_be_taken

ENDED: Mapping[ReservationState, str] = {
    COMMITTED: "RESERVATION_COMMITTED",
    RELEASED: "RESERVATION_RELEASED",
    EXPIRED: "RESERVATION_EXPIRED",
}


def summed(lines: Iterable[reservation_pb2.StockLine]) -> dict[StockKey, int]:
    """Return the number of copies that lines name of each level, in the order in which the levels are first named."""
    copies: dict[StockKey, int] = {}
    for line in lines:
        key = StockKey(line.item, line.location)
        copies[key] = copies.get(key, 0) + line.copies
    return copies


def reserve(contents: Contents, request: reservation_pb2.ReserveRequest, now_ms: int) -> Change | Refusal:
    """Hold copies of all lines or of none. Shortages are checked before the range of numbers."""
    if request.reservation_id in contents.reservations:
        return refusal("RESERVATION_EXISTS", reservation_id=request.reservation_id)
    wanted = summed(request.lines)
    levels = {key: contents.stock(key.item, key.location) or NONE for key in wanted}
    short: list[dict[str, str | int]] = [
        {
            "item": key.item,
            "location": key.location,
            "requested": copies,
            "available": levels[key].available,
            "backorder_limit": levels[key].backorder_limit,
        }
        for key, copies in wanted.items()
        if copies > may_be_taken(levels[key])
    ]
    if short:
        return refusal_of_lines("INSUFFICIENT_STOCK", short)
    for key, copies in wanted.items():
        reserved = levels[key].reserved
        if reserved + copies > MAX:
            return refusal("VALUE_OVERFLOW", reserved=reserved, copies=copies).about(
                item=key.item, location=key.location
            )
    made = Reservation(
        reservation_id=request.reservation_id,
        holder=request.holder,
        lines=tuple(HeldLine(key.item, key.location, copies) for key, copies in wanted.items()),
        created_at_ms=now_ms,
        expire_at_ms=now_ms + request.ttl.ToMilliseconds(),
    )
    after: dict[Key, Level | None] = {
        key: replace(level, reserved=level.reserved + wanted[key]) for key, level in levels.items()
    }
    return Change(after, {"reservation": made.message}, made)


def commit(contents: Contents, request: reservation_pb2.CommitRequest, now_ms: int) -> Change | Refusal:
    """Take the copies of some lines, or all copies, and give the rest back."""
    held = _active(contents, request.reservation_id)
    if isinstance(held, Refusal):
        return held
    reserved = {StockKey(line.item, line.location): line.copies for line in held.lines}
    taken = summed(request.lines) if request.lines else reserved
    exceeding: list[dict[str, str | int]] = [
        {"item": key.item, "location": key.location, "requested": copies, "reserved": reserved.get(key, 0)}
        for key, copies in taken.items()
        if copies > reserved.get(key, 0)
    ]
    if exceeding:
        return refusal_of_lines("COMMIT_EXCEEDS_RESERVED", exceeding)
    return _resolved(contents, held, COMMITTED, taken, now_ms)


def release(contents: Contents, request: reservation_pb2.ReleaseRequest, now_ms: int) -> Change | Refusal:
    """Give all copies back."""
    held = _active(contents, request.reservation_id)
    return held if isinstance(held, Refusal) else _resolved(contents, held, RELEASED, {}, now_ms)


def extend(contents: Contents, request: reservation_pb2.ExtendRequest, now_ms: int) -> Change | Refusal:
    """Move a reservation's end. The new end is never earlier."""
    held = _active(contents, request.reservation_id)
    if isinstance(held, Refusal):
        return held
    after = replace(held, expire_at_ms=max(held.expire_at_ms, now_ms + request.ttl.ToMilliseconds()))
    return Change({}, {"reservation": after.message}, after)


def expire(contents: Contents, reservation_id: str, now_ms: int) -> Change:
    """Give all copies back because the time is up."""
    held = contents.reservations[reservation_id]
    assert held.state is ACTIVE
    assert held.expire_at_ms <= now_ms
    return _resolved(contents, held, EXPIRED, {}, now_ms)


def _active(contents: Contents, reservation_id: str) -> Reservation | Refusal:
    held = contents.reservations.get(reservation_id)
    if held is None:
        return refusal("RESERVATION_NOT_FOUND", reservation_id=reservation_id)
    if held.state is not ACTIVE:
        return refusal(ENDED[held.state], reservation_id=reservation_id)
    return held


def _resolved(
    contents: Contents, held: Reservation, state: ReservationState, taken: Mapping[StockKey, int], now_ms: int
) -> Change:
    levels: dict[Key, Level | None] = {}
    lines = []
    for line in held.lines:
        key = StockKey(line.item, line.location)
        before, committed = contents.stock(line.item, line.location), taken.get(key, 0)
        assert before is not None
        assert before.reserved >= line.copies
        levels[key] = replace(before, on_hand=before.on_hand - committed, reserved=before.reserved - line.copies)
        lines.append(replace(line, committed=committed))
    after = replace(held, state=state, lines=tuple(lines), resolved_at_ms=now_ms)
    return Change(levels, {"reservation": after.message}, after)
