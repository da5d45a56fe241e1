"""Requests of every type, from a seed: valid ones, changed ones, and bytes that are no request."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import Message

from tallykeeper.v1.inventory_pb2 import SetStockRequest
from tallykeeper.v1.reservation_pb2 import CommitRequest, ExtendRequest, ReleaseRequest, ReserveRequest
from tests.fuzz.values import Values
from tests.fuzz.wire import spoilt
from tests.rpc.valid_requests import preparation, valid_requests
from tests.support.client import REQUEST_TYPES

_HUGE_BYTES: Final = 2**20 + 1_000
_RARE: Final = frozenset({"VerifyNamespaceRequest"})
"""The requests that are drawn less often, because they cost the server much more than others."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """Bytes for the RPC that takes a type of request."""

    request_type: type[Message]
    raw: bytes

    def __str__(self) -> str:
        shown = self.raw[:200].hex()
        return f"{self.request_type.__name__} {shown}{'…' if len(self.raw) > 200 else ''}"


class Drawer:
    """Draws requests. The same seed and page tokens give the same requests."""

    def __init__(self, seed: int, namespaces: Sequence[str]) -> None:
        """Take ``namespaces``, which requests name in addition to the default namespace and to invalid names."""
        self._dice = random.Random(seed)
        self._valid = {namespace: valid_requests(namespace) for namespace in namespaces}
        self._namespaces = tuple(namespaces)
        self._weights = [0.05 if each.__name__ in _RARE else 1.0 for each in REQUEST_TYPES]
        self._holds = 0
        self.values = Values(self._dice, self._namespaces)

    def preparation(self) -> list[Drawn]:
        """Return the mutations that make the valid requests succeed."""
        requests = [request for namespace in self._namespaces for request in preparation(namespace)]
        requests += [SetStockRequest(namespace=each, item="emma", on_hand=100_000) for each in self._namespaces]
        return [Drawn(type(request), request.SerializeToString()) for request in requests]

    def draw(self) -> Drawn:
        """Return the next request."""
        (request_type,) = self._dice.choices(REQUEST_TYPES, self._weights)
        request = request_type()
        if self._dice.random() < 0.75:
            request.CopyFrom(self._valid[self._dice.choice(self._namespaces)][request_type])
            self._name_hold(request)
        if self._dice.random() < 0.85:
            self.values.fill(request, self._dice.choice((1, 1, 2, 8)))
        raw = request.SerializeToString()
        if self._dice.random() < 0.2:
            raw = spoilt(self._dice, raw, max(1, len(request_type.DESCRIPTOR.fields)))
        elif self._dice.random() < 0.0005:
            raw += bytes(_HUGE_BYTES)
        return Drawn(request_type, raw)

    def _name_hold(self, request: Message) -> None:
        """Give new reservations new ids, and their changes a recent id, because each reservation ends only once."""
        if isinstance(request, ReserveRequest):
            self._holds += 1
            request.reservation_id = f"hold-{self._holds}"
        elif isinstance(request, CommitRequest | ReleaseRequest | ExtendRequest):
            request.reservation_id = f"hold-{self._dice.randint(max(0, self._holds - 3), self._holds)}"
