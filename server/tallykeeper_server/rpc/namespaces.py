"""The methods of NamespaceService."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from tallykeeper.v1 import namespace_pb2
from tallykeeper_server.domain import limits
from tallykeeper_server.domain.durability import Durability, DurabilityPolicy, Retention
from tallykeeper_server.domain.errors import DefectError
from tallykeeper_server.domain.queries import CountNamespace, ListNamespaces, NamespaceCounts
from tallykeeper_server.engine.engine import Engine
from tallykeeper_server.rpc.admission import Call
from tallykeeper_server.rpc.messages import duration_of
from tallykeeper_server.rpc.page_tokens import PageTokens
from tallykeeper_server.rpc.validation import Fields

DURABILITIES: Final = {
    Durability.FSYNC: namespace_pb2.DURABILITY_FSYNC,
    Durability.REPLICATED: namespace_pb2.DURABILITY_REPLICATED,
    Durability.MEMORY: namespace_pb2.DURABILITY_MEMORY,
}
"""The levels of durability in messages."""
_COUNTED_AT_ONCE: Final = 100
"""The number of namespaces of a page that are counted in one round trip. It leaves room for other queries."""
_DAMAGE: Final = "another program has written into the namespace, so that its contents cannot be counted"


class NamespaceServicer:
    """NamespaceService. Each method checks its request, asks the engine and builds the response."""

    def __init__(self, engine: Engine, retention: Retention, policy: DurabilityPolicy) -> None:
        self._engine = engine
        self._tokens = PageTokens(engine)
        self._policy = policy
        self._retention = retention

    async def ListNamespaces(
        self, request: namespace_pb2.ListNamespacesRequest, call: Call
    ) -> namespace_pb2.ListNamespacesResponse:
        """List the namespaces that the caller may read, by prefix, a page at a time."""
        fields = Fields()
        prefix = fields.text("prefix", request.prefix, limits.LABEL_CHARACTERS_MAX)
        page_size = fields.page_size(request.page_size)
        fields.check()
        listing = ("namespaces", prefix)
        after = await self._tokens.open(request.page_token, str, *listing, deadline=call.deadline) or ""
        listed = await self._engine.ask(ListNamespaces(), deadline=call.deadline)
        role_in = call.caller.rights.role_in
        names = [name for name in listed if name.startswith(prefix) and name > after and role_in(name)]
        page = names[:page_size]
        token = ""
        if len(names) > page_size:
            token = await self._tokens.seal(page[-1], *listing, deadline=call.deadline)
        found = [
            namespace
            for first in range(0, len(page), _COUNTED_AT_ONCE)
            for namespace in await self._counted(page[first : first + _COUNTED_AT_ONCE], call.deadline)
        ]
        return namespace_pb2.ListNamespacesResponse(namespaces=found, next_page_token=token)

    async def GetNamespace(
        self, request: namespace_pb2.GetNamespaceRequest, call: Call
    ) -> namespace_pb2.GetNamespaceResponse:
        """Return the contents of a namespace, counted, and its settings."""
        fields = Fields()
        namespace = fields.namespace(request.namespace)
        fields.check()
        counts = await self._engine.ask(CountNamespace(namespace), deadline=call.deadline)
        return namespace_pb2.GetNamespaceResponse(namespace=self._message(namespace, counts), revision=counts.revision)

    async def _counted(self, names: Sequence[str], deadline: float) -> list[namespace_pb2.Namespace]:
        """Return namespaces with their contents counted. One that cannot be counted has the field ``damage``."""
        queries = (self._engine.ask(CountNamespace(name), deadline=deadline) for name in names)
        answers = await asyncio.gather(*queries, return_exceptions=True)
        return [self._message_or_mark(name, answer) for name, answer in zip(names, answers, strict=True)]

    def _message_or_mark(self, name: str, answer: NamespaceCounts | BaseException) -> namespace_pb2.Namespace:
        if isinstance(answer, NamespaceCounts):
            return self._message(name, answer)
        if isinstance(answer, DefectError):
            return self._settings(name, damage=_DAMAGE)
        raise answer

    def _message(self, name: str, counts: NamespaceCounts) -> namespace_pb2.Namespace:
        return self._settings(
            name,
            revision=counts.revision,
            oldest_revision=counts.oldest_revision,
            stock_level_count=counts.stock_levels,
            counter_count=counts.counters,
            active_reservation_count=counts.active_reservations,
        )

    def _settings(self, name: str, **contents: Any) -> namespace_pb2.Namespace:  # noqa: ANN401  # fields of Namespace
        return namespace_pb2.Namespace(
            namespace=name,
            request_retention=duration_of(self._retention.request_ms),
            ledger_revisions_max=self._retention.ledger_revisions,
            reservation_retention=duration_of(self._retention.reservation_ms),
            reservation_lifetime_max=duration_of(self._retention.reservation_lifetime_ms),
            durability=DURABILITIES[self._policy.of(name)],
            **contents,
        )
