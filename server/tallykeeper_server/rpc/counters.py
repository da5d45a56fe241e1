"""CounterService on the wire."""

from typing import Final, Protocol, cast

from tallykeeper.v1 import counter_pb2
from tallykeeper_server.domain import limits
from tallykeeper_server.domain.levels import Counter, CounterName, DamagedLevel
from tallykeeper_server.domain.mutations import Applied
from tallykeeper_server.domain.queries import FindLevels, GetLevels, Kind, LevelRange
from tallykeeper_server.domain.refusals import damaged, not_found
from tallykeeper_server.engine.engine import Engine
from tallykeeper_server.engine.pending import Pending
from tallykeeper_server.rpc.admission import Call
from tallykeeper_server.rpc.messages import counter_message, counter_messages, fill_counter
from tallykeeper_server.rpc.mutations import Body, MutationSpec, Origin, apply
from tallykeeper_server.rpc.page_tokens import PageTokens
from tallykeeper_server.rpc.validation import Fields, counter_name


class CounterServicer:
    """Each method checks its request, asks the engine and builds the response."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tokens = PageTokens(engine)

    def Increment(self, request: counter_pb2.IncrementRequest, call: Call) -> Pending[counter_pb2.IncrementResponse]:
        """Add a signed number to a counter."""
        return apply(self._engine, INCREMENT, request, call)

    def SetCounter(self, request: counter_pb2.SetCounterRequest, call: Call) -> Pending[counter_pb2.SetCounterResponse]:
        """Set a counter to a value."""
        return apply(self._engine, SET_COUNTER, request, call)

    def ConfigureCounter(
        self, request: counter_pb2.ConfigureCounterRequest, call: Call
    ) -> Pending[counter_pb2.ConfigureCounterResponse]:
        """Set or clear a counter's bounds and expiry."""
        return apply(self._engine, CONFIGURE_COUNTER, request, call)

    def DeleteCounter(
        self, request: counter_pb2.DeleteCounterRequest, call: Call
    ) -> Pending[counter_pb2.DeleteCounterResponse]:
        """Delete a counter."""
        return apply(self._engine, DELETE_COUNTER, request, call)

    async def GetCounter(self, request: counter_pb2.GetCounterRequest, call: Call) -> counter_pb2.GetCounterResponse:
        """Read one counter."""
        fields = Fields()
        name = counter_name(request, fields)
        query = GetLevels(fields.namespace(request.namespace), (name,), fields.min_revision(request.min_revision))
        fields.check()
        read = await self._engine.ask(query, deadline=call.deadline)
        (level,) = read.levels
        if level is None:
            raise not_found(name)
        if isinstance(level, DamagedLevel):
            raise damaged(level)
        return counter_pb2.GetCounterResponse(counter=counter_message(cast("Counter", level)), revision=read.revision)

    async def BatchGetCounters(
        self, request: counter_pb2.BatchGetCountersRequest, call: Call
    ) -> counter_pb2.BatchGetCountersResponse:
        """Read many counters."""
        fields = Fields()
        fields.count("counters", len(request.counters), limits.BATCH_GET_NAMES_MAX)
        names = tuple(map(CounterName, fields.names("counters", request.counters, limits.BATCH_GET_NAMES_MAX)))
        query = GetLevels(fields.namespace(request.namespace), names, fields.min_revision(request.min_revision))
        fields.check()
        read = await self._engine.ask(query, deadline=call.deadline)
        return counter_pb2.BatchGetCountersResponse(
            counters=counter_messages(read.levels),
            missing=[name.counter for name, level in zip(names, read.levels, strict=True) if level is None],
            revision=read.revision,
        )

    async def ListCounters(
        self, request: counter_pb2.ListCountersRequest, call: Call
    ) -> counter_pb2.ListCountersResponse:
        """List counters by prefix, a page at a time."""
        fields = Fields()
        namespace = fields.namespace(request.namespace)
        prefix = fields.prefix("prefix", request.prefix)
        page_size = fields.page_size(request.page_size)
        fields.check()
        listing = ("counters", namespace, prefix)
        after = await self._tokens.open(request.page_token, CounterName, *listing, deadline=call.deadline)
        wanted = LevelRange(kind=Kind.COUNTER, prefix=prefix, after=after)
        query = FindLevels(namespace=namespace, ranges=(wanted,), levels_max=page_size)
        found = await self._engine.ask(query, deadline=call.deadline)
        token = ""
        if found.after:
            token = await self._tokens.seal(found.after.text, *listing, deadline=call.deadline)
        return counter_pb2.ListCountersResponse(
            counters=counter_messages(found.levels),
            next_page_token=token,
            revision=found.revision,
        )


_CONFIGURABLE: Final = ("min", "max", "ttl")
_LEAVE: Final = "="
_CLEAR: Final = "-"


def _read_increment(request: counter_pb2.IncrementRequest, fields: Fields, _: Origin) -> Body:
    name = counter_name(request, fields)
    delta = fields.integer("delta", request.delta) if request.HasField("delta") else 1
    if not request.HasField("create"):  # as nearly always
        return (name,), (delta,)
    new = _read_new(request.create, fields.within("create."))
    return (name,), ((delta, *new) if any(value != _CLEAR for value in new) else (delta,))


def _read_new(new: counter_pb2.NewCounter, fields: Fields) -> tuple[int | str, int | str, int | str]:
    least = fields.integer("min", new.min) if new.HasField("min") else _CLEAR
    most = fields.integer("max", new.max) if new.HasField("max") else _CLEAR
    ttl_ms = fields.duration_ms("ttl", new.ttl, limits.COUNTER_TTL_MS_MAX) if new.HasField("ttl") else _CLEAR
    if new.HasField("min") and new.HasField("max") and new.min > new.max:
        fields.refuse("max", f"{new.max} is below min, {new.min}")
    return least, most, ttl_ms


def _read_set(request: counter_pb2.SetCounterRequest, fields: Fields, _: Origin) -> Body:
    name = counter_name(request, fields)
    value = fields.integer("value", request.value)
    if not value:
        fields.given("value", request)
    expected: int | str = _CLEAR
    if request.HasField("expected_value"):
        expected = fields.integer("expected_value", request.expected_value)
    return (name,), (value, expected)


def _read_configure(request: counter_pb2.ConfigureCounterRequest, fields: Fields, _: Origin) -> Body:
    name = counter_name(request, fields)
    present: dict[str, int] = {}
    if request.HasField("min"):
        present["min"] = fields.integer("min", request.min)
    if request.HasField("max"):
        present["max"] = fields.integer("max", request.max)
    if request.HasField("ttl"):
        present["ttl"] = fields.duration_ms("ttl", request.ttl, limits.COUNTER_TTL_MS_MAX)
    if "min" in present and "max" in present and present["min"] > present["max"]:
        fields.refuse("max", f"{request.max} is below min, {request.min}")
    named = fields.update_mask(request, request.update_mask, _CONFIGURABLE)
    arguments = (present.get(field, _CLEAR) if field in named else _LEAVE for field in _CONFIGURABLE)
    return (name,), tuple(arguments)


def _read_delete(request: counter_pb2.DeleteCounterRequest, fields: Fields, _: Origin) -> Body:
    return (counter_name(request, fields),), ()


class _HasCounter(Protocol):
    @property
    def counter(self) -> counter_pb2.Counter: ...


def _fill(response: _HasCounter, applied: Applied) -> None:
    fill_counter(response.counter, cast("Counter", applied.levels[0]))


INCREMENT: Final = MutationSpec("counter_increment", _read_increment, counter_pb2.IncrementResponse, _fill)
SET_COUNTER: Final = MutationSpec("counter_set", _read_set, counter_pb2.SetCounterResponse, _fill)
CONFIGURE_COUNTER: Final = MutationSpec(
    "counter_configure", _read_configure, counter_pb2.ConfigureCounterResponse, _fill
)
DELETE_COUNTER: Final = MutationSpec("counter_delete", _read_delete, counter_pb2.DeleteCounterResponse, _fill)
