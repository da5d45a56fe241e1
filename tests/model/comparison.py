"""Random requests to the server and to the model, side by side. Their answers must be equal at every step."""

import itertools
import uuid
from typing import Any, Final, cast

import redis
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tallykeeper.v1 import (
    batch_pb2,
    counter_pb2,
    inventory_pb2,
    ledger_pb2,
    namespace_pb2,
    reservation_pb2,
)
from tests.model import listings, read_requests, requests
from tests.model.model import Answer, Model
from tests.model.namespace_caller import NamespaceCaller, chosen_by
from tests.model.reads import read
from tests.model.refusal import MAX, Refusal
from tests.model.reservation import ACTIVE, Reservation
from tests.model.stored_contents import Stored
from tests.support.client import Caller
from tests.support.server import wait_until

SOON: Final = Duration(nanos=1_000_000)
SWEPT_ONE_TIME_IN: Final = 12
"""The test waits for the sweep once in this number of times, because the sweep takes a second or two. Otherwise it
takes the copies, which expires the reservation at once."""


class Comparison(RuleBasedStateMachine):
    """A namespace at the server and in the model. The two are compared at the end as well."""

    def __init__(self, call: Caller, raw_store: redis.Redis) -> None:
        super().__init__()
        namespace = f"model-{uuid.uuid4().hex[:16]}"
        self.ask = NamespaceCaller(call, namespace)
        self.stored = Stored(raw_store, namespace)
        self.model = Model()
        self.sent: list[Message] = []
        self.expired: set[str] = set()

    @initialize(on_hand=st.lists(st.none() | requests.small_counts, min_size=4, max_size=4))
    def begin_with_some_stock(self, on_hand: list[int | None]) -> None:
        names = itertools.product(requests.ITEMS, requests.LOCATIONS)
        for (item, location), count in zip(names, on_hand, strict=True):
            if count is not None:
                self._mutate(inventory_pb2.SetStockRequest(item=item, location=location, on_hand=count))

    @rule(request=requests.counter_mutations)
    def change_a_counter(self, request: Message) -> None:
        self._mutate(request)

    @rule(request=requests.stock_mutations | requests.moves)
    def change_stock(self, request: Message) -> None:
        self._mutate(request)

    @rule(request=requests.trades)
    def trade(self, request: Message) -> None:
        self._mutate(request)

    @rule(request=requests.held_trades)
    def trade_what_is_held(self, request: Message) -> None:
        self._mutate(request)

    @rule(request=requests.reserves)
    def reserve(self, request: Message) -> None:
        self._mutate(request)

    @rule(request=requests.reserves, data=st.data())
    def reserve_what_there_is(self, request: Any, data: st.DataObject) -> None:  # noqa: ANN401  # a reserve
        self._draw_lines(request, data)
        self._mutate(request)

    @precondition(lambda self: self.model.contents.reservations)
    @rule(data=st.data(), request=requests.resolutions, as_held=st.booleans())
    def change_a_reservation(self, data: st.DataObject, request: Any, *, as_held: bool) -> None:  # noqa: ANN401  # any
        held = data.draw(st.sampled_from(self._reservations_to_change()))
        request.reservation_id = held.reservation_id
        if isinstance(request, reservation_pb2.CommitRequest) and request.lines and as_held:
            line = data.draw(st.sampled_from(held.lines))
            copies = data.draw(st.integers(1, min(line.copies, 3)))
            del request.lines[:]
            request.lines.add(item=line.item, location=line.location, copies=copies)
        self._mutate(request)

    @rule(request=requests.batches)
    def apply_a_batch(self, request: Message) -> None:
        self._mutate(request)

    @rule(request=requests.mutations, other=requests.mutations, field=st.sampled_from(("reason", "reference", "all")))
    def use_a_request_id_again(self, request: Any, other: Any, field: str) -> None:  # noqa: ANN401  # any mutations
        request.request_id = other.request_id = f"twice-{len(self.sent)}"
        self._mutate(request)
        self._compare_mutation(request)
        if field != "all" and not isinstance(request, batch_pb2.ApplyRequest):
            other = type(request).FromString(request.SerializeToString())
            setattr(other, field, "another")
        self._mutate(other)
        self._compare_read(ledger_pb2.LookupRequestRequest(request_id=request.request_id))

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def send_an_earlier_request_again(self, data: st.DataObject) -> None:
        self._compare_mutation(data.draw(st.sampled_from(self.sent)))

    @rule(counter=requests.counter_names)
    def let_a_counter_expire(self, counter: str) -> None:
        request = counter_pb2.ConfigureCounterRequest(counter=counter, ttl=SOON)
        if not isinstance(self._compare_mutation(request), Refusal):
            look = counter_pb2.BatchGetCountersRequest(counters=[counter])
            wait_until(lambda: bool(self.ask(look).missing), what="the counter expires")
            self.model.forget(counter)
            self.expired.add(counter)

    @rule(
        request=requests.reserves,
        end=requests.resolutions,
        sweep=st.integers(1, SWEPT_ONE_TIME_IN),
        data=st.data(),
    )
    def let_a_reservation_expire(
        self,
        request: Any,  # noqa: ANN401  # a reserve
        end: Any,  # noqa: ANN401  # any of a kind
        sweep: int,
        data: st.DataObject,
    ) -> None:
        self._draw_lines(request, data)
        request.ttl.CopyFrom(SOON)
        request.ClearField("request_id")
        end.ClearField("request_id")
        answer: Any = self._compare_mutation(request)
        if isinstance(answer, Refusal):
            return
        held = self.model.contents.reservations[answer.reservation.reservation_id]
        wait_until(lambda: self.stored.time_ms() >= held.expire_at_ms, what="the reservation's time is up")
        end.reservation_id = held.reservation_id
        assert self.ask(end).reason == "RESERVATION_EXPIRED"
        if sweep == 1 or not self._take_what_was_held(held):
            self._see_expiry(held)

    @rule(request=read_requests.reads)
    def read(self, request: Message) -> None:
        self._compare_read(request)

    @rule(prefix=read_requests.prefixes, page_size=read_requests.page_sizes)
    def list_counters(self, prefix: str, page_size: int) -> None:
        request = counter_pb2.ListCountersRequest(prefix=prefix, page_size=page_size)
        assert self.ask.listed(request, "counters") == self.model.counters(prefix)

    @rule(request=read_requests.stock_listings)
    def list_stock(self, request: inventory_pb2.ListStockRequest) -> None:
        expected = listings.stock(self.model, request)
        assert self.ask.listed(request, "stock_levels") == expected

    @rule(request=read_requests.reservation_listings)
    def list_reservations(self, request: reservation_pb2.ListReservationsRequest) -> None:
        expected = listings.reservations(self.model, request)
        assert self.ask.listed(request, "reservations") == expected

    @rule(request=read_requests.entry_listings())
    def list_entries(self, request: ledger_pb2.ListEntriesRequest) -> None:
        expected = listings.entries(self.model, request)
        assert self.ask.listed(request, "entries") == expected

    @precondition(lambda self: self.model.entries)
    @rule(data=st.data(), page_size=read_requests.page_sizes)
    def list_entries_of_a_time(self, data: st.DataObject, page_size: int) -> None:
        first, last = (data.draw(st.sampled_from(range(self.model.revision))) for _ in range(2))
        request = ledger_pb2.ListEntriesRequest(
            start_time=self.model.entries[first].commit_time,
            end_time=self.model.entries[last].commit_time,
            page_size=page_size,
        )
        self.list_entries(request)

    @precondition(lambda self: self.model.entries)
    @rule(request=read_requests.watches(), data=st.data())
    def watch(self, request: ledger_pb2.WatchRequest, data: st.DataObject) -> None:
        request.after_revision = data.draw(st.integers(0, self.model.revision - 1))
        expected = listings.watched(self.model, request)
        assert self.ask.watch(request, through=self.model.revision) == expected

    @rule()
    def look_at_the_namespace(self) -> None:
        answer = self.ask(namespace_pb2.GetNamespaceRequest())
        actual = answer.namespace
        assert answer.revision == actual.revision
        request = namespace_pb2.GetNamespaceRequest(namespace=actual.namespace)
        expected: Any = cast("Any", read(self.model, request)).namespace
        gone = self.expired - {counter.counter for counter in self.model.counters()}
        assert 0 <= actual.counter_count - expected.counter_count <= len(gone)
        expected.counter_count = actual.counter_count
        assert [field.name for field, _ in actual.ListFields() if field.message_type] == [
            "request_retention",
            "reservation_retention",
            "reservation_lifetime_max",
        ]
        (listed,) = self.ask(namespace_pb2.ListNamespacesRequest(prefix=actual.namespace)).namespaces or [actual]
        assert listed == actual
        for setting in (
            "request_retention",
            "ledger_revisions_max",
            "reservation_retention",
            "reservation_lifetime_max",
            "durability",
        ):
            actual.ClearField(setting)
        assert actual == expected

    @rule()
    def verify(self) -> None:
        report = self.ask.verify()
        assert (report.clean, list(report.differences), report.difference_count) == (True, [], 0)
        assert (report.from_revision, report.revision) == (1, self.model.revision)
        assert report.levels_unchecked == 0

    def teardown(self) -> None:
        """Compare the final state: every level, every reservation, the indexes, the revision and the ledger."""
        for location in requests.LOCATIONS:
            self.list_stock(inventory_pb2.ListStockRequest(location=location, page_size=1))
        self.list_stock(inventory_pb2.ListStockRequest(any_location=True, page_size=1))
        self.list_counters(prefix="", page_size=1)
        self.list_reservations(reservation_pb2.ListReservationsRequest(page_size=1))
        self.list_entries(ledger_pb2.ListEntriesRequest(page_size=100))
        self.look_at_the_namespace()
        self.verify()
        assert self.stored.levels() == {key.stored: level.text for key, level in self.model.contents.levels.items()}
        assert self.stored.revision() == self.model.revision
        self.stored.compare_indexes(self.model, expired=self.expired)

    def _draw_lines(self, request: reservation_pb2.ReserveRequest, data: st.DataObject) -> None:
        """Make a reserve ask for copies that exist, if there are any."""
        levels = [level for level in self.model.stock() if level.available + level.backorder_limit > 0]
        if levels:
            del request.lines[:]
            for level in data.draw(st.lists(st.sampled_from(levels), min_size=1, max_size=3)):
                copies = data.draw(st.integers(1, min(2, level.available + level.backorder_limit)))
                request.lines.add(item=level.item, location=level.location, copies=copies)

    def _reservations_to_change(self) -> list[Reservation]:
        """Return the active reservations, if there are any, because few operations change the others."""
        held = list(self.model.contents.reservations.values())
        return [each for each in held if each.state is ACTIVE] or held

    def _take_what_was_held(self, held: Reservation) -> bool:
        """Take enough copies to need those of an expired reservation. Return True if there are any."""
        line = held.lines[0]
        level = self.model.contents.stock(line.item, line.location)
        assert level is not None
        copies = level.available + level.backorder_limit + line.copies
        if copies > MAX:
            return False
        request = inventory_pb2.DecrementCopiesRequest(item=line.item, location=line.location, copies=copies)
        actual = self.ask(request)
        self._see_expiry(held)
        assert actual == self.model.mutate(request, chosen_by(actual))
        return True

    def _see_expiry(self, held: Reservation) -> None:
        expiry = self.ask.await_expiry(held.reservation_id)
        self.model.expire(held.reservation_id, now_ms=expiry.commit_time.ToMilliseconds())

    def _mutate(self, request: Message) -> None:
        self.sent.append(request)
        self._compare_mutation(request)

    def _compare_mutation(self, request: Message) -> Answer:
        actual = self.ask(request)
        expected = self.model.mutate(request, chosen_by(actual))
        assert actual == expected
        return expected

    def _compare_read(self, request: Message) -> None:
        actual, expected = self.ask(request), read(self.model, request)
        if (
            isinstance(expected, ledger_pb2.LookupRequestResponse)
            and expected.refused_count
            and not expected.HasField("commit_time")
        ):
            # The refusal of a single mutation has no time, so that the model cannot know it.
            assert actual.HasField("commit_time")
            actual.ClearField("commit_time")
        assert actual == expected
