"""Random requests to the server and to the model, side by side: they must answer alike at every step."""

import uuid
from collections.abc import Iterator
from typing import Any, cast

import redis
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from tallykeeper.v1 import counter_pb2, inventory_pb2
from tests.calling import Caller, Failure
from tests.ledger import read_ledger
from tests.model import requests
from tests.model.model import Answer, Model
from tests.model.reads import read
from tests.model.refusal import Refusal
from tests.serving import wait_until

SOON = Duration(nanos=1_000_000)
prefixes = st.sampled_from(("", "dune:", "visit"))
page_sizes = st.sampled_from((1, 2, 100))


class Comparison(RuleBasedStateMachine):
    """A namespace at the server and in the model; what is left in the store is compared at the end."""

    def __init__(self, call: Caller, raw_store: redis.Redis) -> None:
        super().__init__()
        self.call, self.raw_store = call, raw_store
        self.namespace = f"model-{uuid.uuid4().hex[:16]}"
        self.model = Model()
        self.sent: list[Message] = []
        self.expired: set[str] = set()

    @rule(request=requests.counter_mutations)
    def change_a_counter(self, request: Message) -> None:
        self._mutate(request)

    @rule(request=requests.stock_mutations)
    def change_stock(self, request: Message) -> None:
        self._mutate(request)

    @rule(request=requests.trades)
    def trade(self, request: Message) -> None:
        self._mutate(request)

    @rule(request=requests.mutations, other=requests.mutations, field=st.sampled_from(("reason", "reference", "all")))
    def use_a_request_id_again(self, request: Any, other: Any, field: str) -> None:  # noqa: ANN401  # any mutations
        request.request_id = other.request_id = f"twice-{len(self.sent)}"
        self._mutate(request)
        self._compare_mutation(request)
        if field != "all":
            other = type(request).FromString(request.SerializeToString())
            setattr(other, field, "another")
        self._mutate(other)

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def send_an_earlier_request_again(self, data: st.DataObject) -> None:
        self._compare_mutation(data.draw(st.sampled_from(self.sent)))

    @rule(counter=requests.counter_names)
    def let_a_counter_expire(self, counter: str) -> None:
        request = counter_pb2.ConfigureCounterRequest(counter=counter, expire_after=SOON)
        if not isinstance(self._compare_mutation(request), Refusal):
            look = counter_pb2.BatchGetCountersRequest(namespace=self.namespace, counters=[counter])
            wait_until(lambda: bool(self.call(look).missing), what="the counter expires")
            self.model.forget(counter)
            self.expired.add(counter)

    @rule(request=requests.reads)
    def read_by_name(self, request: Message) -> None:
        assert self._ask(request) == read(self.model, request)

    @rule(prefix=prefixes, page_size=page_sizes)
    def list_counters(self, prefix: str, page_size: int) -> None:
        request = counter_pb2.ListCountersRequest(prefix=prefix, page_size=page_size)
        listed = list(self._listed(request, "counters"))
        assert listed == self.model.counters(prefix)

    @rule(prefix=prefixes, location=requests.locations, page_size=page_sizes)
    def list_stock(self, prefix: str, location: str, page_size: int) -> None:
        request = inventory_pb2.ListStockRequest(item_prefix=prefix, location=location, page_size=page_size)
        listed = list(self._listed(request, "stock_levels"))
        assert listed == [
            level
            for level in self.model.stock()
            if level.item.startswith(prefix) and level.location == (location or "main")
        ]

    def teardown(self) -> None:
        """Compare what is left in the store: every level, the indexes, the revision and the ledger."""
        for location in requests.LOCATIONS:
            self.list_stock(prefix="", location=location, page_size=1)
        self.list_counters(prefix="", page_size=1)
        assert self._stored("counter:*") | self._stored("stock:*") == {
            name: level.text for name, level in self.model.levels.items()
        }
        assert self._stored("revision") == ({"revision": str(len(self.model.ledger))} if self.model.ledger else {})
        assert read_ledger(self.raw_store, self.namespace) == self.model.ledger
        self._compare_indexes()

    def _compare_indexes(self) -> None:
        """Compare the names in the indexes. Those of expired counters may stay in them for a while."""
        assert self._scores("index:stock").keys() == {f"{level.item}\0{level.location}" for level in self.model.stock()}
        counters = {counter.counter: counter for counter in self.model.counters()}
        gone = self.expired - counters.keys()
        assert self._scores("index:counter").keys() - gone == counters.keys()
        expiries = {name: score for name, score in self._scores("expiry:counter").items() if name not in gone}
        assert expiries == {
            name: counter.expire_time.ToMilliseconds()
            for name, counter in counters.items()
            if counter.HasField("expire_time")
        }

    def _mutate(self, request: Message) -> None:
        self.sent.append(request)
        self._compare_mutation(request)

    def _compare_mutation(self, request: Message) -> Answer:
        actual: Any = self._ask(request)
        now_ms = 0 if isinstance(actual, Refusal) else actual.commit_time.ToMilliseconds()
        expected = self.model.mutate(request, now_ms=now_ms)
        assert actual == expected
        return expected

    def _ask(self, request: Any) -> Answer:  # noqa: ANN401  # any request
        request.namespace = self.namespace
        try:
            return cast("Message", self.call(request))
        except Failure as failure:
            return Refusal(failure.code, failure.reason, failure.metadata)

    def _listed(self, request: Any, field: str) -> Iterator[Any]:  # noqa: ANN401  # either of the two listings
        """Read all pages; each holds what it lists in this field."""
        while True:
            page: Any = self._ask(request)
            levels = getattr(page, field)
            assert len(levels) <= request.page_size
            yield from levels
            request.page_token = page.next_page_token
            if not request.page_token:
                return

    def _scores(self, index: str) -> dict[str, float]:
        key = f"tk:{{{self.namespace}}}:{index}"
        pairs = cast("list[tuple[bytes, float]]", self.raw_store.zrange(key, 0, -1, withscores=True))
        return {name.decode(): score for name, score in pairs}

    def _stored(self, pattern: str) -> dict[str, str]:
        prefix = f"tk:{{{self.namespace}}}:"
        keys = cast("list[bytes]", self.raw_store.keys(prefix + pattern))
        values = cast("list[bytes]", self.raw_store.mget(keys)) if keys else []
        return {key.decode().removeprefix(prefix): value.decode() for key, value in zip(keys, values, strict=True)}
