"""CounterService on the wire."""

from collections.abc import Sequence
from typing import Final, cast

from tallykeeper.v1 import counter_pb2
from tallykeeper_server.domain import limits
from tallykeeper_server.domain.levels import Counter, CounterName, Level
from tallykeeper_server.domain.mutations import Applied
from tallykeeper_server.domain.queries import GetLevels, Kind, ListNames
from tallykeeper_server.domain.refusals import not_found
from tallykeeper_server.engine.engine import Engine
from tallykeeper_server.rpc.fields import Fields
from tallykeeper_server.rpc.mutating import commit_fields, mutation_of, timestamp_of
from tallykeeper_server.rpc.pages import open_page_token, seal_page_token

_CONFIGURABLE: Final = ("min", "max", "expire_after")
_LEAVE: Final = "="
_CLEAR: Final = "-"


class CounterServicer:
    """Each method checks its request, asks the engine and builds the response."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def Increment(self, request: counter_pb2.IncrementRequest, deadline: float) -> counter_pb2.IncrementResponse:
        """Add a signed number to a counter."""
        fields = Fields()
        name = CounterName(fields.name("counter", request.counter))
        delta = fields.integer("delta", request.delta) if request.HasField("delta") else 1
        mutation = mutation_of(request, fields, "counter_increment", name, delta)
        applied = await self._engine.apply(mutation, deadline=deadline)
        return counter_pb2.IncrementResponse(counter=_counter_of(applied), **commit_fields(applied))

    async def SetCounter(
        self, request: counter_pb2.SetCounterRequest, deadline: float
    ) -> counter_pb2.SetCounterResponse:
        """Set a counter to a value."""
        fields = Fields()
        name = CounterName(fields.name("counter", request.counter))
        value = fields.integer("value", request.value)
        expected: int | str = _CLEAR
        if request.HasField("expected_value"):
            expected = fields.integer("expected_value", request.expected_value)
        mutation = mutation_of(request, fields, "counter_set", name, value, expected)
        applied = await self._engine.apply(mutation, deadline=deadline)
        return counter_pb2.SetCounterResponse(counter=_counter_of(applied), **commit_fields(applied))

    async def ConfigureCounter(
        self, request: counter_pb2.ConfigureCounterRequest, deadline: float
    ) -> counter_pb2.ConfigureCounterResponse:
        """Set or clear a counter's bounds and expiry."""
        fields = Fields()
        name = CounterName(fields.name("counter", request.counter))
        mutation = mutation_of(request, fields, "counter_configure", name, *_configuration(request, fields))
        applied = await self._engine.apply(mutation, deadline=deadline)
        return counter_pb2.ConfigureCounterResponse(counter=_counter_of(applied), **commit_fields(applied))

    async def DeleteCounter(
        self, request: counter_pb2.DeleteCounterRequest, deadline: float
    ) -> counter_pb2.DeleteCounterResponse:
        """Delete a counter."""
        fields = Fields()
        name = CounterName(fields.name("counter", request.counter))
        mutation = mutation_of(request, fields, "counter_delete", name)
        applied = await self._engine.apply(mutation, deadline=deadline)
        return counter_pb2.DeleteCounterResponse(counter=_counter_of(applied), **commit_fields(applied))

    async def GetCounter(
        self, request: counter_pb2.GetCounterRequest, deadline: float
    ) -> counter_pb2.GetCounterResponse:
        """Read one counter."""
        fields = Fields()
        name = CounterName(fields.name("counter", request.counter))
        query = GetLevels(fields.namespace(request.namespace), (name,))
        fields.check()
        (level,) = await self._engine.get_levels(query, deadline=deadline)
        if level is None:
            raise not_found(name)
        return counter_pb2.GetCounterResponse(counter=_message_of(cast("Counter", level)))

    async def BatchGetCounters(
        self, request: counter_pb2.BatchGetCountersRequest, deadline: float
    ) -> counter_pb2.BatchGetCountersResponse:
        """Read many counters."""
        fields = Fields()
        fields.count("counters", len(request.counters), limits.BATCH_GET_NAMES_MAX)
        names = tuple(
            CounterName(fields.name(f"counters[{place}]", counter)) for place, counter in enumerate(request.counters)
        )
        query = GetLevels(fields.namespace(request.namespace), names)
        fields.check()
        levels = await self._engine.get_levels(query, deadline=deadline)
        return counter_pb2.BatchGetCountersResponse(
            counters=_messages_of(levels),
            missing=[name.counter for name, level in zip(names, levels, strict=True) if level is None],
        )

    async def ListCounters(
        self, request: counter_pb2.ListCountersRequest, deadline: float
    ) -> counter_pb2.ListCountersResponse:
        """List counters by prefix, a page at a time."""
        fields = Fields()
        namespace = fields.namespace(request.namespace)
        prefix = fields.text("prefix", request.prefix, limits.NAME_BYTES_MAX)
        page_size = fields.page_size(request.page_size)
        fields.check()
        listing = ("counters", namespace, prefix)
        after = open_page_token(request.page_token, *listing)
        query = ListNames(
            namespace,
            Kind.COUNTER,
            prefix=prefix,
            after=None if after is None else CounterName(after),
            limit=page_size + 1,
        )
        names = cast("list[CounterName]", await self._engine.list_names(query, deadline=deadline))
        page = tuple(names[:page_size])
        levels = await self._engine.get_levels(GetLevels(namespace, page), deadline=deadline)
        more = len(names) > page_size
        return counter_pb2.ListCountersResponse(
            counters=_messages_of(levels),
            next_page_token=seal_page_token(page[-1].counter, *listing) if more else "",
        )


def _configuration(request: counter_pb2.ConfigureCounterRequest, fields: Fields) -> list[int | str]:
    """Return the script's arguments for min, max and expire_after: a number, or leave it, or clear it."""
    present: dict[str, int] = {}
    if request.HasField("min"):
        present["min"] = fields.integer("min", request.min)
    if request.HasField("max"):
        present["max"] = fields.integer("max", request.max)
    if request.HasField("expire_after"):
        present["expire_after"] = fields.expire_after_ms("expire_after", request.expire_after)
    if "min" in present and "max" in present and present["min"] > present["max"]:
        fields.refuse("max", f"{request.max} is below min, {request.min}")
    named = fields.update_mask(request, request.update_mask, _CONFIGURABLE)
    return [present.get(field, _CLEAR) if field in named else _LEAVE for field in _CONFIGURABLE]


def _counter_of(applied: Applied) -> counter_pb2.Counter:
    return _message_of(cast("Counter", applied.levels[0]))


def _messages_of(levels: Sequence[Level | None]) -> list[counter_pb2.Counter]:
    return [_message_of(cast("Counter", level)) for level in levels if level is not None]


def _message_of(counter: Counter) -> counter_pb2.Counter:
    expire_at_ms = counter.expire_at_ms
    return counter_pb2.Counter(
        counter=counter.name.counter,
        value=counter.value,
        min=counter.min,
        max=counter.max,
        expire_time=None if expire_at_ms is None else timestamp_of(expire_at_ms),
    )
