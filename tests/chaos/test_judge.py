"""The judge: the histories that it accepts, and each violation that it must find."""

from collections.abc import Callable

import grpc
import pytest

from tallykeeper.v1.counter_pb2 import (
    Counter,
    GetCounterRequest,
    GetCounterResponse,
    IncrementRequest,
    IncrementResponse,
    ListCountersRequest,
    ListCountersResponse,
)
from tallykeeper.v1.inventory_pb2 import GetItemRequest
from tallykeeper.v1.ledger_pb2 import OPERATION_KIND_INCREMENT, Entry
from tests.chaos.history import Attempt, AttemptResult, History, Intent, Read
from tests.chaos.judge import judge
from tests.support.client import Failure
from tests.support.ledger import counter_line


class ThreeIncrements:
    """A history of three increments by one caller, with its ledger. Each was acknowledged before the next one began."""

    def __init__(self) -> None:
        self.history = History("n")
        self.ledger: list[Entry] = []
        for number in (1, 2, 3):
            request = IncrementRequest(counter="v", delta=1, request_id=f"r{number}")
            intent = self.history.intent(request)
            entry = Entry(revision=number, operation=OPERATION_KIND_INCREMENT, request_id=f"r{number}")
            entry.reference = intent.reference
            entry.commit_time.FromMilliseconds(int(self.history.wall_time * 1_000))
            entry.lines.append(counter_line("v", 1, Counter(counter="v", value=number)))
            self.ledger.append(entry)
            answer = IncrementResponse(counter=Counter(counter="v", value=number), revision=number)
            answer.commit_time.CopyFrom(entry.commit_time)
            intent.attempts.append(Attempt(2.0 * number, 2.0 * number + 1, AttemptResult.APPLIED, answer))

    @property
    def second(self) -> Intent:
        return self.history.intents[1]

    def set_result(self, result: AttemptResult, answer: object = None) -> None:
        """Give the second increment another result."""
        self.second.attempts = [Attempt(4.0, 5.0, result, answer)]

    def read(self, value: int, began_at: float, ended_at: float) -> None:
        answer = GetCounterResponse(counter=Counter(counter="v", value=value), revision=value)
        self.history.reads.append(Read(GetCounterRequest(counter="v"), began_at, ended_at, answer))

    def list(self, value: int) -> None:
        answer = ListCountersResponse(counters=[Counter(counter="v", value=value)], revision=value)
        self.history.reads.append(Read(ListCountersRequest(), 3.5, 3.6, answer))

    def find_nothing(self) -> None:
        nothing = failure("ITEM_NOT_FOUND")
        self.history.reads.append(Read(GetItemRequest(item="v"), 3.5, 3.6, nothing))

    def kinds(self) -> set[str]:
        return {violation.kind for violation in judge(self.history, self.ledger).violations}


def failure(reason: str) -> Failure:
    return Failure(grpc.StatusCode.OUT_OF_RANGE, "", reason, {}, {}, (), None, None, (), (), 0)


def test_a_right_history_passes() -> None:
    case = ThreeIncrements()
    case.read(1, 3.5, 3.6)
    case.read(2, 3.5, 4.5)
    case.list(1)
    case.find_nothing()

    assert case.kinds() == set()


@pytest.mark.parametrize("known", [True, False])
def test_an_unknown_attempt_may_or_may_not_be_applied(known: bool) -> None:  # noqa: FBT001  # a parameter
    case = ThreeIncrements()
    case.history.intents.pop()
    case.ledger.pop()
    case.set_result(AttemptResult.UNKNOWN)
    if not known:
        case.ledger.pop()

    assert case.kinds() == set()


def lose_the_last(case: ThreeIncrements) -> None:
    case.ledger.pop()


def apply_twice(case: ThreeIncrements) -> None:
    again = Entry()
    again.CopyFrom(case.ledger[2])
    again.revision = 4
    again.lines[0].counter.after.value = 4
    case.ledger.append(again)


def leave_a_gap(case: ThreeIncrements) -> None:
    case.ledger[2].revision = 4


def change_an_entry(case: ThreeIncrements) -> None:
    case.ledger[1].lines[0].counter.value_change = 2


def change_a_reference(case: ThreeIncrements) -> None:
    case.ledger[1].reference = "nobody"


def swap_times(case: ThreeIncrements) -> None:
    case.second.attempts[0] = Attempt(20.0, 21.0, AttemptResult.APPLIED, case.second.attempts[0].answer)


def answer_wrongly(case: ThreeIncrements) -> None:
    case.second.attempts[0].answer.counter.value = 7


def change_a_commit_time(case: ThreeIncrements) -> None:
    case.ledger[2].commit_time.seconds += 86_400


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        (lose_the_last, "acknowledged, but not in the ledger"),
        (apply_twice, "applied twice"),
        (leave_a_gap, "not what was asked for, or a gap"),
        (change_an_entry, "not what was asked for, or a gap"),
        (change_a_reference, "applied without a request"),
        (swap_times, "precedes a change that had ended before it began"),
        (answer_wrongly, "answered with another change"),
        (change_a_commit_time, "a time that the store's clock did not show"),
        (lambda case: case.set_result(AttemptResult.REFUSED, failure("VALUE_OVERFLOW")), "refused, but applied"),
        (lambda case: case.set_result(AttemptResult.NOTHING), "answered as not applied, but applied"),
        (lambda case: case.read(3, 3.5, 3.6), "an answer that was never right"),
        (lambda case: case.read(1, 5.5, 5.6), "an answer that was never right"),
        (lambda case: case.list(2), "an answer that was never right"),
        (lambda case: case.history.defects.append("INTERNAL"), "a defect of the server"),
    ],
)
def test_each_violation_is_found(wrong: Callable[[ThreeIncrements], None], kind: str) -> None:
    case = ThreeIncrements()

    wrong(case)

    assert kind in case.kinds()
