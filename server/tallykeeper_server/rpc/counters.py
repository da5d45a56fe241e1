"""The methods of CounterService: reads as methods of the servicer, mutations as rows of the table of operations."""

from typing import Any, Final, Protocol, cast

from tallykeeper.v1 import counter_pb2
from tallykeeper.v1.ledger_pb2 import OperationKind
from tallykeeper_server.access.roles import Role
from tallykeeper_server.domain import limits
from tallykeeper_server.domain.levels import Counter, CounterName, DamagedLevel
from tallykeeper_server.domain.mutations import Applied
from tallykeeper_server.domain.queries import FindLevels, GetLevels, Kind, LevelRange
from tallykeeper_server.domain.refusals import damaged, not_found
from tallykeeper_server.engine.engine import Engine
from tallykeeper_server.rpc.admission import Call
from tallykeeper_server.rpc.messages import counter_message, counter_messages, fill_counter
from tallykeeper_server.rpc.mutations import Body, MutationSpec, ReadContext
from tallykeeper_server.rpc.page_tokens import PageTokens
from tallykeeper_server.rpc.validation import Fields, counter_name

_CONFIGURABLE: Final = ("min", "max", "ttl")
_LEAVE: Final = "="
_CLEAR: Final = "-"


class CounterServicer:
    """The reads of CounterService. Each method checks its request, asks the engine and builds the response."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tokens = PageTokens(engine)

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
        """Read up to 1,000 counters."""
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


def _read_increment(request: counter_pb2.IncrementRequest, fields: Fields, _: ReadContext) -> Body:
    name = counter_name(request, fields)
    delta = fields.integer("delta", request.delta) if request.HasField("delta") else 1
    if not request.HasField("create"):  # as in most requests
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


def _read_set(request: counter_pb2.SetCounterRequest, fields: Fields, _: ReadContext) -> Body:
    name = counter_name(request, fields)
    value = fields.integer("value", request.value)
    if not value:
        fields.given("value", request)
    expected: int | str = _CLEAR
    if request.HasField("expected_value"):
        expected = fields.integer("expected_value", request.expected_value)
    return (name,), (value, expected)


def _read_configure(request: counter_pb2.ConfigureCounterRequest, fields: Fields, _: ReadContext) -> Body:
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


def _read_delete(request: counter_pb2.DeleteCounterRequest, fields: Fields, _: ReadContext) -> Body:
    return (counter_name(request, fields),), ()


class _HasCounter(Protocol):
    @property
    def counter(self) -> counter_pb2.Counter: ...


def _fill(response: _HasCounter, applied: Applied) -> None:
    fill_counter(response.counter, cast("Counter", applied.levels[0]))


MUTATIONS: Final[tuple[MutationSpec[Any, Any], ...]] = (
    MutationSpec(
        rpc="CounterService.Increment",
        field="increment",
        operation="counter_increment",
        kind=OperationKind.OPERATION_KIND_INCREMENT,
        role=Role.WRITE,
        read=_read_increment,
        response=counter_pb2.IncrementResponse,
        fill=_fill,
    ),
    MutationSpec(
        rpc="CounterService.SetCounter",
        field="set_counter",
        operation="counter_set",
        kind=OperationKind.OPERATION_KIND_SET_COUNTER,
        role=Role.WRITE,
        read=_read_set,
        response=counter_pb2.SetCounterResponse,
        fill=_fill,
    ),
    MutationSpec(
        rpc="CounterService.ConfigureCounter",
        field="configure_counter",
        operation="counter_configure",
        kind=OperationKind.OPERATION_KIND_CONFIGURE_COUNTER,
        role=Role.ADMINISTER,
        read=_read_configure,
        response=counter_pb2.ConfigureCounterResponse,
        fill=_fill,
    ),
    MutationSpec(
        rpc="CounterService.DeleteCounter",
        field="delete_counter",
        operation="counter_delete",
        kind=OperationKind.OPERATION_KIND_DELETE_COUNTER,
        role=Role.ADMINISTER,
        read=_read_delete,
        response=counter_pb2.DeleteCounterResponse,
        fill=_fill,
    ),
)
"""The rows of the table of operations for this service."""
