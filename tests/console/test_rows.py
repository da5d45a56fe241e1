"""The rows of each page: their texts, and signs that need no color."""

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from tallykeeper.v1.namespace_pb2 import Durability, Namespace
from tallykeeper_client import (
    Counter,
    CounterChange,
    Difference,
    DifferenceKind,
    Entry,
    EntryLine,
    OperationKind,
    Reservation,
    ReservationLine,
    ReservationState,
    StockChange,
    StockLevel,
    ThresholdCrossing,
    VerifyProgress,
    VerifyResult,
)
from tallykeeper_console.views import entries, levels, namespaces, reservations, verification
from tallykeeper_console.views.paged_list import KEY


@pytest.mark.parametrize(
    ("level", "state"),
    [
        (StockLevel(on_hand=9, available=9), "● in stock"),
        (StockLevel(on_hand=3, available=3, low_stock_threshold=3), "◐ low"),
        (StockLevel(on_hand=2, reserved=2), "○ out"),
        (StockLevel(short_copies=4), "✖ short by 4"),
        (StockLevel(damage="not a number"), "✖ damaged"),
    ],
)
def test_each_state_of_stock_has_its_own_sign(level: StockLevel, state: str) -> None:
    assert levels.stock_state(level) == state


@pytest.mark.parametrize(
    ("counter", "state"),
    [
        (Counter(value=5), "● counting"),
        (Counter(value=5, max=5), "▲ at maximum"),
        (Counter(value=0, min=0), "▼ at minimum"),
        (Counter(damage="not a number"), "✖ damaged"),
    ],
)
def test_each_state_of_a_counter_has_its_own_sign(counter: Counter, state: str) -> None:
    assert levels.counter_state(counter) == state


def test_a_row_of_stock_leads_to_its_item() -> None:
    row = levels.stock_row("shop", StockLevel(item="a b", location="main", on_hand=4, available=4, safety_stock=1))

    assert row["href"] == "/shop/item?name=a+b"
    assert (row["on_hand"], row["safety_stock"], row["backorder_limit"]) == (4, "1", "–")
    other = levels.stock_row("shop", StockLevel(item="a b", location="berlin"))
    assert row[KEY] != other[KEY]


def test_a_row_of_a_counter_shows_its_bounds() -> None:
    row = levels.counter_row("shop", Counter(counter="visits", value=3, max=9))

    assert (row["value"], row["min"], row["max"], row["expires"]) == (3, "–", "9", "–")


def test_a_trend_stays_until_the_next_change() -> None:
    def seen(on_hand: int) -> str:
        row = levels.stock_row("shop", StockLevel(item="dune", location="main", on_hand=on_hand))
        trends.mark([row])
        return str(row["trend"])

    trends = levels.Trends("on_hand")
    assert [seen(5), seen(3), seen(3), seen(4)] == ["", "▼ −2", "▼ −2", "▲ +1"]
    trends.mark([])
    assert seen(9) == ""


def test_an_open_reservation_shows_the_time_that_is_left() -> None:
    reservation = Reservation(
        reservation_id="basket",
        state=ReservationState.RESERVATION_STATE_ACTIVE,
        holder="ann",
        create_time=Timestamp(seconds=1_000),
        expire_time=Timestamp(seconds=1_400),
        lines=[ReservationLine(item=f"item-{index}", location="main", copies=2) for index in range(5)],
    )

    row = reservations.reservation_row(reservation, now=1_300.0)

    assert (row["state"], row["remaining"], row["share"]) == ("● open", "1 min 40 s", 0.25)
    assert row["lines"] == "2 × item-0 @ main, 2 × item-1 @ main, 2 × item-2 @ main and 2 more"
    assert reservations.reservation_row(reservation, now=1_401.0)["remaining"] == "due"


def test_an_ended_reservation_has_no_time_left() -> None:
    reservation = Reservation(state=ReservationState.RESERVATION_STATE_COMMITTED, resolve_time=Timestamp(seconds=1_200))

    row = reservations.reservation_row(reservation, now=1_000.0)

    assert (row["state"], row["remaining"], row["is_open"]) == ("✔ committed", "", False)
    assert row["ends"] == "1970-01-01 00:20:00"


def test_a_damaged_reservation_is_not_open() -> None:
    damaged = Reservation(state=ReservationState.RESERVATION_STATE_ACTIVE, damage="cut off")

    row = reservations.reservation_row(damaged, now=0.0)

    assert (row["state"], row["is_open"]) == ("✖ damaged", False)


def test_an_entry_describes_its_changes() -> None:
    after = StockLevel(item="dune", location="main", on_hand=3, reserved=1, available=2)
    entry = Entry(
        revision=7,
        operation=OperationKind.OPERATION_KIND_DECREMENT_COPIES,
        reference="order-17",
        lines=[
            EntryLine(
                stock=StockChange(
                    item="dune",
                    location="main",
                    on_hand_change=-2,
                    reserved_change=1,
                    crossings=[ThresholdCrossing.THRESHOLD_CROSSING_LOW],
                    after=after,
                )
            ),
            EntryLine(counter=CounterChange(counter="sales", value_change=2, after=Counter(counter="sales", value=9))),
            EntryLine(counter=CounterChange(counter="old")),
            EntryLine(stock=StockChange(item="emma", location="main")),
            EntryLine(),
        ],
    )

    row = entries.entry_row(entry)

    assert (row["revision"], row["operation"], row["reference"]) == (7, "decrement copies", "order-17")
    assert row["changes"] == (
        "dune @ main: on hand −2 = 3, reserved +1 = 1, low; sales: +2 = 9; old: deleted; "
        "emma @ main: deleted; and 1 more"
    )


def test_a_damaged_entry_says_so() -> None:
    row = entries.entry_row(Entry(revision=3, damage="no such operation"))

    assert (row["operation"], row["changes"]) == ("✖ damaged", "no such operation")


def test_what_a_newer_server_adds_is_named_as_unknown() -> None:
    assert entries.operation_word(99) == "an operation that this console does not know"
    assert entries.changes(Entry(lines=[EntryLine()])) == "a kind of change that this console does not know"


def test_every_operation_can_be_chosen() -> None:
    assert set(entries.OPERATIONS.values()) == set(OperationKind.values())


def test_a_namespace_shows_its_size_and_its_promise() -> None:
    namespace = Namespace(
        namespace="shop",
        revision=12,
        stock_level_count=3,
        durability=Durability.DURABILITY_FSYNC,
        request_retention=Duration(seconds=86_400),
    )

    row = namespaces.namespace_row(namespace)

    assert (row["href"], row["stock_levels"], row["durability"], row["retention"]) == ("/shop/stock", 3, "fsync", "1 d")
    assert namespaces.namespace_row(Namespace(damage="no list"))["durability"] == "✖ no list"


def test_a_verification_says_how_far_it_is_and_what_it_found() -> None:
    progress = VerifyProgress(revisions_replayed=5, revisions_total=10, levels_checked=1, levels_total=2)
    clean = VerifyResult(clean=True, from_revision=1, revision=10, levels_checked=4, reservations_checked=1)

    assert verification.part_done(progress) == 0.5
    assert verification.part_done(VerifyProgress()) == 0
    assert verification.verdict(clean) == "✔ The namespace is what its ledger says."
    assert verification.verdict(VerifyResult(difference_count=1)).startswith("✖ 1 difference ")
    assert verification.verdict(VerifyResult(difference_count=2)).startswith("✖ 2 differences ")
    assert verification.extent(clean) == (
        "Revisions 1 to 10 replayed; 4 levels and counters and 1 reservations compared."
    )
    assert verification.extent(VerifyResult(levels_unchecked=2)).endswith("2 are no longer in the ledger.")


def test_a_difference_shows_both_sides() -> None:
    difference = Difference(
        kind=DifferenceKind.DIFFERENCE_KIND_DAMAGED_ENTRY, name="dune", revision=4, expected="3", actual="5"
    )

    row = verification.difference_row(0, difference)

    assert (row["kind"], row["expected"], row["actual"]) == ("damaged entry", "3", "5")
