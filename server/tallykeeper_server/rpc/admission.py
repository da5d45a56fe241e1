"""The way in: who calls is found out before the request is looked at, and what they may do before it is carried out."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from tallykeeper_server.access.gate import check
from tallykeeper_server.access.roles import ANYBODY, Caller, Role
from tallykeeper_server.rpc.calls import Credentialed, credentials_of
from tallykeeper_server.rpc.permissions import namespace_of, role_asked_by


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
