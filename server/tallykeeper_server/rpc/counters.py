"""CounterService on the wire."""

from typing import cast

from tallykeeper.v1 import counter_pb2
from tallykeeper_server.domain import limits
from tallykeeper_server.domain.levels import Counter, CounterName, DamagedLevel
from tallykeeper_server.domain.queries import FindLevels, GetLevels, Kind, LevelRange
from tallykeeper_server.domain.refusals import damaged, not_found
from tallykeeper_server.engine.engine import Engine
from tallykeeper_server.engine.pending import Pending
from tallykeeper_server.rpc import counter_changes as changes
from tallykeeper_server.rpc.admission import Call
from tallykeeper_server.rpc.messages import counter_message, counter_messages
from tallykeeper_server.rpc.mutations import apply
from tallykeeper_server.rpc.page_tokens import PageTokens
from tallykeeper_server.rpc.validation import Fields, counter_name


class CounterServicer:
    """Each method checks its request, asks the engine and builds the response."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tokens = PageTokens(engine)

    def Increment(self, request: counter_pb2.IncrementRequest, call: Call) -> Pending[counter_pb2.IncrementResponse]:
        """Add a signed number to a counter."""
        return apply(self._engine, changes.INCREMENT, request, call)

    def SetCounter(self, request: counter_pb2.SetCounterRequest, call: Call) -> Pending[counter_pb2.SetCounterResponse]:
        """Set a counter to a value."""
        return apply(self._engine, changes.SET_COUNTER, request, call)

    def ConfigureCounter(
        self, request: counter_pb2.ConfigureCounterRequest, call: Call
    ) -> Pending[counter_pb2.ConfigureCounterResponse]:
        """Set or clear a counter's bounds and expiry."""
        return apply(self._engine, changes.CONFIGURE_COUNTER, request, call)

    def DeleteCounter(
        self, request: counter_pb2.DeleteCounterRequest, call: Call
    ) -> Pending[counter_pb2.DeleteCounterResponse]:
        """Delete a counter."""
        return apply(self._engine, changes.DELETE_COUNTER, request, call)

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
