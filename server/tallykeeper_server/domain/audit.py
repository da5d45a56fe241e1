"""The audit of a namespace: replays its ledger and compares the result with the levels of the store. It does no I/O."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from tallykeeper_server.domain.entries import Entry, EntryLine
from tallykeeper_server.domain.levels import (
    Counter,
    CounterName,
    DamagedLevel,
    Reservation,
    ReservationName,
    ReservationState,
    StockLevel,
    StockName,
)
from tallykeeper_server.domain.limits import DIFFERENCES_MAX

CountedName: TypeAlias = CounterName | StockName
Counted: TypeAlias = Counter | StockLevel


class DifferenceKind(Enum):
    """The kind of a difference between the store and the ledger."""

    STOCK = "stock"
    COUNTER = "counter"
    RESERVATION = "reservation"
    LEDGER = "ledger"
    DAMAGED_ENTRY = "damaged entry"


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference between the store and the ledger, in words."""

    kind: DifferenceKind
    name: str
    location: str
    revision: int
    expected: str
    actual: str


@dataclass(slots=True)
class _Hold:
    """A reservation as the ledger describes it: its last state, and what it holds while it is active."""

    reservation: Reservation
    copies: Mapping[StockName, int]


class Audit:
    """Takes the entries in order, and compares levels at any revision."""

    def __init__(self) -> None:
        self.differences: list[Difference] = []
        self.difference_count = 0
        self.from_revision = 1
        self.revision = 0
        self.levels_checked = 0
        self.levels_unchecked = 0
        self.reservations_checked = 0
        self._levels: dict[CountedName, Counted | None] = {}
        self._holds: dict[ReservationName, _Hold] = {}
        self._reserved: dict[StockName, int] = {}

    @property
    def names(self) -> Iterable[CountedName]:
        """The levels that the ledger names, including deleted ones."""
        return self._levels

    @property
    def reservations(self) -> Iterable[ReservationName]:
        """The reservations that the ledger names."""
        return self._holds

    def begin(self, oldest: int) -> None:
        """Begin with the oldest entry that the ledger has. What came before it is not known."""
        self.from_revision = oldest
        self.revision = oldest - 1

    def apply(self, entry: Entry) -> None:
        """Take the next entry."""
        expected, self.revision = self.revision + 1, max(self.revision, entry.revision)
        if entry.first_revision != expected:
            self._differ(DifferenceKind.LEDGER, "", f"revision {expected}", f"revision {entry.first_revision}")
        if entry.stream_id:
            self._differ(DifferenceKind.DAMAGED_ENTRY, entry.stream_id, "an entry that the server wrote", entry.damage)
        elif entry.damage:
            self._differ(DifferenceKind.LEDGER, "", f"revision {expected}", entry.damage)
        for line in entry.lines:
            self._check_line(line, entry)
            self._levels[line.name] = line.after
        if entry.reservation is not None:
            self._take_reservation(entry, entry.reservation)

    def find_stray(self, stream_id: str) -> None:
        """Note an entry in the ledger's stream that no script has written, and that stops all changes."""
        words = "an ID that the server does not give; the namespace cannot be changed until the entry is deleted"
        self._differ(DifferenceKind.DAMAGED_ENTRY, stream_id, "no entry", words)

    def miss(self, revision: int) -> None:
        """Note that the entries up to a revision are missing, though the ledger should have them."""
        last, self.revision = self.revision, revision
        self._differ(DifferenceKind.LEDGER, "", f"entries up to revision {revision}", f"none after {last}")

    def overtaken(self) -> None:
        """Note that the ledger dropped entries before the audit could replay them."""
        words = "dropped before they could be replayed: the ledger is too short for the rate of changes"
        self._differ(DifferenceKind.LEDGER, "", f"entries after revision {self.revision}", words)

    def compare_level(self, name: CountedName, actual: Counted | DamagedLevel | None, *, now_ms: int) -> None:
        """Compare the store's level of a name with the ledger's last one."""
        if isinstance(actual, DamagedLevel):
            self.levels_checked += 1
            known = name in self._levels or self.from_revision == 1
            expected_words = _words_of(self._levels.get(name)) if known else "a level that the server wrote"
            self._differ_about(name, expected_words, _damage_of(actual))
            return
        if name not in self._levels and self.from_revision > 1:
            self.levels_unchecked += actual is not None
            return
        self.levels_checked += 1
        expected = self._levels.get(name)
        if actual is None and _is_forgotten(expected, now_ms):
            return
        if actual != expected:
            self._differ_about(name, _words_of(expected), _words_of(actual))
        elif isinstance(actual, StockLevel):
            held = self._reserved.get(actual.name, 0)
            if actual.reserved != held:
                self._differ_about(name, f"reserved {held}, as open reservations hold", f"reserved {actual.reserved}")

    def compare_reservation(self, name: ReservationName, actual: Reservation | DamagedLevel | None) -> None:
        """Compare a reservation of the store with the ledger's. Accept one that the ledger has not named yet."""
        hold = self._holds.get(name)
        if isinstance(actual, DamagedLevel):
            self.reservations_checked += 1
            known = _state_of(hold.reservation, hold.copies) if hold else "a reservation that the server wrote"
            self._differ(DifferenceKind.RESERVATION, name.reservation_id, known, _damage_of(actual))
            return
        if hold is None and self.from_revision > 1:
            if actual is not None and actual.state is ReservationState.ACTIVE:
                self._open(actual, {line.name: line.copies for line in actual.lines})
            return
        expected = None if hold is None else hold.reservation
        if actual is None and (expected is None or expected.state is not ReservationState.ACTIVE):
            return  # it has ended, and the store keeps it for a limited time only
        self.reservations_checked += 1
        by_ledger, by_store = _state_of(expected, hold.copies if hold else {}), _state_of(actual, _copies_of(actual))
        if by_ledger != by_store:
            self._differ(DifferenceKind.RESERVATION, name.reservation_id, by_ledger, by_store)

    def _check_line(self, line: EntryLine, entry: Entry) -> None:
        """Check that a line continues from the numbers that the ledger had before."""
        if line.name not in self._levels and self.from_revision > 1:
            return
        before = self._levels.get(line.name)
        if _is_forgotten(before, entry.commit_time_ms):
            before = None
        changed, after = _changed(before, line), _numbers_of(line.after)
        if after != changed:
            words = "{} and {} reserved" if isinstance(line.name, StockName) else "{}"
            self._differ_about(line.name, words.format(*changed), words.format(*after))
        if after[1] < 0 <= _numbers_of(before)[1]:
            self._differ_about(line.name, "reserved 0 or more", f"reserved {after[1]}")

    def _take_reservation(self, entry: Entry, reservation: Reservation) -> None:
        hold = self._holds.get(reservation.name)
        was_active = hold is not None and hold.reservation.state is ReservationState.ACTIVE
        changes = {line.name: line.reserved_change for line in entry.lines if isinstance(line.name, StockName)}
        if entry.operation == "reservation_reserve":
            if was_active:
                self._differ_of(reservation, "active, and not reserved again", "reserved again")
            self._open(reservation, changes)
        elif hold is None and self.from_revision > 1:
            if reservation.state is not ReservationState.ACTIVE:
                self._holds[reservation.name] = _Hold(reservation, _given_back(changes))
        elif hold is None or not was_active:
            state = "none" if hold is None else hold.reservation.state.name.lower()
            self._differ_of(reservation, state, f"{reservation.state.name.lower()} after that")
        elif reservation.state is ReservationState.ACTIVE:
            hold.reservation = reservation
        else:
            self._resolve(hold, reservation, _given_back(changes))

    def _resolve(self, hold: _Hold, reservation: Reservation, given: Mapping[StockName, int]) -> None:
        """Take the end of a reservation, which must give back exactly the copies that it holds."""
        if given != hold.copies:
            self._differ_of(
                reservation, f"gives back {_copies_words(hold.copies)}", f"gives back {_copies_words(given)}"
            )
        for level, copies in hold.copies.items():
            self._reserved[level] -= copies
        self._holds[reservation.name] = _Hold(reservation, hold.copies)

    def _open(self, reservation: Reservation, copies: Mapping[StockName, int]) -> None:
        self._holds[reservation.name] = _Hold(reservation, copies)
        for level, count in copies.items():
            self._reserved[level] = self._reserved.get(level, 0) + count

    def _differ_about(self, name: CountedName, expected: str, actual: str) -> None:
        if isinstance(name, CounterName):
            self._differ(DifferenceKind.COUNTER, name.counter, expected, actual)
        else:
            self._differ(DifferenceKind.STOCK, name.item, expected, actual, location=name.location)

    def _differ_of(self, reservation: Reservation, expected: str, actual: str) -> None:
        self._differ(DifferenceKind.RESERVATION, reservation.name.reservation_id, expected, actual)

    def _differ(self, kind: DifferenceKind, name: str, expected: str, actual: str, *, location: str = "") -> None:
        self.difference_count += 1
        if len(self.differences) < DIFFERENCES_MAX:
            self.differences.append(Difference(kind, name, location, self.revision, expected, actual))


def _is_forgotten(level: Counted | None, now_ms: int) -> bool:
    """Return whether a counter's time is up: the store has then forgotten it without an entry in the ledger."""
    return isinstance(level, Counter) and level.expire_at_ms is not None and level.expire_at_ms <= now_ms


def _numbers_of(level: Counted | None) -> tuple[int, int]:
    """Return the number of a level, and the part of it that is reserved."""
    if level is None:
        return 0, 0
    return (level.on_hand, level.reserved) if isinstance(level, StockLevel) else (level.value, 0)


def _changed(level: Counted | None, line: EntryLine) -> tuple[int, int]:
    """Return the numbers of a level after a line's changes to it."""
    count, reserved = _numbers_of(level)
    return count + line.change, reserved + line.reserved_change


def _given_back(changes: Mapping[StockName, int]) -> Mapping[StockName, int]:
    return {level: -change for level, change in changes.items()}


def _damage_of(level: DamagedLevel) -> str:
    return f"a damaged text: {level.damage}"


def _words_of(level: Counted | None) -> str:
    if level is None:
        return "none"
    if isinstance(level, Counter):
        settings = {"min": level.min, "max": level.max, "expires at": level.expire_at_ms}
        return ", ".join([f"value {level.value}", *(f"{name} {of}" for name, of in settings.items() if of is not None)])
    numbers = ("on_hand", "reserved", "safety_stock", "backorder_limit", "low_stock_threshold")
    return ", ".join(f"{name} {getattr(level, name)}" for name in numbers)


def _copies_of(reservation: Reservation | None) -> Mapping[StockName, int]:
    return {line.name: line.copies for line in reservation.lines} if reservation else {}


def _state_of(reservation: Reservation | None, copies: Mapping[StockName, int]) -> str:
    if reservation is None:
        return "none"
    holder = f" for {reservation.holder!r}" if reservation.holder else ""
    ends = f", until {reservation.expire_at_ms}"
    return f"{reservation.state.name.lower()}{holder}{ends}: {_copies_words(copies)}"


def _copies_words(copies: Mapping[StockName, int]) -> str:
    return (
        ", ".join(
            f"{count} of {name.item!r} at {name.location!r}"
            for name, count in sorted(copies.items(), key=lambda each: each[0].text)
        )
        or "nothing"
    )
