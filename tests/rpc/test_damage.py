"""Damage in the store: the audit reports it, and reads mark it and go on."""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, Final, TypeAlias, cast

import pytest
import redis
from google.protobuf.message import Message
from grpc import StatusCode

from tallykeeper.v1.counter_pb2 import BatchGetCountersRequest, GetCounterRequest, IncrementRequest, ListCountersRequest
from tallykeeper.v1.inventory_pb2 import (
    AvailabilityLine,
    BatchGetStockRequest,
    CheckAvailabilityRequest,
    GetItemRequest,
    GetStockRequest,
    ListStockRequest,
    SetStockRequest,
    StockKey,
)
from tallykeeper.v1.ledger_pb2 import (
    DIFFERENCE_KIND_COUNTER,
    DIFFERENCE_KIND_DAMAGED_ENTRY,
    DIFFERENCE_KIND_LEDGER,
    DIFFERENCE_KIND_RESERVATION,
    DIFFERENCE_KIND_STOCK,
    Entry,
    ListEntriesRequest,
    WatchRequest,
)
from tallykeeper.v1.namespace_pb2 import GetNamespaceRequest
from tallykeeper.v1.reservation_pb2 import (
    GetReservationRequest,
    ListReservationsRequest,
    ReserveRequest,
    StockLine,
)
from tests.support.client import Caller, Failure

StreamEntry: TypeAlias = tuple[bytes, list[bytes]]
Damage: TypeAlias = Callable[[list[bytes]], list[bytes]]

REVISIONS: Final = 6
DAMAGED: Final = 4
"""The damaged revision. There are others before and after it."""
HUGE: Final = "99999999999999999999"


def write(call: Caller, namespace: str) -> None:
    """Make six revisions, each with one script call."""
    for _ in range(REVISIONS):
        call(IncrementRequest(namespace=namespace, counter="visits"))


def rewrite_ledger(raw_store: redis.Redis, namespace: str, change: Callable[[StreamEntry], StreamEntry | None]) -> None:
    """Write the ledger once more with some of its stream entries changed or left out."""
    key = f"tk:{{{namespace}}}:ledger"
    reply = cast("list[list[Any]]", cast("Any", raw_store).execute_command("XRANGE", key, "-", "+"))
    entries = [(stream_id, list(_flat(fields))) for stream_id, fields in reply]
    raw_store.delete(key)
    for entry in map(change, entries):
        if entry is not None:
            cast("Any", raw_store).execute_command("XADD", key, entry[0], *entry[1])


def _flat(fields: Any) -> list[bytes]:  # noqa: ANN401  # redis-py gives pairs or a dict
    return list(chain.from_iterable(fields.items())) if isinstance(fields, dict) else list(fields)


def damage_one(raw_store: redis.Redis, namespace: str, damage: Damage) -> None:
    """Damage the stream entry of one revision."""

    def change(entry: StreamEntry) -> StreamEntry:
        stream_id, fields = entry
        return (stream_id, damage(fields)) if stream_id == f"0-{DAMAGED}".encode() else entry

    rewrite_ledger(raw_store, namespace, change)


def replaced(old: bytes, new: bytes) -> Damage:
    """Return a damage that replaces a part of the entry's text."""

    def damage(fields: list[bytes]) -> list[bytes]:
        assert old in fields[3]
        return [*fields[:3], fields[3].replace(old, new)]

    return damage


DAMAGES: Final[dict[str, Damage]] = {
    "not UTF-8": replaced(b"visits", b"vis\xff\xfeits"),
    "a field too few": replaced(b"\tcounter:visits\t1", b"\tcounter:visits"),
    "a field too many": replaced(b"\tcounter:visits\t", b"\tcounter:visits\tmore\t"),
    "nothing in it": lambda fields: [*fields[:3], b""],
    "another text": lambda fields: [*fields[:3], b"rubbish"],
    "an operation that is not known": replaced(b"counter_increment", b"counter_double"),
    "a change that is no integer": replaced(b"visits\t1", b"visits\t1.5"),
    "a change with an underscore": replaced(b"visits\t1", b"visits\t1_0"),
    "a change beyond the range": replaced(b"visits\t1", b"visits\t" + HUGE.encode()),
    "a level that is no integer": replaced(b"\t1\t4", b"\t1\tfour"),
    "a level beyond the range": replaced(b"\t1\t4", b"\t1\t" + HUGE.encode()),
    "a level that is no name": replaced(b"counter:visits", b"cabinet:visits"),
    "no revision": lambda fields: fields[:2],
    "a revision that is no integer": lambda fields: [*fields[:2], b"four", fields[3]],
    "a revision of its successors": lambda fields: [*fields[:2], b"9", fields[3]],
    "no time": lambda fields: fields[2:],
    "another field for its time": lambda fields: [b"clock", *fields[1:]],
    "a time that is no integer": lambda fields: [b"time", b"noon", *fields[2:]],
    "a time after the year 9999": lambda fields: [b"time", b"253402300800000", *fields[2:]],
    "other fields": lambda _: [b"made", b"by hand"],
}


@pytest.fixture(params=DAMAGES)
def damaged(request: pytest.FixtureRequest, call: Caller, namespace: str, raw_store: redis.Redis) -> str:
    """A namespace with six entries, one of which is damaged."""
    write(call, namespace)
    damage_one(raw_store, namespace, DAMAGES[request.param])
    return namespace


def listed(call: Caller, namespace: str, **options: Any) -> list[Entry]:  # noqa: ANN401  # any field of the request
    """Return all entries of a listing, page by page."""
    request = ListEntriesRequest(namespace=namespace, **options)
    return [entry for page in call.pages(request) for entry in page.entries]


def watched(call: Caller, request: WatchRequest, through: int) -> list[Entry]:
    """Return the entries that a watch sends up to a revision."""
    entries: list[Entry] = []
    with call.stream(request) as responses:
        for response in responses:
            entries += response.entries
            if response.revision >= through:
                break
    return entries


def marks(entries: Sequence[Entry]) -> list[int]:
    """Return the revisions of the entries that are marked as damaged."""
    return [entry.revision for entry in entries if entry.damage]


def test_readers_pass_over_a_damaged_entry_with_a_mark(call: Caller, damaged: str) -> None:
    oldest_first = listed(call, damaged)
    one_by_one = listed(call, damaged, page_size=1)
    newest_first = listed(call, damaged, page_size=1, newest_first=True)
    followed = watched(call, WatchRequest(namespace=damaged, after_revision=0), REVISIONS)

    revisions = list(range(1, REVISIONS + 1))
    assert [entry.revision for entry in oldest_first] == revisions
    assert marks(oldest_first) == [DAMAGED]
    assert one_by_one == followed == newest_first[::-1] == oldest_first


def test_the_audit_tells_of_a_damaged_entry(call: Caller, damaged: str) -> None:
    report = call.verify(damaged)

    assert not report.clean
    found = [each for each in report.differences if each.kind == DIFFERENCE_KIND_DAMAGED_ENTRY]
    assert [(each.name, each.revision) for each in found] == [(f"0-{DAMAGED}", DAMAGED)]
    (mark,) = (entry for entry in listed(call, damaged) if entry.damage)
    assert found[0].actual == mark.damage
    assert found[0].expected


def test_a_watch_goes_on_when_a_damaged_entry_comes(call: Caller, namespace: str, raw_store: redis.Redis) -> None:
    write(call, namespace)
    with call.stream(WatchRequest(namespace=namespace)) as responses:
        assert next(responses).revision == REVISIONS

        key = f"tk:{{{namespace}}}"
        raw_store.set(f"{key}:revision", REVISIONS + 1)
        cast("Any", raw_store).execute_command("XADD", f"{key}:ledger", f"0-{REVISIONS + 1}", "time", "1", "x", b"\xff")
        call(IncrementRequest(namespace=namespace, counter="visits"))

        entries: list[Entry] = []
        while len(entries) < 2:  # the damaged entry and the next one
            entries += next(responses).entries

    assert [entry.revision for entry in entries] == [REVISIONS + 1, REVISIONS + 2]
    assert marks(entries) == [REVISIONS + 1]


def test_what_can_be_read_of_a_damaged_entry_is_there(call: Caller, namespace: str, raw_store: redis.Redis) -> None:
    write(call, namespace)
    damage_one(raw_store, namespace, DAMAGES["no time"])

    (mark,) = (entry for entry in listed(call, namespace) if entry.damage)

    assert not mark.HasField("commit_time")
    assert (mark.lines[0].counter.counter, mark.lines[0].counter.after.value) == ("visits", DAMAGED)
    report = call.verify(namespace)
    assert {each.kind for each in report.differences} == {DIFFERENCE_KIND_DAMAGED_ENTRY}


def test_a_damaged_entry_passes_filters_because_it_may_be_about_anything(
    call: Caller, namespace: str, raw_store: redis.Redis
) -> None:
    write(call, namespace)
    damage_one(raw_store, namespace, DAMAGES["another text"])

    assert marks(listed(call, namespace, item="dune")) == [DAMAGED]
    request = WatchRequest(namespace=namespace, counters=["other"], after_revision=0)
    assert marks(watched(call, request, REVISIONS)) == [DAMAGED]


@pytest.mark.parametrize(("first", "last"), [(4, 4), (3, 5)])
def test_a_gap_has_a_mark(call: Caller, namespace: str, raw_store: redis.Redis, first: int, last: int) -> None:
    write(call, namespace)
    gone = [f"0-{revision}" for revision in range(first, last + 1)]
    raw_store.xdel(f"tk:{{{namespace}}}:ledger", *gone)
    there = [revision for revision in range(1, REVISIONS + 1) if not first <= revision < last]

    entries = listed(call, namespace)
    assert [entry.revision for entry in entries] == there
    assert [(e.missing_from or e.revision, e.revision) for e in entries if e.damage] == [(first, last)]
    for page_size in (0, 1, 2):
        assert listed(call, namespace, page_size=page_size) == entries
        assert listed(call, namespace, page_size=page_size, newest_first=True)[::-1] == entries
    for after in range(REVISIONS):
        expected = [entry for entry in entries if entry.revision > after]
        assert watched(call, WatchRequest(namespace=namespace, after_revision=after), REVISIONS) == expected
    report = call.verify(namespace)
    assert DIFFERENCE_KIND_LEDGER in {each.kind for each in report.differences}


def test_a_watch_goes_on_over_a_gap_that_comes(call: Caller, namespace: str, raw_store: redis.Redis) -> None:
    write(call, namespace)
    with call.stream(WatchRequest(namespace=namespace)) as responses:
        assert next(responses).revision == REVISIONS

        raw_store.set(f"tk:{{{namespace}}}:revision", REVISIONS + 2)
        call(IncrementRequest(namespace=namespace, counter="visits"))
        entries: list[Entry] = []
        while len(entries) < 2:  # the mark and the next
            entries += next(responses).entries

    assert [(e.missing_from, e.revision) for e in entries] == [(REVISIONS + 1, REVISIONS + 2), (0, REVISIONS + 3)]


def test_revisions_that_were_trimmed_are_no_gap(call: Caller, namespace: str, raw_store: redis.Redis) -> None:
    write(call, namespace)
    raw_store.xtrim(f"tk:{{{namespace}}}:ledger", minid="0-4", approximate=False)

    assert [entry.revision for entry in listed(call, namespace)] == [4, 5, 6]
    assert call.verify(namespace).clean
    with pytest.raises(Failure) as raised:
        watched(call, WatchRequest(namespace=namespace, after_revision=1), REVISIONS)
    assert (raised.value.reason, raised.value.metadata["oldest"]) == ("REVISION_TRIMMED", "4")


def test_a_stream_entry_that_no_script_wrote_is_reported(call: Caller, namespace: str, raw_store: redis.Redis) -> None:
    write(call, namespace)
    cast("Any", raw_store).execute_command("XADD", f"tk:{{{namespace}}}:ledger", "5000-1", "by", "hand")

    report = call.verify(namespace)

    assert [(each.kind, each.name) for each in report.differences] == [(DIFFERENCE_KIND_DAMAGED_ENTRY, "5000-1")]
    revisions = list(range(1, REVISIONS + 1))
    assert [entry.revision for entry in listed(call, namespace)] == revisions
    assert [entry.revision for entry in listed(call, namespace, newest_first=True)] == revisions[::-1]
    assert call(GetNamespaceRequest(namespace=namespace)).namespace.oldest_revision == 1
    with call.stream(WatchRequest(namespace=namespace, after_revision=0)) as responses:
        assert [entry.revision for entry in next(responses).entries] == revisions


LEVEL_TEXTS: Final = {
    "rubbish": b"secret rubbish",
    "not UTF-8": b"\xff\xfe",
    "no integer": b"1.5",
    "an underscore": b"1_0",
    "white space": b" 1",
    "beyond the range": HUGE.encode(),
    "empty": b"",
    "too few fields": b"1 2",
    "too many fields": b"1 2 3 4 5 6",
    "a field that is no integer": b"5 0 x 0 0",
}


@pytest.fixture(params=LEVEL_TEXTS)
def damaged_levels(request: pytest.FixtureRequest, call: Caller, namespace: str, raw_store: redis.Redis) -> str:
    """A namespace in which one counter, one stock level and one reservation are damaged."""
    for name in ("alpha", "bad", "omega"):
        call(IncrementRequest(namespace=namespace, counter=name, delta=7))
        call(SetStockRequest(namespace=namespace, item=name, on_hand=7))
        line = StockLine(item="alpha")
        call(ReserveRequest(namespace=namespace, reservation_id=name, lines=[line]))
    call(SetStockRequest(namespace=namespace, item="bad", location="annex", on_hand=5))
    for key in ("counter:bad", "stock:main:bad", "reservation:bad"):
        raw_store.set(f"tk:{{{namespace}}}:{key}", LEVEL_TEXTS[request.param])
    return namespace


@pytest.mark.parametrize(
    ("listing", "field"),
    [
        (ListCountersRequest(), "counters"),
        (BatchGetCountersRequest(counters=["alpha", "bad", "omega"]), "counters"),
        (ListReservationsRequest(), "reservations"),
        (ListReservationsRequest(holder=""), "reservations"),
        (ListStockRequest(), "stock_levels"),
        (BatchGetStockRequest(keys=[StockKey(item=item) for item in ("alpha", "bad", "omega")]), "stock_levels"),
    ],
)
def test_a_damaged_level_does_not_keep_others_from_being_read(
    call: Caller, damaged_levels: str, listing: Message, field: str
) -> None:
    request = type(listing)()
    request.CopyFrom(listing)
    cast("Any", request).namespace = damaged_levels

    levels = getattr(call(request), field)

    names = ["counter", "item", "reservation_id"]
    reported = {next(filter(None, (getattr(level, name, "") for name in names))): level.damage for level in levels}
    assert list(reported) == ["alpha", "bad", "omega"]
    assert [name for name, damage in reported.items() if damage] == ["bad"]
    assert "secret" not in reported["bad"]


def test_an_item_is_reported_with_a_mark_at_the_location_that_is_damaged(call: Caller, damaged_levels: str) -> None:
    found = call(GetItemRequest(namespace=damaged_levels, item="bad"))

    assert [(level.location, bool(level.damage)) for level in found.stock_levels] == [("annex", False), ("main", True)]
    assert (found.total_on_hand, found.total_available) == (5, 5)


@pytest.mark.parametrize(
    ("read", "name", "facts"),
    [
        (GetCounterRequest(counter="bad"), "counter 'bad'", {"counter": "bad"}),
        (GetStockRequest(item="bad"), "'bad' at 'main'", {"item": "bad", "location": "main"}),
        (GetReservationRequest(reservation_id="bad"), "reservation 'bad'", {"reservation_id": "bad"}),
        (
            CheckAvailabilityRequest(lines=[AvailabilityLine(item="bad", any_location=True)]),
            "'bad' at 'main'",
            {"item": "bad", "location": "main"},
        ),
    ],
)
def test_the_error_of_a_read_names_the_damaged_level(
    call: Caller, damaged_levels: str, read: Message, name: str, facts: dict[str, str]
) -> None:
    request = type(read)()
    request.CopyFrom(read)
    cast("Any", request).namespace = damaged_levels

    with pytest.raises(Failure) as raised:
        call(request)

    assert (raised.value.code, raised.value.reason) == (StatusCode.DATA_LOSS, "LEVEL_DAMAGED")
    assert raised.value.metadata == facts
    assert name in raised.value.message
    assert "secret" not in raised.value.message


def test_the_audit_and_a_watch_tell_of_damaged_levels(call: Caller, damaged_levels: str) -> None:
    report = call.verify(damaged_levels)

    reported = {(each.kind, each.name, each.location) for each in report.differences if "damaged" in each.actual}
    assert reported == {
        (DIFFERENCE_KIND_COUNTER, "bad", ""),
        (DIFFERENCE_KIND_STOCK, "bad", "main"),
        (DIFFERENCE_KIND_RESERVATION, "bad", ""),
    }
    with call.stream(WatchRequest(namespace=damaged_levels, include_levels=True)) as responses:
        first = next(responses)
    assert [counter.counter for counter in first.counters if counter.damage] == ["bad"]
    assert [(level.item, level.location) for level in first.stock_levels if level.damage] == [("bad", "main")]
