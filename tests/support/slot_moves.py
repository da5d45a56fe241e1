"""Things that move from name to name while they are read. An answer that lacks one, or has it twice, was never true.

Each step is atomic, so that at every moment

* the ten copies of gold are at one location, under a name that is new with each step;
* ten copies are at the location main, of one item whose name is new with each step;
* a meter shows ten, and its name is new with each step;
* a counter and a stock level with the name twin either both exist or both do not exist;
* one reservation of kim's is active, under an id that is new with each step.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from tallykeeper.v1.batch_pb2 import BATCH_MODE_ATOMIC, ApplyRequest, Operation
from tallykeeper.v1.counter_pb2 import DeleteCounterRequest, ListCountersRequest, SetCounterRequest
from tallykeeper.v1.inventory_pb2 import (
    AvailabilityLine,
    CheckAvailabilityRequest,
    DecrementCopiesRequest,
    DeleteStockRequest,
    GetItemRequest,
    IncrementCopiesRequest,
    ListStockRequest,
    MoveCopiesRequest,
    SetStockRequest,
)
from tallykeeper.v1.ledger_pb2 import WatchRequest
from tallykeeper.v1.namespace_pb2 import GetNamespaceRequest
from tallykeeper.v1.reservation_pb2 import (
    ListReservationsRequest,
    ReleaseRequest,
    ReservationState,
    ReserveRequest,
    StockLine,
)
from tests.chaos.history import NOT_KNOWN, NOTHING_HAPPENED
from tests.support.client import AsyncCaller, Failure

COPIES: Final = 10
READERS: Final = 8
_ACTIVE: Final = ReservationState.RESERVATION_STATE_ACTIVE
_UNTRUE_KEPT_MAX: Final = 100


def _gold(step: int) -> list[Operation]:
    before, after = f"shelf-{step - 1}", f"shelf-{step}"
    moves = (
        [Operation(move_copies=MoveCopiesRequest(item="gold", from_location=before, to_location=after, copies=COPIES))]
        if step % 2
        else [
            Operation(decrement_copies=DecrementCopiesRequest(item="gold", location=before, copies=COPIES)),
            Operation(increment_copies=IncrementCopiesRequest(item="gold", location=after, copies=COPIES)),
        ]
    )
    return [*moves, Operation(delete_stock=DeleteStockRequest(item="gold", location=before))]


def _coin(step: int) -> list[Operation]:
    before, after = f"coin-{step - 1}", f"coin-{step}"
    return [
        Operation(decrement_copies=DecrementCopiesRequest(item=before, copies=COPIES)),
        Operation(increment_copies=IncrementCopiesRequest(item=after, copies=COPIES)),
        Operation(delete_stock=DeleteStockRequest(item=before)),
    ]


def _meter(step: int) -> list[Operation]:
    return [
        Operation(delete_counter=DeleteCounterRequest(counter=f"meter-{step - 1}")),
        Operation(set_counter=SetCounterRequest(counter=f"meter-{step}", value=COPIES)),
    ]


def _twin(step: int) -> list[Operation]:
    if step % 2:
        return [
            Operation(set_counter=SetCounterRequest(counter="twin", value=0)),
            Operation(set_stock=SetStockRequest(item="twin", on_hand=0)),
        ]
    return [
        Operation(delete_counter=DeleteCounterRequest(counter="twin")),
        Operation(delete_stock=DeleteStockRequest(item="twin")),
    ]


def _reservation(step: int) -> list[Operation]:
    lines = [StockLine(item="anchor")]
    return [
        Operation(release=ReleaseRequest(reservation_id=f"for-kim-{step - 1}")),
        Operation(reserve=ReserveRequest(reservation_id=f"for-kim-{step}", lines=lines, holder="kim")),
    ]


_MOVES: Final = (_gold, _coin, _meter, _twin, _reservation)


def beginning(namespace: str) -> ApplyRequest:
    """Return the request that makes everything under its first names."""
    return _atomic(
        namespace,
        [
            Operation(set_stock=SetStockRequest(item="gold", location="shelf-0", on_hand=COPIES)),
            Operation(set_stock=SetStockRequest(item="coin-0", on_hand=COPIES)),
            Operation(set_stock=SetStockRequest(item="anchor", on_hand=COPIES)),
            Operation(set_counter=SetCounterRequest(counter="meter-0", value=COPIES)),
            *_reservation(0)[1:],
        ],
    )


def whole_step(namespace: str, step: int) -> ApplyRequest:
    """Return the request that moves everything from the names of the step before. The first step is 1."""
    return _atomic(namespace, [operation for move in _MOVES for operation in move(step)])


def _atomic(namespace: str, operations: Sequence[Operation], request_id: str = "") -> ApplyRequest:
    return ApplyRequest(namespace=namespace, operations=operations, mode=BATCH_MODE_ATOMIC, request_id=request_id)


def _on_hand(levels: Any, beginning_of_item: str) -> int:  # noqa: ANN401  # of any response
    return sum(level.on_hand for level in levels if level.item.startswith(beginning_of_item))


def _value(counters: Any) -> int:  # noqa: ANN401  # of any response
    return sum(counter.value for counter in counters)


def _active(reservations: Any) -> int:  # noqa: ANN401  # of any response
    return sum(reservation.state == _ACTIVE for reservation in reservations)


def _is_twin_whole(stock_levels: Any, counters: Any) -> bool:  # noqa: ANN401  # of any response
    return any(each.item == "twin" for each in stock_levels) == any(each.counter == "twin" for each in counters)


@dataclass(frozen=True, slots=True)
class Reading:
    """A read, and a check that an answer to it can have been true."""

    name: str
    request: Any
    is_true: Callable[[Any], bool]


READINGS: Final = (
    Reading("GetItem", GetItemRequest(item="gold"), lambda answer: answer.total_on_hand == COPIES),
    Reading(
        "CheckAvailability, any location",
        CheckAvailabilityRequest(lines=[AvailabilityLine(item="gold", copies=COPIES, any_location=True)]),
        lambda answer: answer.sufficient and answer.lines[0].available == COPIES,
    ),
    Reading(
        "CheckAvailability, both kinds of line",
        CheckAvailabilityRequest(
            lines=[AvailabilityLine(item="anchor"), AvailabilityLine(item="gold", copies=COPIES, any_location=True)]
        ),
        lambda answer: answer.sufficient and [line.available for line in answer.lines] == [COPIES - 1, COPIES],
    ),
    Reading(
        "CheckAvailability, one location",
        CheckAvailabilityRequest(lines=[AvailabilityLine(item="anchor")]),
        lambda answer: answer.lines[0].available == COPIES - 1,
    ),
    Reading(
        "ListStock, any location",
        ListStockRequest(any_location=True),
        lambda answer: _on_hand(answer.stock_levels, "gold") == _on_hand(answer.stock_levels, "coin") == COPIES,
    ),
    Reading(
        "ListStock, one location",
        ListStockRequest(),
        lambda answer: _on_hand(answer.stock_levels, "coin") == _on_hand(answer.stock_levels, "anchor") == COPIES,
    ),
    Reading(
        "ListStock, item prefix",
        ListStockRequest(item_prefix="co"),
        lambda answer: _on_hand(answer.stock_levels, "") == COPIES,
    ),
    Reading("ListCounters", ListCountersRequest(), lambda answer: _value(answer.counters) == COPIES),
    Reading(
        "GetNamespace",
        GetNamespaceRequest(),
        lambda answer: (
            (answer.namespace.stock_level_count - answer.namespace.counter_count) == 2
            and answer.namespace.active_reservation_count == 1
        ),
    ),
    Reading(
        "ListReservations, by state",
        ListReservationsRequest(state=_ACTIVE),
        lambda answer: len(answer.reservations) == 1,
    ),
    Reading(
        "ListReservations, by holder",
        ListReservationsRequest(holder="kim", page_size=10),
        lambda answer: _active(answer.reservations) == 1,
    ),
    Reading(
        "ListReservations, by item",
        ListReservationsRequest(item="anchor", state=_ACTIVE, page_size=10),
        lambda answer: _active(answer.reservations) == 1,
    ),
    Reading(
        "Watch, current levels",
        WatchRequest(include_levels=True),
        lambda answer: (
            _on_hand(answer.stock_levels, "gold") == _on_hand(answer.stock_levels, "coin") == COPIES
            and _value(answer.counters) == COPIES
            and _is_twin_whole(answer.stock_levels, answer.counters)
        ),
    ),
)


def in_namespace(request: Any, namespace: str) -> Any:  # noqa: ANN401  # any request
    """Return a copy of a request for another namespace."""
    own = type(request)()
    own.CopyFrom(request)
    own.namespace = namespace
    return own


@dataclass(slots=True)
class Attack:
    """Movers and readers of one namespace, and the answers that the readers got."""

    target: str
    namespace: str
    goes_on: Callable[["Attack"], bool]
    """A function that returns False when the movers and readers must stop."""
    steps: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0
    """The number of reads that the store, or the server, could not answer."""
    untrue: list[str] = field(default_factory=list)
    """The first of the answers that were never true."""

    async def run(self) -> None:
        """Move and read until ``goes_on`` returns False."""
        async with AsyncCaller(self.target) as call:
            await self._apply(call, beginning(self.namespace), "beginning")
            movers = (self._move(call, move) for move in _MOVES)
            await asyncio.gather(*movers, *(self._read(call, first) for first in range(READERS)))

    async def _move(self, call: AsyncCaller, move: Callable[[int], list[Operation]]) -> None:
        for step in itertools.count(1):
            if not self.goes_on(self):
                return
            await self._apply(call, _atomic(self.namespace, move(step)), f"{move.__name__}-{step}")
            self.steps += 1

    async def _apply(self, call: AsyncCaller, request: ApplyRequest, request_id: str) -> None:
        """Apply a batch. Repeat it under its request id until the answer is known."""
        request.request_id = request_id
        while True:
            try:
                await call(request)
            except Failure as failure:
                if failure.reason not in NOT_KNOWN | NOTHING_HAPPENED:
                    raise
            else:
                return

    async def _read(self, call: AsyncCaller, first: int) -> None:
        for number in itertools.count(first):
            if not self.goes_on(self):
                return
            reading = READINGS[number % len(READINGS)]
            try:
                answer = await _answer_to(in_namespace(reading.request, self.namespace), call)
                is_true = reading.is_true(answer)
            except Failure as failure:
                if failure.reason in NOT_KNOWN | NOTHING_HAPPENED:
                    self.unanswered += 1
                    continue
                answer, is_true = failure, False
            self.answers[reading.name] += 1
            if not is_true and len(self.untrue) < _UNTRUE_KEPT_MAX:
                self.untrue.append(f"{reading.name}: {' '.join(str(answer).split())}")


async def _answer_to(request: Any, call: AsyncCaller) -> Any:  # noqa: ANN401  # any read
    if not isinstance(request, WatchRequest):
        return await call(request)
    responses = cast("AsyncGenerator[Any]", call.stream(request))
    try:
        return await anext(responses)
    finally:
        await responses.aclose()
