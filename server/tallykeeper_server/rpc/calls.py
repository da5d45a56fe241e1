"""A call as the servicers see it, and as this layer sees the transport's."""

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from tallykeeper_server.access.roles import ANYBODY, Caller
from tallykeeper_server.transport.call import Cancellable
from tallykeeper_server.transport.status import StatusError


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


_AUTHORIZATION: Final = b"authorization"


def credentials_of(call: Credentialed) -> tuple[Sequence[str], bytes | None]:
    """Return the values of ``authorization`` and, if there is none, the caller's certificate."""
    authorizations = call.values(_AUTHORIZATION)
    return authorizations, None if authorizations else call.certificate
