"""The judge: what it lets pass, and each thing that it must not."""

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
from tests.chaos.history import Attempt, History, Read, Told, Wish
from tests.chaos.judge import judge
from tests.support.client import Failure
from tests.support.ledger import counter_line


class Told3:
    """A history of three increments by one caller, each of which was acknowledged before the next; and its ledger."""

    def __init__(self) -> None:
        self.history = History("n")
        self.ledger: list[Entry] = []
        for number in (1, 2, 3):
            request = IncrementRequest(counter="v", delta=1, request_id=f"r{number}")
            wish = self.history.wish(request)
            entry = Entry(revision=number, operation=OPERATION_KIND_INCREMENT, request_id=f"r{number}")
            entry.reference = wish.reference
            entry.commit_time.FromMilliseconds(int(self.history.wall_time * 1_000))
            entry.lines.append(counter_line("v", 1, Counter(counter="v", value=number)))
            self.ledger.append(entry)
            answer = IncrementResponse(counter=Counter(counter="v", value=number), revision=number)
            answer.commit_time.CopyFrom(entry.commit_time)
            wish.attempts.append(Attempt(2.0 * number, 2.0 * number + 1, Told.APPLIED, answer))

    @property
    def second(self) -> Wish:
        return self.history.wishes[1]

    def tell(self, told: Told, answer: object = None) -> None:
        """Let the second have been told something else."""
        self.second.attempts = [Attempt(4.0, 5.0, told, answer)]

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


def test_what_is_right_passes() -> None:
    told = Told3()
    told.read(1, 3.5, 3.6)
    told.read(2, 3.5, 4.5)
    told.list(1)
    told.find_nothing()

    assert told.kinds() == set()


@pytest.mark.parametrize("known", [True, False])
def test_what_is_unknown_may_be_there_or_not(known: bool) -> None:  # noqa: FBT001  # a parameter
    told = Told3()
    told.history.wishes.pop()
    told.ledger.pop()
    told.tell(Told.UNKNOWN)
    if not known:
        told.ledger.pop()

    assert told.kinds() == set()


def lose_the_last(told: Told3) -> None:
    told.ledger.pop()


def apply_twice(told: Told3) -> None:
    again = Entry()
    again.CopyFrom(told.ledger[2])
    again.revision = 4
    again.lines[0].counter.after.value = 4
    told.ledger.append(again)


def leave_a_gap(told: Told3) -> None:
    told.ledger[2].revision = 4


def change_an_entry(told: Told3) -> None:
    told.ledger[1].lines[0].counter.value_change = 2


def add_a_stranger(told: Told3) -> None:
    told.ledger[1].reference = "nobody"


def swap_times(told: Told3) -> None:
    told.second.attempts[0] = Attempt(20.0, 21.0, Told.APPLIED, told.second.attempts[0].answer)


def answer_wrongly(told: Told3) -> None:
    told.second.attempts[0].answer.counter.value = 7


def tell_a_wrong_time(told: Told3) -> None:
    told.ledger[2].commit_time.seconds += 86_400


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        (lose_the_last, "acknowledged, but not in the ledger"),
        (apply_twice, "applied twice"),
        (leave_a_gap, "not what was asked for, or a gap"),
        (change_an_entry, "not what was asked for, or a gap"),
        (add_a_stranger, "applied, and nobody asked for it"),
        (swap_times, "stands before what had ended before it began"),
        (answer_wrongly, "answered with what it did not do"),
        (tell_a_wrong_time, "a time that the store's clock did not show"),
        (lambda told: told.tell(Told.REFUSED, failure("VALUE_OVERFLOW")), "refused, but applied"),
        (lambda told: told.tell(Told.NOTHING), "told that nothing happened, but applied"),
        (lambda told: told.read(3, 3.5, 3.6), "an answer that was never right"),
        (lambda told: told.read(1, 5.5, 5.6), "an answer that was never right"),
        (lambda told: told.list(2), "an answer that was never right"),
        (lambda told: told.history.defects.append("INTERNAL"), "a defect of the server"),
    ],
)
def test_what_is_wrong_is_found(wrong: Callable[[Told3], None], kind: str) -> None:
    told = Told3()

    wrong(told)

    assert kind in told.kinds()
