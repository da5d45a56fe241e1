"""Verifying: true histories are clean, whatever changes during the audit, and each kind of difference is found."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count

import pytest

from tallykeeper_server.domain.audit import Audit, Difference, DifferenceKind
from tallykeeper_server.domain.entries import Entry, EntryLine
from tallykeeper_server.domain.levels import (
    Counter,
    CounterName,
    Level,
    LevelName,
    Reservation,
    ReservationLine,
    ReservationName,
    ReservationState,
    StockLevel,
    StockName,
)
from tallykeeper_server.domain.queries import (
    Kind,
    ListedReservation,
    ListNames,
    ListReservations,
    ReadLedger,
    Snapshot,
    SnapshotAnswer,
)
from tallykeeper_server.engine.verify import Progress, verify

PAGE_SCRIPTS = 7
RETENTION_MS = 40
LISTED_STATES = [
    ReservationState.ACTIVE,
    ReservationState.EXPIRED,
    ReservationState.COMMITTED,
    ReservationState.RELEASED,
]
DUNE, ANNEX = StockName("dune", "main"), StockName("dune", "annex")
VISITS, OPEN = CounterName("visits"), ReservationName("open")


class PlayedNamespace:
    """A namespace in memory, with its ledger, which changes while it is read if the test says so."""

    def __init__(self, seed: int = 0) -> None:
        self.random = random.Random(seed)  # noqa: S311 - no secret
        self.now_ms = 1_000
        self.revision = 0
        self.scripts: list[list[Entry]] = []
        self.levels: dict[LevelName, Level] = {}
        self.before_read: Callable[[], None] = lambda: None

    def write(self, operation: str, *after: tuple[CounterName | StockName, Counter | StockLevel | None]) -> None:
        """Write an entry about levels, with the levels after it."""
        self.record(operation, after, None)

    def reserve(self, name: ReservationName, **copies: int) -> None:
        lines = tuple(ReservationLine(StockName("dune", location), number, 0) for location, number in copies.items())
        held = Reservation(name, ReservationState.ACTIVE, self.now_ms, self.now_ms + 60_000, None, "mira", lines)
        levels = [self.stock(line.name) for line in lines]
        after = [
            (old.name, old._replace(reserved=old.reserved + line.copies))
            for old, line in zip(levels, lines, strict=True)
        ]
        self.record("reservation_reserve", after, held)

    def resolve(self, name: ReservationName, state: ReservationState) -> None:
        held = self.reservation(name)
        after = []
        for line in held.lines:
            taken = self.random.randint(0, line.copies) if state is ReservationState.COMMITTED else 0
            old = self.stock(line.name)
            after.append(
                (
                    line.name,
                    old._replace(on_hand=old.on_hand - taken, reserved=old.reserved - line.copies),
                )
            )
        ended = replace(held, state=state, resolved_at_ms=self.now_ms)
        self.record(
            "reservation_commit" if state is ReservationState.COMMITTED else "reservation_release", after, ended
        )

    def extend(self, name: ReservationName) -> None:
        held = self.reservation(name)
        self.record("reservation_extend", (), replace(held, expire_at_ms=held.expire_at_ms + 10))

    def stock(self, name: StockName) -> StockLevel:
        level = self.levels.get(name, StockLevel(name, 0))
        assert isinstance(level, StockLevel)
        return level

    def reservation(self, name: ReservationName) -> Reservation:
        held = self.levels[name]
        assert isinstance(held, Reservation)
        return held

    def change(self, times: int = 1) -> None:
        """Make some random changes of all kinds, of which some share a script."""
        for _ in range(times):
            self.now_ms += self.random.randrange(4)
            self._forget()
            self._change_once()
            if len(self.scripts) > 1 and self.random.random() < 0.3:
                self.scripts[-2:] = [self.scripts[-2] + self.scripts[-1]]

    def trim(self, keep: int) -> None:
        del self.scripts[:-keep]

    async def read_ledger(self, query: ReadLedger) -> Sequence[Entry]:
        self.before_read()
        assert query.after is not None
        scripts = [script for script in self.scripts if script[-1].revision > query.after]
        page = scripts[: min(query.scripts_max, PAGE_SCRIPTS)]
        return [entry for script in page for entry in script if entry.revision > query.after]

    async def stray_entry(self, namespace: str) -> str | None:
        assert namespace
        return None

    async def snapshot(self, query: Snapshot) -> SnapshotAnswer:
        self.before_read()
        self._forget()
        return SnapshotAnswer(self.revision, self.now_ms, tuple(self.levels.get(name) for name in query.names))

    async def list_names(self, query: ListNames) -> Sequence[LevelName]:
        self.before_read()
        kind = CounterName if query.kind is Kind.COUNTER else StockName
        names = sorted((name for name in self.levels if isinstance(name, kind)), key=lambda name: name.text)
        return [name for name in names if query.after is None or name.text > query.after.text][: query.limit]

    async def list_reservations(self, query: ListReservations) -> Sequence[ListedReservation]:
        self.before_read()
        held = [level for level in self.levels.values() if isinstance(level, Reservation)]
        listed = [ListedReservation(level.state, level.name.reservation_id) for level in held]
        listed.sort(key=listing_order)
        return [each for each in listed if query.after is None or listing_order(each) > listing_order(query.after)][
            : query.limit
        ]

    def _forget(self) -> None:
        for name, level in list(self.levels.items()):
            gone = isinstance(level, Counter) and level.expire_at_ms is not None and level.expire_at_ms <= self.now_ms
            if isinstance(level, Reservation) and level.resolved_at_ms is not None:
                gone = level.resolved_at_ms + RETENTION_MS < self.now_ms
            if gone:
                del self.levels[name]

    def _change_once(self) -> None:
        chance = self.random
        counter, item = CounterName(f"c{chance.randrange(4)}"), StockName("dune", f"p{chance.randrange(4)}")
        held = ReservationName(f"r{chance.randrange(12)}")
        operation = chance.randrange(6)
        if operation == 0:
            expire_at_ms = chance.choice([None, self.now_ms + chance.randrange(1, 30)])
            self.write("counter_set", (counter, Counter(counter, chance.randint(-9, 9), expire_at_ms=expire_at_ms)))
        elif operation == 1 and counter in self.levels:
            self.write("counter_delete", (counter, None))
        elif operation == 2:
            self.write("stock_set", (item, self.stock(item)._replace(on_hand=chance.randint(50, 99), safety_stock=3)))
        elif operation == 3 and item in self.levels and not self.stock(item).reserved:
            self.write("stock_delete", (item, None))
        elif held not in self.levels:
            chosen = chance.sample(range(4), 2)
            self.reserve(held, **{f"p{location}": chance.randint(1, 5) for location in chosen})
        elif self.reservation(held).state is ReservationState.ACTIVE:
            act = chance.randrange(4)
            self.extend(held) if act == 3 else self.resolve(held, LISTED_STATES[1 + act])

    def record(
        self,
        operation: str,
        after: Sequence[tuple[CounterName | StockName, Counter | StockLevel | None]],
        reservation: Reservation | None,
    ) -> None:
        self.revision += 1
        lines = []
        for name, level in after:
            (new, new_reserved), (old, old_reserved) = (numbers_of(each) for each in (level, self.levels.get(name)))
            lines.append(EntryLine(name, new - old, new_reserved - old_reserved, (), level))
            self.levels.pop(name, None)
            if level is not None:
                self.levels[name] = level
        if reservation is not None:
            self.levels[reservation.name] = reservation
            reservation = replace(reservation, lines=())
        self.scripts.append(
            [
                Entry(
                    revision=self.revision,
                    commit_time_ms=self.now_ms,
                    operation=operation,
                    request_id="",
                    reason="",
                    reference="",
                    identity="",
                    lines=tuple(lines),
                    reservation=reservation,
                )
            ]
        )


def listing_order(listed: ListedReservation) -> tuple[int, str]:
    return LISTED_STATES.index(listed.state), listed.reservation_id


def numbers_of(level: Level | None) -> tuple[int, int]:
    if isinstance(level, StockLevel):
        return level.on_hand, level.reserved
    return (level.value, 0) if isinstance(level, Counter) else (0, 0)


def small_namespace() -> PlayedNamespace:
    """Return a namespace in which dune has 9 copies, of which 2 are reserved, and other reservations are resolved.

    It is at revision 7.
    """
    played = PlayedNamespace()
    played.write("counter_increment", (VISITS, Counter(VISITS, 3)))
    played.write("stock_set", (DUNE, StockLevel(DUNE, 9)))
    played.write("stock_set", (ANNEX, StockLevel(ANNEX, 4)))
    played.reserve(OPEN, main=2)
    played.reserve(ReservationName("ended"), annex=1)
    played.resolve(ReservationName("ended"), ReservationState.RELEASED)
    played.write("counter_increment", (VISITS, Counter(VISITS, 5)))
    return played


def tampered(played: PlayedNamespace, revision: int, **changes: object) -> None:
    """Change an entry of the ledger."""
    (entry,) = played.scripts[revision - 1]
    played.scripts[revision - 1] = [replace(entry, **changes)]  # type: ignore[arg-type]


async def verified(played: PlayedNamespace) -> Audit:
    return await verify(played, "shop")


async def the_difference(played: PlayedNamespace) -> Difference:
    """Return the one difference of an audit."""
    audit = await verified(played)
    assert audit.difference_count == 1, audit.differences
    (difference,) = audit.differences
    return difference


async def test_a_namespace_without_changes_is_clean() -> None:
    audit = await verified(PlayedNamespace())

    assert (audit.difference_count, audit.from_revision, audit.revision) == (0, 1, 0)


async def test_what_is_compared_is_counted() -> None:
    audit = await verified(small_namespace())

    assert (audit.differences, audit.from_revision, audit.revision) == ([], 1, 7)
    assert (audit.levels_checked, audit.levels_unchecked, audit.reservations_checked) == (3, 0, 2)


@pytest.mark.parametrize("seed", range(40))
async def test_a_true_history_is_clean_while_changes_go_on(seed: int) -> None:
    played = PlayedNamespace(seed)
    played.change(300)
    played.before_read = lambda: played.change(seed % 4)

    audit = await verified(played)

    assert (audit.differences, audit.from_revision, audit.levels_unchecked) == ([], 1, 0)
    assert audit.levels_checked >= 4
    assert audit.reservations_checked


@pytest.mark.parametrize("seed", range(40))
async def test_a_history_whose_beginning_is_lost_is_clean(seed: int) -> None:
    played = PlayedNamespace(seed)
    played.change(300)
    played.trim(keep=1 + seed * 2)
    oldest = played.scripts[0][0].revision
    played.before_read = lambda: played.change(seed % 3)

    audit = await verified(played)

    assert (audit.differences, audit.from_revision) == ([], oldest)


@pytest.mark.parametrize("seed", range(20))
async def test_a_ledger_that_loses_its_beginning_during_the_audit_is_clean(seed: int) -> None:
    played = PlayedNamespace(seed)
    played.change(300)
    reads = count()

    def lose_some() -> None:
        played.change()
        if next(reads) < 6:
            played.trim(keep=len(played.scripts) - 20)

    played.before_read = lose_some

    audit = await verified(played)

    assert audit.differences == []
    assert audit.from_revision > 1


async def test_a_ledger_that_loses_entries_faster_than_they_are_read_is_one_difference() -> None:
    played = PlayedNamespace(1)
    played.change(50)

    def lose_all() -> None:
        played.change(5)
        played.trim(keep=1)

    played.before_read = lose_all

    difference = await the_difference(played)

    assert difference.kind is DifferenceKind.LEDGER
    assert difference.actual.startswith("dropped before they could be replayed")


async def test_a_level_that_the_ledger_does_not_tell_of_any_more_is_not_checked() -> None:
    played = small_namespace()
    played.trim(keep=1)

    audit = await verified(played)

    assert (audit.differences, audit.levels_checked, audit.levels_unchecked) == ([], 1, 2)


async def test_a_level_that_nobody_made_is_a_difference() -> None:
    played = small_namespace()
    name = StockName("emma", "main")
    played.levels[name] = StockLevel(name, 1)

    difference = await the_difference(played)

    assert (difference.kind, difference.name, difference.location) == (DifferenceKind.STOCK, "emma", "main")
    assert difference.expected == "none"
    assert difference.actual.startswith("on_hand 1, reserved 0")


@pytest.mark.parametrize(
    ("level", "expected", "actual"),
    [
        (StockLevel(DUNE, 8, 2), "on_hand 9, reserved 2", "on_hand 8, reserved 2"),
        (StockLevel(DUNE, 9, 1), "on_hand 9, reserved 2", "on_hand 9, reserved 1"),
        (StockLevel(DUNE, 9, 2, 1), "on_hand 9, reserved 2, safety_stock 0", "on_hand 9, reserved 2, safety_stock 1"),
        (Counter(VISITS, 6), "value 5", "value 6"),
        (Counter(VISITS, 5, max=9), "value 5", "value 5, max 9"),
        (Counter(VISITS, 5, expire_at_ms=7_000), "value 5", "value 5, expires at 7000"),
    ],
)
async def test_a_level_that_was_tampered_with_is_a_difference(level: Level, expected: str, actual: str) -> None:
    played = small_namespace()
    played.levels[level.name] = level

    difference = await the_difference(played)

    assert (difference.name, difference.revision) == ("visits" if level.name == VISITS else "dune", 7)
    assert difference.expected.startswith(expected)
    assert difference.actual.startswith(actual)


@pytest.mark.parametrize("name", [VISITS, DUNE, OPEN])
async def test_what_is_missing_is_a_difference(name: LevelName) -> None:
    played = small_namespace()
    del played.levels[name]

    difference = await the_difference(played)

    assert difference.expected != "none"
    assert difference.actual == "none"


@pytest.mark.parametrize("changes", [{"holder": "noa"}, {"expire_at_ms": 1}, {"lines": (ReservationLine(DUNE, 1, 0),)}])
async def test_a_reservation_that_was_tampered_with_is_a_difference(changes: dict[str, object]) -> None:
    played = small_namespace()
    played.levels[OPEN] = replace(played.reservation(OPEN), **changes)  # type: ignore[arg-type]

    difference = await the_difference(played)

    assert (difference.kind, difference.name) == (DifferenceKind.RESERVATION, "open")
    assert "2 of 'dune' at 'main'" in difference.expected


async def test_a_reservation_that_nobody_made_is_a_difference() -> None:
    played = small_namespace()
    other = ReservationName("other")
    played.levels[other] = replace(played.reservation(OPEN), name=other)

    difference = await the_difference(played)

    assert (difference.kind, difference.name, difference.expected) == (DifferenceKind.RESERVATION, "other", "none")


async def test_an_entry_that_is_missing_is_a_difference() -> None:
    played = small_namespace()
    del played.scripts[3]

    first, *_ = (await verified(played)).differences

    assert first.kind is DifferenceKind.LEDGER
    assert (first.expected, first.actual, first.revision) == ("revision 4", "revision 5", 5)


async def test_an_entry_that_is_missing_where_a_page_begins_is_a_difference() -> None:
    played = PlayedNamespace()
    for value in range(20):
        played.write("counter_set", (VISITS, Counter(VISITS, value)))
    del played.scripts[PAGE_SCRIPTS]

    audit = await verified(played)

    assert [each.kind for each in audit.differences] == [DifferenceKind.LEDGER, DifferenceKind.COUNTER]
    assert audit.from_revision == 1


async def test_entries_that_are_missing_at_the_end_are_a_difference() -> None:
    played = small_namespace()
    played.write("counter_configure", (VISITS, Counter(VISITS, 5)))
    del played.scripts[-1]

    difference = await the_difference(played)

    assert (difference.kind, difference.revision) == (DifferenceKind.LEDGER, 8)
    assert (difference.expected, difference.actual) == ("entries up to revision 8", "none after 7")


async def test_a_ledger_that_is_gone_is_one_difference() -> None:
    played = small_namespace()
    played.scripts.clear()

    difference = await the_difference(played)

    assert (difference.kind, difference.actual) == (DifferenceKind.LEDGER, "none after 0")


async def test_a_change_that_does_not_fit_what_was_before_is_one_difference() -> None:
    played = small_namespace()
    (entry,) = played.scripts[0]
    tampered(played, 1, lines=(replace(entry.lines[0], change=4),))

    difference = await the_difference(played)

    assert (difference.kind, difference.name, difference.revision) == (DifferenceKind.COUNTER, "visits", 1)
    assert (difference.expected, difference.actual) == ("4", "3")


async def test_copies_reserved_below_0_are_a_difference() -> None:
    played = small_namespace()
    played.write("stock_set", (ANNEX, StockLevel(ANNEX, 4, -1)))
    played.write("stock_set", (ANNEX, StockLevel(ANNEX, 5, -1)))

    audit = await verified(played)

    assert [(each.expected, each.actual, each.revision) for each in audit.differences] == [
        ("reserved 0 or more", "reserved -1", 8),
        ("reserved 0, as open reservations hold", "reserved -1", 9),
    ]


async def test_copies_that_no_reservation_holds_are_a_difference() -> None:
    played = small_namespace()
    played.write("stock_set", (ANNEX, StockLevel(ANNEX, 4, 1)))

    difference = await the_difference(played)

    assert (difference.expected, difference.actual) == ("reserved 0, as open reservations hold", "reserved 1")


async def test_a_reservation_that_gives_back_too_little_is_a_difference() -> None:
    played = small_namespace()
    ended = replace(played.reservation(OPEN), state=ReservationState.RELEASED, resolved_at_ms=1_000)
    played.record("reservation_release", [(DUNE, StockLevel(DUNE, 9, 1))], ended)

    audit = await verified(played)

    assert [(each.kind, each.expected, each.actual) for each in audit.differences] == [
        (DifferenceKind.RESERVATION, "gives back 2 of 'dune' at 'main'", "gives back 1 of 'dune' at 'main'"),
        (DifferenceKind.STOCK, "reserved 0, as open reservations hold", "reserved 1"),
    ]


@pytest.mark.parametrize("again", [ReservationState.RELEASED, ReservationState.ACTIVE])
async def test_a_reservation_that_goes_on_after_its_end_is_a_difference(again: ReservationState) -> None:
    played = small_namespace()
    name = ReservationName("ended")
    ended = played.reservation(name)
    operation = "reservation_extend" if again is ReservationState.ACTIVE else "reservation_release"
    played.record(operation, [], replace(ended, state=again))
    played.levels[name] = ended

    difference = await the_difference(played)

    assert (difference.kind, difference.name, difference.expected) == (DifferenceKind.RESERVATION, "ended", "released")
    assert difference.actual == f"{again.name.lower()} after that"


async def test_a_reservation_that_is_made_twice_is_a_difference() -> None:
    played = small_namespace()
    played.reserve(OPEN, main=1)

    difference = await the_difference(played)

    assert difference.kind is DifferenceKind.RESERVATION
    assert (difference.name, difference.actual) == ("open", "reserved again")


async def test_a_reservation_id_may_be_used_again_after_its_end() -> None:
    played = small_namespace()
    played.reserve(ReservationName("ended"), main=1)

    assert (await verified(played)).differences == []


@pytest.mark.parametrize("late_ms", [0, 1])
async def test_a_counter_whose_time_is_up_begins_at_0(late_ms: int) -> None:
    played = PlayedNamespace()
    played.write("counter_set", (VISITS, Counter(VISITS, 5, expire_at_ms=1_010)))
    played.now_ms = 1_010 + late_ms
    played.levels.clear()
    played.write("counter_increment", (VISITS, Counter(VISITS, 1)))

    assert (await verified(played)).differences == []


async def test_a_counter_that_goes_on_when_its_time_is_up_is_a_difference() -> None:
    played = PlayedNamespace()
    played.write("counter_set", (VISITS, Counter(VISITS, 5, expire_at_ms=1_010)))
    played.now_ms = 1_010
    played.write("counter_increment", (VISITS, Counter(VISITS, 6)))

    (difference,) = (await verified(played)).differences

    assert (difference.name, difference.expected, difference.actual) == ("visits", "1", "6")


async def test_of_many_differences_the_first_thousand_are_reported() -> None:
    played = PlayedNamespace()
    names = [CounterName(f"c{number}") for number in range(1_200)]
    for name in names:
        played.write("counter_set", (name, Counter(name, 1)))
    played.levels.clear()

    audit = await verified(played)

    assert (len(audit.differences), audit.difference_count) == (1_000, 1_200)


async def test_a_namespace_of_many_pages_is_compared_whole() -> None:
    played = PlayedNamespace()
    for number in range(2_100):
        name = CounterName(f"c{number}")
        played.write("counter_set", (name, Counter(name, 1)))
        played.reserve(ReservationName(f"r{number}"), main=1)
    played.trim(keep=1)

    audit = await verified(played)

    assert audit.differences == []
    assert (audit.levels_checked, audit.levels_unchecked) == (1, 2_100)


async def test_the_progress_ends_where_its_totals_are() -> None:
    played = PlayedNamespace(7)
    played.change(300)
    progress = Progress()

    audit = await verify(played, "shop", progress)

    assert audit.difference_count == 0
    assert progress.revisions_replayed == progress.revisions_total == audit.revision
    assert progress.reservations_checked == progress.reservations_total > 0
    assert progress.levels_checked == progress.levels_total > 0
