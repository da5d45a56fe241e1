"""The judge: replays a ledger through the pure model, and reports where the ledger or an answer cannot be right.

The ledger is one order of all changes. The order is right under three conditions: the model makes the same entries in
this order, every answer equals the model's, and no change precedes a change that had ended before it began. Then the
history is linearizable, as defined in https://cs.brown.edu/~mph/HerlihyW90/p463-herlihy.pdf.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Final

from google.protobuf.message import Message

from tallykeeper.v1.batch_pb2 import ApplyRequest, ApplyResponse
from tallykeeper.v1.counter_pb2 import ListCountersRequest, ListCountersResponse
from tallykeeper.v1.inventory_pb2 import ListStockRequest, ListStockResponse
from tallykeeper.v1.ledger_pb2 import OPERATION_KIND_EXPIRE, Entry
from tests.chaos.history import Attempt, AttemptResult, History, Intent, Read
from tests.model import listings, reads
from tests.model.bodies import body_of
from tests.model.model import Answer, Chosen, Model
from tests.model.refusal import Refusal
from tests.model.reservation import ACTIVE
from tests.model.rules import RULES
from tests.support.client import Failure, reason_of, simplify

CLOCK_SLACK_SECONDS: Final = 600.0
"""The permitted difference of a commit time from the time of its round. A round is shorter, and both clocks are this
machine's."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A result or a state that the contract does not allow."""

    kind: str
    detail: str


@dataclass(slots=True)
class Verdict:
    """The violations that the judge found, and the numbers of the things that it checked."""

    violations: list[Violation] = field(default_factory=list)
    entries: int = 0
    applied: int = 0
    refused: int = 0
    unknown: int = 0
    reads: int = 0

    def add(self, kind: str, detail: object) -> None:
        """Record a violation."""
        self.violations.append(Violation(kind, " ".join(str(detail).split())))


@dataclass(slots=True)
class _Check:
    """An answer that must have been right in at least one of some states."""

    first: int
    last: int
    is_right: Callable[[Model], bool]
    detail: str


def judge(
    history: History,
    ledger: Sequence[Entry],
    *,
    calm: bool = False,
    dirty: bool = False,
    clock_slack_seconds: float = CLOCK_SLACK_SECONDS,
) -> Verdict:
    """Judge one namespace by its whole ledger, the oldest entry first.

    ``calm``: there were no faults, so each patient caller must have got an answer. ``clock_slack_seconds``: the
    greatest difference between the store's clock and this machine's.

    ``dirty``: the store may have lost changes that were not acknowledged as durable. Reads and unrecorded refusals may
    have seen lost changes, so they are not judged.
    """
    verdict = Verdict(entries=len(ledger))
    for defect in history.defects:
        verdict.add("a defect of the server", defect)
    order = _Order(history, ledger)
    checks = list(_checks(history, order, dirty=dirty))
    answers = _replay(ledger, order, checks, verdict)
    for intent in history.intents:
        _judge_intent(intent, answers.get(intent.number), order, verdict)
        for attempt in intent.attempts:
            if calm and attempt.patient and attempt.result in {AttemptResult.UNKNOWN, AttemptResult.NOTHING}:
                verdict.add("not answered, though nothing was wrong", f"{intent.reference} {attempt.answer}")
    for entry in ledger:
        if abs(entry.commit_time.ToMilliseconds() / 1_000 - history.wall_time) > clock_slack_seconds:
            verdict.add("a time that the store's clock did not show", entry)
    verdict.reads = len(history.reads)
    return verdict


class _Order:
    """Bounds on the revision at a moment, from the changes acknowledged before it and begun after it."""

    def __init__(self, history: History, ledger: Sequence[Entry]) -> None:
        self.intents = {intent.reference: intent for intent in history.intents}
        self.first: dict[int, int] = {}
        self.last: dict[int, int] = {}
        for entry in ledger:
            intent = self.intents.get(entry.reference)
            if intent is not None:
                self.first.setdefault(intent.number, entry.revision)
                self.last[intent.number] = entry.revision
        self._revision = len(ledger)
        ended = sorted(
            (attempt.ended_at, self.last[intent.number])
            for intent in history.intents
            if intent.number in self.last
            for attempt in intent.attempts_with(AttemptResult.APPLIED)
        )
        self._ended_at = [at for at, _ in ended]
        self._reached = list(accumulate((revision for _, revision in ended), max))
        begun = sorted(
            (intent.began_at, self.first[intent.number]) for intent in history.intents if intent.number in self.first
        )
        self._began_at = [at for at, _ in begun]
        self._follows = list(accumulate((revision for _, revision in reversed(begun)), min))[::-1]

    def reached_by(self, moment: float) -> int:
        """Return the last revision that had been acknowledged before a moment."""
        index = bisect_left(self._ended_at, moment)
        return self._reached[index - 1] if index else 0

    def possible_by(self, moment: float) -> int:
        """Return the greatest revision that was possible at a moment."""
        index = bisect_right(self._began_at, moment)
        return self._follows[index] - 1 if index < len(self._follows) else self._revision


def _replay(ledger: Sequence[Entry], order: _Order, checks: list[_Check], verdict: Verdict) -> dict[int, Any]:
    """Return the model's answer to each intent that is in the ledger. Stop where the ledger cannot be right."""
    model = Model()
    answers: dict[int, Any] = {}
    checks.sort(key=lambda check: check.first)
    waiting, coming = [], iter([*checks, _Check(len(ledger) + 1, 0, lambda _: True, "")])
    following = next(coming)
    while True:
        while following.first <= model.revision:
            waiting.append(following)
            following = next(coming)
        waiting = [check for check in waiting if not check.is_right(model)]
        for check in waiting:
            if check.last <= model.revision:
                verdict.add("an answer that was never right", check.detail)
        waiting = [check for check in waiting if check.last > model.revision]
        if model.revision >= len(ledger):
            return answers
        if not _take(ledger, order, model, answers, verdict):
            return answers


def _take(ledger: Sequence[Entry], order: _Order, model: Model, answers: dict[int, Any], verdict: Verdict) -> bool:
    """Apply the next entries of the ledger to the model. Return True if the model made the same entries."""
    at = model.revision
    entry = ledger[at]
    if at and entry.commit_time.ToMilliseconds() < ledger[at - 1].commit_time.ToMilliseconds():
        verdict.add("a commit time before the one before it", entry)
    if entry.operation == OPERATION_KIND_EXPIRE:
        wrong = _expire(model, entry)
    else:
        wrong = _change(model, entry, order.intents.get(entry.reference), answers)
    if wrong is not None:
        verdict.add(wrong, entry)
        return False
    for made, kept in zip(model.entries[at:], ledger[at : model.revision], strict=False):
        if made != kept:
            verdict.add("not what was asked for, or a gap", f"{kept} should be {made}")
            return False
    if model.revision > len(ledger):
        verdict.add("applied in part", entry)
        return False
    return True


def _expire(model: Model, entry: Entry) -> str | None:
    """Expire a reservation as the ledger says. Return the fault, or None."""
    held = model.contents.reservations.get(entry.reservation.reservation_id)
    now_ms = entry.commit_time.ToMilliseconds()
    if held is None or held.state is not ACTIVE or held.expire_at_ms > now_ms:
        return "an expiry before its time"
    model.expire(held.reservation_id, now_ms=now_ms)
    return None


def _change(model: Model, entry: Entry, intent: Intent | None, answers: dict[int, Any]) -> str | None:
    """Apply an intent to the model, and record its answer. Return the fault, or None."""
    if intent is None or intent.number in answers:
        return "applied twice" if intent else "applied without a request"
    at, now_ms = model.revision, entry.commit_time.ToMilliseconds()
    held = model.contents.reservations.get(getattr(intent.request, "reservation_id", ""))
    if held is not None and held.state is ACTIVE and held.expire_at_ms <= now_ms:
        return "a reservation whose time was up"
    operations = (Chosen(now_ms),) * len(getattr(intent.request, "operations", ()))
    answers[intent.number] = model.mutate(intent.request, Chosen(now_ms, operations=operations))
    return "applied, though it must be refused" if model.revision == at else None


def _judge_intent(intent: Intent, answer: Any, order: _Order, verdict: Verdict) -> None:  # noqa: ANN401  # of the model
    applied, refused = intent.attempts_with(AttemptResult.APPLIED), intent.attempts_with(AttemptResult.REFUSED)
    verdict.applied += bool(applied)
    verdict.refused += bool(refused)
    verdict.unknown += not (applied or refused)
    revision = order.first.get(intent.number)
    detail = f"{intent.reference} {type(intent.request).__name__} {intent.request}"
    if revision is None:
        if any(not _changed_nothing(attempt) for attempt in applied):
            verdict.add("acknowledged, but not in the ledger", detail)
        return
    if intent.stolen_request_id:
        verdict.add("applied under another's request id", detail)
    if refused:
        verdict.add("refused, but applied", f"{detail} {refused[0].answer}")
    if all(attempt.result is AttemptResult.NOTHING for attempt in intent.attempts):
        verdict.add("answered as not applied, but applied", detail)
    if revision <= order.reached_by(intent.began_at):
        verdict.add("precedes a change that had ended before it began", detail)
    for attempt in applied:
        if answer is not None and _without_replayed(attempt.answer) != _without_replayed(answer):
            verdict.add("answered with another change", f"{detail}: {attempt.answer} should be {answer}")


def _changed_nothing(attempt: Attempt) -> bool:
    return isinstance(attempt.answer, ApplyResponse) and not attempt.answer.revision


def _checks(history: History, order: _Order, *, dirty: bool) -> Iterator[_Check]:
    """Yield the answers that must have been right for a while: refusals, batches that changed nothing, and reads."""
    for intent in history.intents:
        if dirty and not intent.request.request_id:
            continue
        first = order.reached_by(intent.began_at)
        for attempt in intent.attempts:
            last = order.possible_by(attempt.ended_at)
            detail = f"{intent.reference} {intent.request} {attempt.answer}"
            if attempt.result is AttemptResult.REFUSED and intent.stolen_request_id:
                yield _Check(first, last, _Caught(attempt.answer), detail)
            elif attempt.result is AttemptResult.REFUSED:
                yield _Check(first, last, _Refused(intent.request, attempt.answer), detail)
            elif attempt.result is AttemptResult.APPLIED and _changed_nothing(attempt):
                yield _Check(first, last, _Failed(intent.request, attempt.answer), detail)
    for read in () if dirty else history.reads:
        first, last = order.reached_by(read.began_at), order.possible_by(read.ended_at)
        yield _Check(first, last, _Seen(read), f"{read.request} {read.answer}")


@dataclass(frozen=True, slots=True)
class _Refused:
    """A check that a change gets this refusal in a state."""

    request: Any
    failure: Failure

    def __call__(self, model: Model) -> bool:
        body = body_of(self.request)
        if isinstance(body, ApplyRequest):
            answer = Model(model.contents.copy()).mutate(_without_id(body), Chosen())
            return isinstance(answer, Refusal) and _is_refused_so(answer, self.failure)
        change = RULES[type(body)].change(model.contents, body, 0)
        if isinstance(change, Refusal):
            return _is_refused_so(change, self.failure)
        held = model.contents.reservations.get(getattr(body, "reservation_id", ""))
        return self.failure.reason == "RESERVATION_EXPIRED" and held is not None and held.state is ACTIVE


@dataclass(frozen=True, slots=True)
class _Caught:
    """A check that a request under another's request id gets this refusal, which holds in all states."""

    failure: Failure

    def __call__(self, _: Model) -> bool:
        return self.failure.reason == "REQUEST_ID_REUSED"


@dataclass(frozen=True, slots=True)
class _Failed:
    """A check that a batch changes nothing and gets this answer."""

    request: ApplyRequest
    answer: ApplyResponse

    def __call__(self, model: Model) -> bool:
        answer = Model(model.contents.copy()).mutate(_without_id(self.request), Chosen())
        return isinstance(answer, ApplyResponse) and not answer.revision and _meaning(answer) == _meaning(self.answer)


def _without_id(request: ApplyRequest) -> ApplyRequest:
    body = ApplyRequest.FromString(request.SerializeToString())
    body.request_id = ""
    return body


def _is_refused_so(refusal: Refusal, failure: Failure) -> bool:
    return (refusal.reason, dict(refusal.metadata)) == (failure.reason, failure.metadata)


def _meaning(answer: ApplyResponse) -> list[tuple[str, str, dict[str, str]]]:
    return [
        (str(result.WhichOneof("result")), *(reason_of(result.error) if result.HasField("error") else ("", {})))
        for result in answer.results
    ]


@dataclass(frozen=True, slots=True)
class _Seen:
    """A check that a read gets this answer."""

    read: Read

    def __call__(self, model: Model) -> bool:
        request, answer = self.read.request, self.read.answer
        right = _right_answer(model, request)
        if isinstance(right, Refusal):
            return isinstance(answer, Failure) and answer.reason == right.reason
        return bool(answer == right)


def _right_answer(model: Model, request: Any) -> Answer:  # noqa: ANN401  # any read
    """Return the right answer to a read. A listing has one page."""
    if isinstance(request, ListStockRequest):
        return ListStockResponse(stock_levels=listings.stock(model, request), revision=model.revision)
    if isinstance(request, ListCountersRequest):
        return ListCountersResponse(counters=model.counters(request.prefix), revision=model.revision)
    return reads.read(model, request)


def _without_replayed(answer: Any) -> Any:  # noqa: ANN401  # a response or a refusal
    if not isinstance(answer, Message):
        return None
    plain: Any = type(answer)()
    plain.CopyFrom(answer)
    plain.replayed = False
    if isinstance(plain, ApplyResponse):
        for result in plain.results:
            name = result.WhichOneof("result") or ""
            if name == "error":
                simplify(result.error)
            else:
                getattr(result, name).replayed = False
    return plain
