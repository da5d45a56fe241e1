"""A call that came over HTTP, as its handler sees it."""

import asyncio
from typing import ClassVar, Final

from tallykeeper_server.transport.call import Call, Cancellable
from tallykeeper_server.transport.methods import Method
from tallykeeper_server.transport.peers import Peer
from tallykeeper_server.transport.status import Code, HeaderFields, StatusError

_STOPS: Final = StatusError(Code.UNAVAILABLE, "the server stops")


class HttpCall(Call):
    """A call with one request. ``answer`` runs its handler; a stream iterates over the handler itself."""

    system: ClassVar[str] = "connectrpc"

    __slots__ = ("_answer", "_stopped", "_task", "_waits", "_work")

    def __init__(
        self, path: str, fields: HeaderFields, *, peer: Peer, deadline: float, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(path, fields, peer=peer, deadline=deadline, loop=loop)
        self._answer: asyncio.Future[bytes] = loop.create_future()
        self._work: Cancellable | None = None
        self._task: asyncio.Task[object] | None = asyncio.current_task()
        self._stopped: StatusError | None = None
        self._waits = False

    @property
    def response_headers(self) -> HeaderFields:
        """The metadata that the handler sends before its first response."""
        return self._initial

    @property
    def response_trailers(self) -> HeaderFields:
        """The metadata that the handler sends with the status."""
        return self._trailing

    async def answer(self, method: Method, request: bytes) -> bytes:
        """Run the handler of a method with one response, and return the response.

        :raises StatusError: the call has failed.
        """
        if not method.direct:
            response: bytes = await method.handler(request, self)
            return response
        self._waits = True
        try:
            method.handler(request, self)
            return await self._answer
        finally:
            if not self.done:  # its client has left, or its deadline has passed
                self.done = True
                self._cancel_work()

    def cancel_if_abandoned(self, work: Cancellable) -> None:
        """Cancel work if the client leaves, the deadline passes or the server stops before the answer."""
        self._work = work

    def send_initial_metadata(self) -> None:
        """Do nothing: HTTP sends headers with the first response."""

    def reply(self, message: bytes) -> None:
        """Answer with a message and OK. Without effect if the call is done."""
        if not self.done:
            self.done = True
            if not self._answer.done():
                self._answer.set_result(message)

    def fail(self, error: StatusError) -> None:
        """Answer with a failure. Without effect if the call is done."""
        if not self.done:
            self.done = True
            if not self._answer.done():
                self._answer.set_exception(error)

    def stop(self) -> None:
        """End the call with UNAVAILABLE, because the server stops."""
        if self.done:
            return
        if self._waits:
            self.fail(_STOPS)
            self._cancel_work()
        elif self._task is not None:
            self._stopped = _STOPS
            self._task.cancel()

    def settle_stop(self) -> StatusError | None:
        """Return the failure of a call whose task ``stop`` has cancelled, and let the task go on; else None."""
        if self._stopped is not None and self._task is not None:
            self._task.uncancel()
        return self._stopped

    def finish(self) -> None:
        """Record that the response has been sent, or that nobody waits for it."""
        self.done = True
        if self._answer.done() and not self._answer.cancelled():
            self._answer.exception()  # it is looked at, even if the client has left before

    def _cancel_work(self) -> None:
        if self._work is not None and not self._work.done():
            self._work.cancel()
