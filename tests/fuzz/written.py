"""The contents of the store after many calls, compared with the answers to the calls."""

import re
from collections.abc import Iterator
from typing import Any, Final, cast

import redis
from google.protobuf.message import Message
from grpc import StatusCode

from tallykeeper.v1.batch_pb2 import ApplyResponse
from tests.fuzz.traffic import Ended
from tests.rpc.valid_requests import MUTATION_TYPES

_SHARED: Final = frozenset({b"tk:namespaces", b"tk:agenda", b"tk:open-reservations", b"tk:page-token-key"})
_KEY: Final = re.compile(rb"tk:\{([A-Za-z0-9._-]{1,63})\}:[a-z]+(:.*)?", re.DOTALL)
_EXPIRE: Final = b"reservation_expire"
_NOT_RECORDED: Final = frozenset({"INVALID_FIELD", "BATCH_TOO_LARGE", "PAGE_TOKEN_INVALID", "REQUEST_ID_REUSED"})
_DEFAULT: Final = "default"


class Written:
    """Remembers the answers to calls, and compares the store with them.

    Each entry of a ledger must belong to a call that was acknowledged, or to a reservation that expired. Each request
    record must belong to a request that was answered. So a refused call has written nothing.
    """

    def __init__(self, store: redis.Redis) -> None:
        self._store = store
        self._acknowledged: dict[str, set[int]] = {}
        self._recorded: dict[str, set[str]] = {}
        self._checked: dict[str, int] = {}
        self._cleared: set[str] = set()

    def note(self, ended: Ended) -> None:
        """Remember the answer to a call."""
        if ended.drawn.request_type not in MUTATION_TYPES or ended.reason in _NOT_RECORDED:
            return
        if ended.code is StatusCode.RESOURCE_EXHAUSTED:
            return
        request: Any = ended.drawn.request_type.FromString(ended.drawn.raw)
        namespace = request.namespace or _DEFAULT
        if request.request_id:
            self._recorded.setdefault(namespace, set()).add(request.request_id)
        if ended.response is not None:
            self._acknowledged.setdefault(namespace, set()).update(_revisions_of(ended.response))

    def check(self) -> None:
        """Compare the contents of the store with the answers since the last comparison, and forget the answers."""
        keys = [cast("bytes", key) for key in self._store.scan_iter(count=1_000)]
        outside = [key for key in keys if key not in _SHARED and not _KEY.fullmatch(key)]
        assert not outside
        named = {match[1].decode() for key in keys if (match := _KEY.fullmatch(key))}
        listed = {name.decode() for name in cast("set[bytes]", self._store.smembers("tk:namespaces"))}
        assert {name for name in named if self._revision_of(name)} <= listed
        assert listed <= named | self._cleared
        for namespace in named:
            self._check_ledger(namespace)
            self._check_records(namespace)
        assert self._acknowledged.keys() <= named

    def clear(self) -> None:
        """Remove all namespaces except the default one from the store, so that it stays small."""
        keep = f"tk:{{{_DEFAULT}}}:".encode()
        for key in self._store.scan_iter(count=1_000):
            if key not in _SHARED and not key.startswith(keep):
                self._store.unlink(key)
        for name in self._acknowledged.keys() - {_DEFAULT}:
            self._checked.pop(name, None)
        self._cleared |= self._acknowledged.keys()
        self._acknowledged.clear()
        self._recorded = {name: ids for name, ids in self._recorded.items() if name == _DEFAULT}

    def _revision_of(self, namespace: str) -> int:
        return int(cast("bytes", self._store.get(f"tk:{{{namespace}}}:revision") or b"0"))

    def _check_ledger(self, namespace: str) -> None:
        first = self._checked.get(namespace, 0) + 1
        entries = dict(self._entries(namespace, first))
        last = self._revision_of(namespace)
        assert sorted(entries) == list(range(first, last + 1))
        acknowledged = self._acknowledged.get(namespace, set())
        assert {revision for revision in acknowledged if revision > last} == set()
        unacknowledged = entries.keys() - acknowledged
        assert [entries[revision] for revision in unacknowledged if not entries[revision].startswith(_EXPIRE)] == []
        self._checked[namespace] = last

    def _entries(self, namespace: str, first: int) -> Iterator[tuple[int, bytes]]:
        stream = cast("Any", self._store.xrange(f"tk:{{{namespace}}}:ledger", min=f"0-{first}"))
        for _, fields in stream:
            yield from ((int(name), text) for name, text in fields.items() if name != b"time" and int(name) >= first)

    def _check_records(self, namespace: str) -> None:
        recorded: set[str] = set()
        for bucket in self._store.scan_iter(match=f"tk:{{{namespace}}}:requests:*", count=1_000):
            names = cast("list[bytes]", self._store.hkeys(bucket))
            recorded |= {name.split(b"\1")[0].decode() for name in names}
        assert recorded <= self._recorded.get(namespace, set())


def _revisions_of(response: Message) -> Iterator[int]:
    """Yield the revisions in a mutation's response."""
    if isinstance(response, ApplyResponse):
        for result in response.results:
            kind = result.WhichOneof("result")
            if kind not in {"error", None}:
                yield getattr(result, kind).revision
    else:
        yield cast("Any", response).revision
