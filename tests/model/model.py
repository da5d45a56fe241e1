"""A model of one namespace by the contract. It takes the server's mutations, and returns the server's right answers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any, cast

from google.protobuf.message import Message

from tallykeeper.v1 import batch_pb2, counter_pb2, inventory_pb2, ledger_pb2, reservation_pb2
from tallykeeper.v1.ledger_pb2 import OperationKind
from tests.model.bodies import body_of, names_of, operation_of
from tests.model.contents import Change, Contents, CounterKey, StockKey
from tests.model.counters import Counter
from tests.model.entries import entry_of
from tests.model.holds import expire
from tests.model.refusal import Refusal, refusal
from tests.model.reservation import LISTED, Reservation
from tests.model.rules import RULES, Rule
from tests.model.stock import Stock

Answer = Message | Refusal


@dataclass(frozen=True, slots=True)
class Chosen:
    """The server's choices: the time, and the id of a reservation without one."""

    now_ms: int = 0
    reservation_id: str = ""
    operations: tuple["Chosen", ...] = ()
    """The choices for each operation of a batch. The tuple is empty if the batch was refused as a whole."""


@dataclass(slots=True)
class Model:
    """The contents of a namespace, and its answers."""

    contents: Contents = field(default_factory=Contents)
    entries: list[ledger_pb2.Entry] = field(default_factory=list)
    answers: dict[str, tuple[Message, Answer]] = field(default_factory=dict)

    @property
    def revision(self) -> int:
        """The number of the last mutation."""
        return len(self.entries)

    def mutate(self, request: Message, chosen: Chosen) -> Answer:
        """Return the right answer to a mutation. ``chosen``: the server's choices if it applies the mutation."""
        request_id, body = str(getattr(request, "request_id", "")), body_of(request)
        if request_id in self.answers:
            first_body, first_answer = self.answers[request_id]
            if type(first_body) is not type(body) or first_body != body:
                return refusal("REQUEST_ID_REUSED", **names_of(body))
            return _replayed(first_answer)
        answer: Answer
        if isinstance(body, batch_pb2.ApplyRequest):
            answer = self._apply_batch(body, request_id=request_id, chosen=chosen)
        else:
            answer = self._apply(body, request_id=request_id, chosen=chosen)
        if request_id:
            self.answers[request_id] = body, answer
        return answer

    def expire(self, reservation_id: str, *, now_ms: int) -> None:
        """End a reservation whose time is up."""
        change = expire(self.contents, reservation_id, now_ms)
        self._record(change, ledger_pb2.Entry(operation=OperationKind.OPERATION_KIND_EXPIRE), now_ms=now_ms)

    def forget(self, counter: str) -> None:
        """Delete a counter that has expired."""
        del self.contents.levels[CounterKey(counter)]

    def counters(self, prefix: str = "") -> list[counter_pb2.Counter]:
        """Return the counters whose names begin with a prefix, in the order of their names' bytes."""
        counters = [
            level.message(key.counter)
            for key, level in self.contents.levels.items()
            if isinstance(key, CounterKey) and isinstance(level, Counter) and key.counter.startswith(prefix)
        ]
        return sorted(counters, key=lambda counter: counter.counter.encode())

    def stock(self) -> list[inventory_pb2.StockLevel]:
        """Return the levels in the order of the bytes of their items, then of their locations."""
        levels = [
            level.message(key.item, key.location)
            for key, level in self.contents.levels.items()
            if isinstance(key, StockKey) and isinstance(level, Stock)
        ]
        return sorted(levels, key=lambda level: (level.item.encode(), level.location))

    def reservations(self) -> list[Reservation]:
        """Return the reservations in the order of their states, then of their ids' bytes."""
        return sorted(
            self.contents.reservations.values(),
            key=lambda held: (LISTED.index(held.state), held.reservation_id.encode()),
        )

    def _apply(self, body: Any, *, request_id: str, chosen: Chosen) -> Answer:  # noqa: ANN401  # any mutation
        if isinstance(body, reservation_pb2.ReserveRequest) and not body.reservation_id:
            body = reservation_pb2.ReserveRequest.FromString(body.SerializeToString())
            body.reservation_id = chosen.reservation_id
        rule = RULES[type(body)]
        change = rule.change(self.contents, body, chosen.now_ms)
        if isinstance(change, Refusal):
            return change
        head = ledger_pb2.Entry(
            operation=rule.operation, request_id=request_id, reason=body.reason, reference=body.reference
        )
        self._record(change, head, now_ms=chosen.now_ms)
        return _reply(rule, change, revision=self.revision, now_ms=chosen.now_ms)

    def _apply_batch(self, batch: batch_pb2.ApplyRequest, *, request_id: str, chosen: Chosen) -> Answer:
        before, revision_before = self.contents.copy(), self.revision
        answers: list[Answer] = []
        for operation, its_own in zip(batch.operations, chain(chosen.operations, repeat(Chosen())), strict=False):
            body = operation_of(operation)
            body = type(body).FromString(body.SerializeToString())
            body.reason, body.reference = body.reason or batch.reason, body.reference or batch.reference
            answers.append(self._apply(body, request_id=request_id, chosen=its_own))
        failed_count = sum(isinstance(answer, Refusal) for answer in answers)
        if batch.mode == batch_pb2.BATCH_MODE_ATOMIC and failed_count:
            self.contents = before
            del self.entries[revision_before:]
            return _refused_batch(answers, failed_count)
        reply = batch_pb2.ApplyResponse(
            results=_results(batch, answers),
            failed_count=failed_count,
            revision=self.revision if self.revision > revision_before else 0,
        )
        reply.commit_time.FromMilliseconds(chosen.now_ms)
        return reply

    def _record(self, change: Change, head: ledger_pb2.Entry, *, now_ms: int) -> None:
        """Apply a change under the next revision. ``head`` has the entry's other fields."""
        entry = entry_of(change, self.contents)
        entry.MergeFrom(head)
        entry.revision = self.revision + 1
        entry.commit_time.FromMilliseconds(now_ms)
        self.entries.append(entry)
        self.contents.take_over(change)


def _reply(rule: Rule, change: Change, *, revision: int, now_ms: int) -> Message:
    fields: dict[str, Any] = {**change.reply, "revision": revision}
    reply: Any = rule.response(**fields)
    reply.commit_time.FromMilliseconds(now_ms)
    return cast("Message", reply)


def _refused_batch(answers: Sequence[Answer], failed_count: int) -> Refusal:
    """Return the refusal of an atomic batch: the code and the index of the first operation that failed."""
    index, first = next((index, each) for index, each in enumerate(answers) if isinstance(each, Refusal))
    metadata = {"failed_count": str(failed_count), "index": str(index), "operation_reason": first.reason}
    return Refusal(first.code, "BATCH_REFUSED", metadata)


def _results(batch: batch_pb2.ApplyRequest, answers: Iterable[Answer]) -> Iterable[batch_pb2.OperationResult]:
    for operation, answer in zip(batch.operations, answers, strict=True):
        result: dict[str, Any] = {}
        if isinstance(answer, Refusal):
            result["error"] = answer.message
        else:
            result[operation.WhichOneof("operation") or ""] = answer
        yield batch_pb2.OperationResult(**result)


def _replayed(answer: Answer) -> Answer:
    if isinstance(answer, Refusal):
        return answer
    again: Any = type(answer)()
    again.CopyFrom(answer)
    again.replayed = True
    if isinstance(again, batch_pb2.ApplyResponse):
        for result in again.results:
            name = result.WhichOneof("result") or ""
            if name != "error":
                getattr(result, name).replayed = True
    return cast("Message", again)
