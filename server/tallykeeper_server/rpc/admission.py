"""The way in of a call: who makes it, whether they may make it, and whether there is room for it.

`permissions` says which role each method needs.
"""

import time
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, Final, NamedTuple, Protocol

from google.protobuf.message import Message

from tallykeeper_server.access.authorizer import Authorizer, check
from tallykeeper_server.access.roles import ANYBODY, EVERYWHERE, Caller, Role
from tallykeeper_server.domain.limits import DEFAULT_NAMESPACE, LABEL_CHARACTERS_MAX
from tallykeeper_server.engine.lane import Backlog
from tallykeeper_server.metrics.meters import CallMeter
from tallykeeper_server.rpc.statuses import status_of
from tallykeeper_server.transport.call import Cancellable
from tallykeeper_server.transport.status import StatusError

_AUTHORIZATION: Final = b"authorization"


class Call(NamedTuple):
    """The caller and the deadline of one call, as the servicers see them."""

    deadline: float
    """Seconds of the event loop's clock; infinite for a stream, which the transport ends at its caller's deadline."""
    caller: Caller = ANYBODY


class Credentialed(Protocol):
    """A call's credentials."""

    @property
    def certificate(self) -> bytes | None:
        """The caller's certificate in DER form; None if there is none."""

    def values(self, name: bytes) -> list[str]:
        """Return the values of the header fields with this name."""


class Context(Credentialed, Protocol):
    """The part of transport.call.Call that this layer uses."""

    deadline: float
    """Seconds of the event loop's clock; infinite if the caller has set no deadline."""

    def cancel_if_abandoned(self, work: Cancellable) -> None:
        """Cancel the work when the caller leaves or its deadline passes."""

    def reply(self, message: bytes) -> None:
        """Send a response and the status OK."""

    def fail(self, error: StatusError) -> None:
        """Send the status of an error."""


def credentials_of(call: Credentialed) -> tuple[Sequence[str], bytes | None]:
    """Return the values of ``authorization``, and the caller's certificate if there are no such values."""
    authorizations = call.values(_AUTHORIZATION)
    return authorizations, None if authorizations else call.certificate


class Admission:
    """The way into one method: it finds out who calls, and checks that they have the role that the request needs."""

    def __init__(
        self, role_of: Callable[[Any], Role], parse: Callable[[bytes], Message], authorizer: Authorizer | None = None
    ) -> None:
        """``role_of`` returns the role that a request needs. Without ``authorizer``, everybody may do everything."""
        self._parse = parse
        self._authorizer = authorizer
        self._role_of = role_of

    def enter(self, raw: bytes, context: Credentialed) -> tuple[Any, Caller]:
        """Return the request and its caller. Credentials are checked before the request is parsed.

        :raises TallyError: the caller is unknown, calls too often or lacks the role, or the bytes are no request.
        """
        authorizer = self._authorizer
        if authorizer is None:
            return self._parse(raw), ANYBODY
        caller = authorizer.admit(*credentials_of(context))
        request = self._parse(raw)
        if role := self._role_of(request):
            check(caller, role, _namespace_of(request))
        if (further := len(getattr(request, "operations", ())) - 1) > 0:
            authorizer.charge(caller, further)
        return request, caller

    def guard(self, context: Credentialed, request: Message, caller: Caller) -> "StreamGuard":
        """Return a guard that checks the caller's permissions again while its stream is open."""
        return StreamGuard(self._authorizer, context, caller, self._role_of(request), _namespace_of(request))


class StreamGuard:
    """Checks the caller of an open stream again when the access file changes or the credential expires."""

    def __init__(
        self, authorizer: Authorizer | None, context: Credentialed, caller: Caller, role: Role, namespace: str
    ) -> None:
        self._authorizer = authorizer
        self._context = context
        self._caller = caller
        self._role = role
        self._namespace = namespace
        self._version = authorizer.version if authorizer else 0

    def check(self) -> None:
        """Return if the caller may still have the stream.

        :raises TallyError: the caller may not.
        """
        authorizer = self._authorizer
        if authorizer is None or (authorizer.version == self._version and self._caller.expires_at > time.time()):
            return
        self._caller = authorizer.recognise(*credentials_of(self._context))
        self._version = authorizer.version
        check(self._caller, self._role, self._namespace)


def _namespace_of(request: Message) -> str:
    """Return the namespace that a request names, cut off where it is too long to be one; ``*`` if it can name none."""
    namespace: str = getattr(request, "namespace", EVERYWHERE)
    return namespace[: LABEL_CHARACTERS_MAX + 1] or DEFAULT_NAMESPACE


class _Lane(NamedTuple):
    """The backlog in which a method's calls wait, and the meter of the method."""

    backlog: Backlog
    meter: CallMeter


class Overload:
    """Refuses a call before its request is read if its lane is full, so that a refusal costs much less than a call."""

    def __init__(self, *, mutations: Backlog, queries: Backlog) -> None:
        self._mutations = mutations
        self._queries = queries
        self._lanes: dict[str, _Lane] = {}
        self._refusals: dict[tuple[int, int], StatusError] = {}

    def watch(self, path: str, role: Role, meter: CallMeter) -> None:
        """Refuse calls of the method with this path while its lane is full. ``role`` is the role that it needs."""
        backlog = self._mutations if role.may_change else self._queries
        self._lanes[path] = _Lane(backlog, meter)

    def admit(self, path: str) -> StatusError | None:
        """Return the refusal of a call of a method; None if there is room for the call."""
        lane = self._lanes.get(path)
        if lane is None or not lane.backlog.is_full:
            return None
        refusal = self._refusal_of(lane.backlog)
        lane.meter.failed(perf_counter(), refusal.code.name, "OVERLOADED")
        return refusal

    def _refusal_of(self, backlog: Backlog) -> StatusError:
        """Return the refusal, which says how many calls wait. In a flood of calls it is made once for each number."""
        key = (id(backlog), backlog.load)
        refusal = self._refusals.get(key)
        if refusal is None:
            self._refusals.clear()
            refusal = self._refusals[key] = status_of(backlog.refusal())
        return refusal
