"""The way in: who calls is found out before the request is looked at, and what they may do before it is carried out."""

import time
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, Final, NamedTuple, Protocol

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from tallykeeper_server.access.gate import check
from tallykeeper_server.access.roles import ANYBODY, Caller, Role
from tallykeeper_server.engine.lane import Backlog
from tallykeeper_server.metrics.meters import CallMeter
from tallykeeper_server.rpc.permissions import ROLES, namespace_of, role_asked_by
from tallykeeper_server.rpc.statuses import status_of
from tallykeeper_server.transport.call import Cancellable
from tallykeeper_server.transport.status import StatusError

_AUTHORIZATION: Final = b"authorization"
_MUTATING: Final = (Role.WRITE, Role.ADMINISTER)


class Call(NamedTuple):
    """One call, without its request."""

    deadline: float
    """In the event loop's time; infinite for a stream, which the transport ends at its caller's deadline."""
    caller: Caller = ANYBODY


class Credentialed(Protocol):
    """The credentials of a call."""

    @property
    def certificate(self) -> bytes | None:
        """The caller's certificate in DER form; None without one."""

    def values(self, name: bytes) -> list[str]:
        """Return the values of the header fields of a name."""


class Context(Credentialed, Protocol):
    """A call of the transport, as far as this layer needs it; transport.call.Call is one."""

    deadline: float
    """In the event loop's time; infinite if the caller has set none."""

    def cancel_if_abandoned(self, work: Cancellable) -> None:
        """Cancel work if nobody waits for the answer any more."""

    def reply(self, message: bytes) -> None:
        """Answer with a message and OK."""

    def fail(self, error: StatusError) -> None:
        """Answer with a failure."""


def credentials_of(call: Credentialed) -> tuple[Sequence[str], bytes | None]:
    """Return the values of ``authorization`` and, if there is none, the caller's certificate."""
    authorizations = call.values(_AUTHORIZATION)
    return authorizations, None if authorizations else call.certificate


class Gatekeeper(Protocol):
    """Knows who may come in; access.gate.Gate is one."""

    version: int

    def admit(self, authorizations: Sequence[str], certificate: bytes | None) -> Caller:
        """Return who calls."""

    def recognise(self, authorizations: Sequence[str], certificate: bytes | None) -> Caller:
        """Return who made a call that was let in before."""

    def charge(self, caller: Caller, calls: int) -> None:
        """Count calls that came as one."""


class Admitted:
    """A stream that was let in, which is looked at again whenever who may do what has changed."""

    def __init__(
        self, gate: Gatekeeper | None, context: Credentialed, caller: Caller, role: Role, namespace: str
    ) -> None:
        self._gate = gate
        self._context = context
        self._caller = caller
        self._role = role
        self._namespace = namespace
        self._version = gate.version if gate else 0

    def check(self) -> None:
        """Return if its caller may still have it.

        :raises TallyError: not any more.
        """
        gate = self._gate
        if gate is None or (gate.version == self._version and self._caller.expires_at > time.time()):
            return
        self._caller = gate.recognise(*credentials_of(self._context))
        self._version = gate.version
        check(self._caller, self._role, self._namespace)


class Admission:
    """The way into one method."""

    def __init__(
        self, method: MethodDescriptor, parse: Callable[[bytes], Message], gate: Gatekeeper | None = None
    ) -> None:
        """Without a ``gate`` everybody may do everything."""
        self._parse = parse
        self._gate = gate
        self._role_of = role_asked_by(method)

    def enter(self, raw: bytes, context: Credentialed) -> tuple[Any, Caller]:
        """Return the request, and who makes it.

        :raises TallyError: they may not, or the bytes are no request.
        """
        gate = self._gate
        if gate is None:
            return self._parse(raw), ANYBODY
        caller = gate.admit(*credentials_of(context))
        request = self._parse(raw)
        if role := self._role_of(request):
            check(caller, role, namespace_of(request))
        if (further := len(getattr(request, "operations", ())) - 1) > 0:
            gate.charge(caller, further)
        return request, caller

    def admitted(self, context: Credentialed, request: Message, caller: Caller) -> Admitted:
        """Return what looks after a stream that has entered."""
        return Admitted(self._gate, context, caller, self._role_of(request), namespace_of(request))


class _Lane(NamedTuple):
    """The backlog in which a method's calls wait, and the meter of the method."""

    backlog: Backlog
    meter: CallMeter


class Overload:
    """Refuses calls while as many wait as may. A refusal costs some 5 µs, a tenth of a call."""

    def __init__(self, *, mutations: Backlog, queries: Backlog) -> None:
        self._mutations = mutations
        self._queries = queries
        self._lanes: dict[str, _Lane] = {}
        self._refusals: dict[tuple[int, int], StatusError] = {}

    def watch(self, path: str, name: str, meter: CallMeter) -> None:
        """Refuse calls of a method, by its path and its name as permissions.ROLES has it."""
        backlog = self._mutations if ROLES[name] in _MUTATING else self._queries
        self._lanes[path] = _Lane(backlog, meter)

    def admit(self, path: str) -> StatusError | None:
        """Return None, or the refusal of a call of a method for which there is no room."""
        lane = self._lanes.get(path)
        if lane is None or not lane.backlog.is_full:
            return None
        refusal = self._refusal_of(lane.backlog)
        lane.meter.failed(perf_counter(), refusal.code.name, "OVERLOADED")
        return refusal

    def _refusal_of(self, backlog: Backlog) -> StatusError:
        """Return the refusal that says how many calls wait. Most calls of a flood get the one before's."""
        key = (id(backlog), backlog.load)
        refusal = self._refusals.get(key)
        if refusal is None:
            self._refusals.clear()
            refusal = self._refusals[key] = status_of(backlog.refusal())
        return refusal
