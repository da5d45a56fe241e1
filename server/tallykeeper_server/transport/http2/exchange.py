"""One call on a connection: it turns bytes into messages, runs the handler, and turns messages into frames."""

import asyncio
import logging
import math
from collections import deque
from collections.abc import Awaitable
from contextlib import aclosing
from typing import Final, Protocol

from tallykeeper_server.transport.call import Call, Cancellable
from tallykeeper_server.transport.http2.message_frames import Unframer, framed, framed_gzip, single_message
from tallykeeper_server.transport.http2.server_state import Shared
from tallykeeper_server.transport.http2.session import Engine, EngineError, ErrorCode
from tallykeeper_server.transport.methods import Method
from tallykeeper_server.transport.peers import Peer
from tallykeeper_server.transport.requests import Requests
from tallykeeper_server.transport.status import Code, HeaderFields, MessageTooLargeError, StatusError

HEAD: Final = (
    (b":status", b"200"),
    (b"content-type", b"application/grpc"),
    (b"grpc-accept-encoding", b"identity,gzip"),
)
_GZIP_HEAD: Final = (*HEAD, (b"grpc-encoding", b"gzip"))
_OK: Final = ((b"grpc-status", b"0"),)
_EXPIRED: Final = StatusError(Code.DEADLINE_EXCEEDED, "the deadline has passed")
_CANCELLED: Final = StatusError(Code.CANCELLED, "the handler was cancelled")
_SMALL_BYTES: Final = 1 << 10
"""A request up to this size that arrives in one piece is not counted. The call takes ten times as much memory."""
DEFECT: Final = StatusError(Code.UNKNOWN, "a defect of the server, which has logged it")

log = logging.getLogger(__name__)


class Outlet(Protocol):
    """The part of a connection that a call uses."""

    engine: Engine
    shared: Shared
    peer: Peer

    def answered(self, exchange: "Exchange") -> None:
        """Remove a call that has been answered, and write."""

    def schedule_flush(self) -> None:
        """Write the frames of this turn of the event loop at its end."""

    def taken(self, exchange: "Exchange", unacknowledged: int) -> None:
        """Let the peer send as many bytes as a call has taken."""

    def count_bad_compression(self) -> None:
        """Count a compressed message that was too large or broken, and end the connection if there were too many."""

    def hold(self, change: int) -> None:
        """Add bytes of requests in memory. A negative number gives bytes back."""

    def room(self, exchange: "Exchange") -> Awaitable[None] | None:
        """Return an awaitable that ends when a call may write more; None if it may now."""


class Exchange(Call):
    """A call with its state on the connection."""

    __slots__ = (
        "_arrived",
        "_began",
        "_gzip_requests",
        "_gzip_responses",
        "_held",
        "_outlet",
        "_requests",
        "_task",
        "_unacknowledged",
        "_unframer",
        "method",
        "received_all",
        "stream_id",
        "waits_since",
    )

    def __init__(
        self,
        outlet: Outlet,
        stream_id: int,
        method: Method,
        fields: HeaderFields,
        *,
        deadline: float,
        gzip_requests: bool,
        gzip_responses: bool,
    ) -> None:
        """``gzip_requests``: the requests may be compressed. ``gzip_responses``: the responses may be compressed."""
        super().__init__(method.path, fields, peer=outlet.peer, deadline=deadline, loop=outlet.shared.loop)
        self.stream_id = stream_id
        self.method = method
        self.received_all = False
        """True if the caller has sent its whole request."""
        self.waits_since: float | None = None
        """The time, in the loop's time, from which on the rest of a message is missing."""
        self._outlet = outlet
        self._gzip_requests = gzip_requests
        self._gzip_responses = gzip_responses
        self._arrived: list[bytes] = []
        self._began = False
        self._held = 0
        self._unacknowledged = 0
        self._requests: Requests | None = None
        self._unframer: Unframer | None = None
        self._task: Cancellable | None = None

    # The request.

    def open(self) -> None:
        """Start the handler of a method that streams requests. Other handlers start with their request."""
        if self.method.streams_requests:
            self._requests = Requests(self._loop, self._drained)
            self._start(self._requests)
        else:
            self.waits_since = self._loop.time()

    def receive(self, data: bytes, *, ends: bool) -> None:
        """Take bytes of the request. ``ends``: these are the last bytes."""
        if self.received_all or self.done:
            self.received_all = self.received_all or ends
            self._outlet.taken(self, len(data))
            return
        self.received_all = ends
        if ends and self._unframer is None and self._requests is None:
            message = single_message(data)
            if message is not None and len(message) <= self._outlet.shared.limits.message_bytes_max:
                self.waits_since = None
                if len(data) > _SMALL_BYTES:
                    self._hold(len(data))
                self._outlet.taken(self, len(data))
                self._start(message)
                return
        try:
            self._receive_part(data)
        except StatusError as error:
            refusal = self._outlet.shared.explain(error) if isinstance(error, MessageTooLargeError) else error
            if self._requests is not None:
                self._requests.end(refusal)
            self.fail(refusal)
            self._cancel_task()
            if self._gzip_requests:
                self._outlet.count_bad_compression()

    def _receive_part(self, data: bytes) -> None:
        unframer = self._unframer
        if unframer is None:
            limit = self._outlet.shared.limits.message_bytes_max
            unframer = self._unframer = Unframer(limit, gzip_allowed=self._gzip_requests)
        messages = unframer.feed(data)
        if self.received_all and unframer.partial_bytes:
            raise _cut_off(unframer.partial_bytes)
        if self._requests is None:
            self._receive_only(messages, len(data))
        else:
            self._receive_next(self._requests, messages, len(data))

    def _receive_only(self, messages: deque[bytes], count: int) -> None:
        """Take a part of the only message that the method expects."""
        self._hold(self._held + count)
        self._outlet.taken(self, count)
        if self.done:
            return  # the call has ended to make room for others
        self._arrived += messages
        if len(self._arrived) > 1 or (self.received_all and not self._arrived):
            raise _wrong_number(len(self._arrived))
        if self.received_all:
            self.waits_since = None
            self._start(self._arrived.pop())

    def _receive_next(self, requests: Requests, messages: deque[bytes], count: int) -> None:
        """Take a part of the messages that the method expects."""
        self._unacknowledged += count
        if messages:
            requests.put(messages)
        partial = 0 if self._unframer is None else self._unframer.partial_bytes
        self._watch_rest(partial)
        waiting = requests.waiting_bytes
        self._hold(waiting + partial)
        if not waiting:
            self._acknowledge()
        if self.received_all:
            requests.end()

    def _watch_rest(self, partial_bytes: int) -> None:
        if not partial_bytes:
            self.waits_since = None
        elif self.waits_since is None:
            self.waits_since = self._loop.time()

    def _drained(self) -> None:
        self._hold(0 if self._unframer is None else self._unframer.partial_bytes)
        self._acknowledge()

    def _acknowledge(self) -> None:
        if self._unacknowledged:
            taken, self._unacknowledged = self._unacknowledged, 0
            self._outlet.taken(self, taken)

    def _hold(self, held: int) -> None:
        if held != self._held:
            self._outlet.hold(held - self._held)
            self._held = held

    @property
    def releases(self) -> bool:
        """True if the call will give its bytes back without further bytes from its peer."""
        return not self.done and (
            self.received_all or (self._requests is not None and bool(self._requests.waiting_bytes))
        )

    # The handler.

    def _start(self, request: bytes | Requests) -> None:
        method = self.method
        if method.direct:
            try:
                method.handler(request, self)
            except StatusError as error:
                self.fail(error)
            except Exception as error:  # noqa: BLE001  # any defect of a handler becomes a status
                self._fail_by_defect(error)
        elif method.streams_responses:
            self._task = self._loop.create_task(self._stream(request))
        else:
            self._task = self._loop.create_task(self._answer(request))

    async def _answer(self, request: bytes | Requests) -> None:
        try:
            self.reply(await self.method.handler(request, self))
        except StatusError as error:
            self.fail(error)
        except asyncio.CancelledError:
            self.fail(_CANCELLED)
            raise
        except Exception as error:  # noqa: BLE001  # a defect of the handler becomes a status
            self._fail_by_defect(error)

    async def _stream(self, request: bytes | Requests) -> None:
        try:
            async with aclosing(self.method.handler(request, self)) as responses:
                async for response in responses:
                    self.send_message(response)
                    room = self._outlet.room(self)
                    if room is not None:
                        await room
        except StatusError as error:
            self.fail(error)
        except asyncio.CancelledError:
            self.fail(_CANCELLED)
            raise
        except Exception as error:  # noqa: BLE001  # a defect of the handler becomes a status
            self._fail_by_defect(error)
        else:
            self._end(_OK)

    def _fail_by_defect(self, error: Exception) -> None:
        self.fail(DEFECT)  # first, so that the caller has an answer even if the trace cannot be formatted
        log.error("a handler of %s has failed", self.path, exc_info=error)

    def expire(self) -> None:
        """End the call, because its deadline has passed."""
        self.abort(_EXPIRED)

    def abort(self, error: StatusError) -> None:
        """Answer with a failure, and cancel the handler."""
        if not self.done:
            self.fail(error)
            self._cancel_task()

    def closed(self) -> None:
        """Handle the end of the stream: the response was sent, or the peer or the connection has gone."""
        if not self.done:
            self._finish()
            self._cancel_task()

    def cancel_if_abandoned(self, work: Cancellable) -> None:
        """Cancel work if the peer leaves, the deadline passes or the server stops before the answer."""
        self._task = work

    def _cancel_task(self) -> None:
        if self._task is not None and not self._task.done():
            self._outlet.shared.cancel(self._task)

    # The response.

    def send_initial_metadata(self) -> None:
        """Send the initial metadata now, ahead of the first response."""
        if not (self._began or self.done):
            self._begin()
            self._outlet.schedule_flush()

    def _begin(self) -> None:
        self._began = True
        head = _GZIP_HEAD if self._gzip_responses else HEAD
        self._outlet.engine.respond(self.stream_id, head + self._initial if self._initial else head)

    def send_message(self, message: bytes) -> None:
        """Send a response of a stream."""
        if self.done:
            return
        try:
            if not self._began:
                self._begin()
            self._outlet.engine.send(self.stream_id, framed_gzip(message) if self._gzip_responses else framed(message))
        except EngineError:
            return  # the stream has closed, and the connection will report it
        self._outlet.schedule_flush()

    def reply(self, message: bytes) -> None:
        """Answer with a message and the status OK. This has no effect if the call is done."""
        if self.done:
            return
        if self._began or self._initial or self._trailing or self._gzip_responses:
            self.send_message(message)
            self._end(_OK)
            return
        engine, stream_id, data = self._outlet.engine, self.stream_id, framed(message)
        try:
            engine.respond(stream_id, HEAD)
            engine.send(stream_id, data)
            engine.finish(stream_id, _OK)
        except EngineError:
            _reset(engine, stream_id)
        self._finish()
        self._outlet.answered(self)

    def fail(self, error: StatusError) -> None:
        """Answer with a failure. This has no effect if the call is done."""
        self._end(error.fields)

    def _end(self, fields: HeaderFields) -> None:
        if self.done:
            return
        if self._trailing:
            fields = fields[:1] + self._trailing + fields[1:]
        engine, stream_id = self._outlet.engine, self.stream_id
        try:
            if self._initial and not self._began:
                self._begin()
            if self._began:
                engine.finish(stream_id, fields)
            else:
                engine.respond(stream_id, HEAD + fields, end_stream=True)
        except EngineError:
            _reset(engine, stream_id)
        self._finish()
        self._outlet.answered(self)

    def _finish(self) -> None:
        self.done = True
        self.waits_since = None
        if self._held:
            self._hold(0)
        if self.deadline != math.inf:
            self._outlet.shared.deadlines.discard(self)


def _reset(engine: Engine, stream_id: int) -> None:
    try:
        engine.reset(stream_id, ErrorCode.INTERNAL_ERROR)
    except EngineError:
        return  # the stream has already closed


def _wrong_number(messages: int) -> StatusError:
    return StatusError(Code.UNIMPLEMENTED, f"the method takes one request message, and the call sent {messages}")


def _cut_off(partial_bytes: int) -> StatusError:
    return StatusError(Code.INTERNAL, f"the request ends within a message, after {partial_bytes} bytes of it")
