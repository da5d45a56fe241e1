"""A call as its handler sees it."""

import asyncio
import math
from collections.abc import Iterable
from typing import ClassVar, Final, Protocol

from mypy_extensions import mypyc_attr

from tallykeeper_server.transport.metadata import Metadata, decoded, encoded
from tallykeeper_server.transport.peers import Peer
from tallykeeper_server.transport.status import Code, HeaderFields, StatusError

_NO_FIELDS: Final[HeaderFields] = ()


class Cancellable(Protocol):
    """Work for a call that can be cancelled, such as a task or a future."""

    def done(self) -> bool:
        """Return True if the work has ended, so that there is nothing to cancel."""

    def cancel(self) -> object:
        """Cancel the work, at once or soon."""


@mypyc_attr(allow_interpreted_subclasses=True)  # where this class is compiled, the calls of HTTP are not
class Call:
    """A call without its messages, as a handler sees it."""

    system: ClassVar[str] = "grpc"
    """The system of the call, by the name that OpenTelemetry gives it."""

    __slots__ = (
        "_fields",
        "_initial",
        "_loop",
        "_metadata",
        "_trailing",
        "deadline",
        "done",
        "path",
        "peer",
    )

    def __init__(
        self, path: str, fields: HeaderFields, *, peer: Peer, deadline: float, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._fields = fields
        self._loop = loop
        self._metadata: Metadata | None = None
        self._initial = _NO_FIELDS
        self._trailing = _NO_FIELDS
        self.path = path
        """The path of the method: ``/package.Service/Method``."""
        self.peer = peer
        self.deadline = deadline
        """The deadline in the event loop's time; infinite if the caller has set none."""
        self.done = False
        """True if the call has been answered, the peer has left, or the deadline has passed."""

    @property
    def metadata(self) -> Metadata:
        """The caller's metadata. It is decoded when it is first asked for.

        :raises StatusError: a binary value is not base64.
        """
        if self._metadata is None:
            try:
                self._metadata = decoded(self._fields)
            except ValueError as error:
                message = f"metadata cannot be read: {error}"
                raise StatusError(Code.INTERNAL, message) from error
        return self._metadata

    @property
    def certificate(self) -> bytes | None:
        """The peer's certificate in DER form, verified by mutual TLS; None without one."""
        certificate = self.peer.certificate
        return None if certificate is None else certificate.der

    def values(self, name: bytes) -> list[str]:
        """Return the values of the header fields of a name, without decoding any other."""
        return [value.decode("latin-1") for field, value in self._fields if field == name]

    def first(self, name: bytes) -> bytes | None:
        """Return the raw value of the first header field of a name, without decoding any other."""
        for field, value in self._fields:
            if field == name:
                return value
        return None

    def time_remaining(self) -> float | None:
        """Return the seconds until the deadline, at least 0; None if the caller has set none."""
        if self.deadline == math.inf:
            return None
        return max(0.0, self.deadline - self._loop.time())

    def set_initial_metadata(self, metadata: Iterable[tuple[str, str | bytes]]) -> None:
        """Send metadata before the first response. This has no effect after the first response.

        :raises ValueError: gRPC does not allow a name or value.
        """
        self._initial = encoded(metadata)

    def set_trailing_metadata(self, metadata: Iterable[tuple[str, str | bytes]]) -> None:
        """Send metadata with the status, before the trailers of a StatusError.

        :raises ValueError: gRPC does not allow a name or value.
        """
        self._trailing = encoded(metadata)

    def cancel_if_abandoned(self, work: Cancellable) -> None:
        """Cancel work if the peer leaves, the deadline passes or the server stops before the answer."""
        raise NotImplementedError

    def send_initial_metadata(self) -> None:
        """Send the initial metadata now, ahead of the first response."""
        raise NotImplementedError

    def reply(self, message: bytes) -> None:
        """Answer with a message and the status OK. This has no effect if the call is done."""
        raise NotImplementedError

    def fail(self, error: StatusError) -> None:
        """Answer with a failure. This has no effect if the call is done."""
        raise NotImplementedError
