"""One namespace by the contract: it takes the requests that the server takes, and says what it must answer.

Levels are named as the ledger names them: ``counter:<name>`` and ``stock:<location>:<item>``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from google.protobuf.message import Message

from tallykeeper.v1 import counter_pb2, inventory_pb2
from tallykeeper.v1.inventory_pb2 import ShortagePolicy
from tests.ledger import Entry, Line
from tests.model import counters, stock
from tests.model.counters import Counter
from tests.model.refusal import Refusal, refusal
from tests.model.stock import Stock

Level = Counter | Stock
Answer = Message | Refusal


@dataclass(frozen=True, slots=True)
class Rule:
    """A mutation: what it does to its level, what it replies with, and what the ledger calls it."""

    change: Callable[..., Level | Refusal | None]
    response: type[Message]
    operation: str


RULES: Final[Mapping[type[Message], Rule]] = {
    counter_pb2.IncrementRequest: Rule(counters.increment, counter_pb2.IncrementResponse, "counter_increment"),
    counter_pb2.SetCounterRequest: Rule(counters.set_counter, counter_pb2.SetCounterResponse, "counter_set"),
    counter_pb2.ConfigureCounterRequest: Rule(
        counters.configure_counter, counter_pb2.ConfigureCounterResponse, "counter_configure"
    ),
    counter_pb2.DeleteCounterRequest: Rule(
        counters.delete_counter, counter_pb2.DeleteCounterResponse, "counter_delete"
    ),
    inventory_pb2.DecrementCopiesRequest: Rule(
        stock.decrement_copies, inventory_pb2.DecrementCopiesResponse, "stock_decrement"
    ),
    inventory_pb2.IncrementCopiesRequest: Rule(
        stock.increment_copies, inventory_pb2.IncrementCopiesResponse, "stock_increment"
    ),
    inventory_pb2.SetStockRequest: Rule(stock.set_stock, inventory_pb2.SetStockResponse, "stock_set"),
    inventory_pb2.ConfigureStockRequest: Rule(
        stock.configure_stock, inventory_pb2.ConfigureStockResponse, "stock_configure"
    ),
    inventory_pb2.DeleteStockRequest: Rule(stock.delete_stock, inventory_pb2.DeleteStockResponse, "stock_delete"),
}


CLEARED: Final = ("min", "max", "expire_after")
"""What a mask that names it, and nothing else, takes away."""
ZEROED: Final = ("safety_stock", "backorder_limit", "low_stock_threshold")
"""What a mask that names it, and nothing else, makes 0."""


@dataclass(slots=True)
class Model:
    """What a namespace holds and has answered."""

    levels: dict[str, Level] = field(default_factory=dict)
    ledger: list[Entry] = field(default_factory=list)
    answers: dict[str, tuple[Message, Answer]] = field(default_factory=dict)

    def mutate(self, request: Message, *, now_ms: int) -> Answer:
        """Return what the server must answer to a mutation that it applies at this time, if it applies it."""
        request_id, body = _value(request, "request_id"), body_of(request)
        if request_id in self.answers:
            first_body, answer = self.answers[request_id]
            if type(first_body) is not type(body) or first_body != body:
                return refusal("REQUEST_ID_REUSED", **names_of(body))
            return _replayed(answer)
        answer = self._apply(body, request_id=request_id, now_ms=now_ms)
        if request_id:
            self.answers[request_id] = body, answer
        return answer

    def _apply(self, body: Message, *, request_id: str, now_ms: int) -> Answer:
        rule, names, key = RULES[type(body)], names_of(body), key_of(body)
        before = self.levels.get(key)
        after = rule.change(before, body, now_ms)
        if isinstance(after, Refusal):
            return Refusal(after.code, after.reason, {**names, **after.metadata})
        change = (after.quantity if after else 0) - (before.quantity if before else 0)
        entry = Entry(
            revision=len(self.ledger) + 1,
            operation=rule.operation,
            request_id=request_id,
            reason=_value(body, "reason"),
            reference=_value(body, "reference"),
            lines=(Line(key, change, after.text if after else ""),),
        )
        self.ledger.append(entry)
        if after is None:
            del self.levels[key]
        else:
            self.levels[key] = after
        return _reply(rule, names, shown=after or before, change=change, revision=entry.revision, now_ms=now_ms)

    def forget(self, counter: str) -> None:
        """Take away a counter that has expired."""
        del self.levels[f"counter:{counter}"]

    def counters(self, prefix: str = "") -> list[counter_pb2.Counter]:
        """Return the counters whose names begin so, in the order of their bytes."""
        named = [(key.removeprefix("counter:"), level) for key, level in self.levels.items()]
        return [
            level.message(name)
            for name, level in sorted(named, key=lambda pair: pair[0].encode())
            if isinstance(level, Counter) and name.startswith(prefix)
        ]

    def stock(self) -> list[inventory_pb2.StockLevel]:
        """Return the levels in the order of their items' bytes and then of their locations'."""
        levels = [
            level.message(item=key.split(":", 2)[2], location=key.split(":", 2)[1])
            for key, level in self.levels.items()
            if isinstance(level, Stock)
        ]
        return sorted(levels, key=lambda level: (level.item.encode(), level.location))


def body_of(request: Message) -> Message:
    """Return what a mutation asks for, its defaults spelled out: equal bodies are equal messages."""
    body = type(request)()
    body.CopyFrom(request)
    body.ClearField("namespace")
    body.ClearField("request_id")
    values: Any = body
    fields = body.DESCRIPTOR.fields_by_name
    if "location" in fields:
        values.location = values.location or "main"
    for amount in ("delta", "copies"):
        if amount in fields and not body.HasField(amount):
            setattr(body, amount, 1)
    if "shortage_policy" in fields:
        values.shortage_policy = values.shortage_policy or ShortagePolicy.SHORTAGE_POLICY_REJECT
    if "update_mask" in fields:
        _spell_out_mask(values)
    return body


def _spell_out_mask(body: Any) -> None:  # noqa: ANN401  # either of the two messages that have a mask
    configurable = [name for name in body.DESCRIPTOR.fields_by_name if name in (*CLEARED, *ZEROED)]
    named = [
        name
        for name in configurable
        if name in body.update_mask.paths
        or list(body.update_mask.paths) == ["*"]
        or (not body.update_mask.paths and body.HasField(name))
    ]
    for name in configurable:
        if name not in named:
            body.ClearField(name)
        elif name in ZEROED:
            setattr(body, name, getattr(body, name))
    body.update_mask.paths[:] = named


def names_of(body: Message) -> dict[str, str]:
    """Return what an error tells of the level that a request names."""
    return {name: _value(body, name) for name in ("counter", "item", "location") if hasattr(body, name)}


def key_of(body: Message) -> str:
    """Return what the ledger calls the level that a request names."""
    names = names_of(body)
    return f"counter:{names['counter']}" if "counter" in names else f"stock:{names['location']}:{names['item']}"


def _reply(
    rule: Rule, names: Mapping[str, str], *, shown: Level | None, change: int, revision: int, now_ms: int
) -> Message:
    reply: Any = rule.response()
    reply.revision = revision
    reply.commit_time.FromMilliseconds(now_ms)
    if isinstance(shown, Counter):
        reply.counter.CopyFrom(shown.message(names["counter"]))
    elif isinstance(shown, Stock):
        reply.stock_level.CopyFrom(shown.message(names["item"], names["location"]))
    if isinstance(reply, inventory_pb2.DecrementCopiesResponse):
        reply.copies_taken = -change
    return cast("Message", reply)


def _replayed(answer: Answer) -> Answer:
    if isinstance(answer, Refusal):
        return answer
    again: Any = type(answer)()
    again.CopyFrom(answer)
    again.replayed = True
    return cast("Message", again)


def _value(request: Message, name: str) -> str:
    return str(getattr(request, name))
