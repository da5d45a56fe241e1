"""One connection: it turns bytes into events and events into calls, and writes once in a turn of the event loop."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, cast

from tallykeeper_server.transport.http2.budget import Budget
from tallykeeper_server.transport.http2.entrance import Entrance
from tallykeeper_server.transport.http2.exchange import HEAD, Exchange
from tallykeeper_server.transport.http2.inflow import Inflow
from tallykeeper_server.transport.http2.offences import Offence, Offences
from tallykeeper_server.transport.http2.outflow import Outflow
from tallykeeper_server.transport.http2.request_headers import http_refusal
from tallykeeper_server.transport.http2.server_state import Shared
from tallykeeper_server.transport.http2.session import (
    DataReceived,
    Engine,
    EngineError,
    ErrorCode,
    Event,
    PeerError,
    PingAcknowledged,
    PingReceived,
    RequestReceived,
    SettingsReceived,
    StreamClosed,
    StreamReset,
    TrailersReceived,
    last_words,
)
from tallykeeper_server.transport.http2.streams_limit import StreamsLimit
from tallykeeper_server.transport.peers import Peer
from tallykeeper_server.transport.status import Code, HeaderFields, StatusError

_WRITE_BYTES: Final = 256 << 10
"""The number of bytes taken from the engine in one step, so that a full socket stops the rest."""
_DRAIN_PING: Final = b"draining"
_ALIVE_PING: Final = b"keepaliv"
_DRAIN_SECONDS: Final = 2.0
"""The time for which new streams are accepted after the first GOAWAY if its PING is not answered."""
_STOPPING: Final = StatusError(Code.UNAVAILABLE, "the server stops")

_MANY_EVENTS: Final = 200
"""If a read brings this number of events or more, calls that the same read resets do not begin."""
_NONE: Final[frozenset[int]] = frozenset()

log = logging.getLogger(__name__)


class Connection(asyncio.Protocol):
    """The server's side of a connection. It implements Outlet for its calls.

    Flow control of requests: bytes are acknowledged, so that the peer may send more, when they are taken. While the
    connection holds more bytes than it may, nothing is acknowledged, and the peer stops at its windows. Frames such as
    RST_STREAM and WINDOW_UPDATE are still read, so that responses proceed.

    Flow control of responses: the engine keeps what the peer's window has no room for, and nothing is taken from the
    engine while the socket's buffer is full.
    """

    def __init__(self, shared: Shared, peer: Peer) -> None:
        limits = shared.limits
        self.shared = shared
        self.peer = peer
        self._streams = StreamsLimit(shared)
        self.engine = Engine(
            streams_max=self._streams.value,
            stream_window_bytes=limits.stream_window_bytes,
            connection_window_bytes=limits.waiting_request_bytes_per_connection_max,
            header_list_bytes_max=limits.header_list_bytes_max,
        )
        self.exchanges: dict[int, Exchange] = {}
        self.opened_at = self.used_at = self.heard_at = shared.loop.time()
        self.asked_at: float | None = None
        """The time at which a PING was sent that is not answered yet; ``heard_at`` is the time of the last bytes."""
        self.settled = False
        """True if the peer's SETTINGS have arrived."""
        self.draining_since: float | None = None
        self.ending_since: float | None = None
        """The time from which on the socket only waits until the peer has read the last bytes."""
        self.unread = Budget(limits.unread_response_bytes_per_connection_max, shared.responses)
        held = Budget(limits.waiting_request_bytes_per_connection_max, shared.requests)
        self._inflow = Inflow(self.engine, held)
        self._outflow = Outflow(self.engine, shared.loop, limits.write_buffer_bytes)
        self._entrance = Entrance(self, self._inflow, self.unread, self._streams)
        self._offences = Offences(limits)
        self._transport: asyncio.Transport | None = None
        self.full_since: float | None = None
        """The time from which on the socket's buffer is full, because the peer does not read."""
        self._refuses = False
        self._flushing = False
        self._read_bytes = 0
        self._reset_already = _NONE
        self._handlers: dict[type[Event], Callable[[Any], None]] = {
            RequestReceived: self._on_request,
            DataReceived: self._on_data,
            StreamClosed: self._on_closed,
            TrailersReceived: self._on_trailers,
            StreamReset: self._on_reset,
            PingReceived: self._on_ping,
            PingAcknowledged: self._on_ping_acknowledged,
            SettingsReceived: self._on_settings,
        }

    # The socket.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with the server's SETTINGS."""
        self.shared.join(self)
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_WRITE_BYTES)
        if self.shared.draining:
            self.drain()
        self.flush()

    def data_received(self, data: bytes) -> None:
        """Handle bytes from the peer."""
        if self.ending_since is not None:
            return
        self._read_bytes = len(data)
        self.heard_at = self.shared.loop.time()
        self.asked_at = None
        try:
            events = self.engine.receive(data)
        except PeerError as error:
            self._give_up(error)
            return
        if not events:
            self._count(self._offences.control)
        handlers = self._handlers
        self._reset_already = _resets_of(events) if len(events) > _MANY_EVENTS else _NONE
        for event in events:
            handler = handlers.get(type(event))
            if handler is not None:
                handler(event)
        if self._streams.is_narrow:
            self._streams.widen()
            self.adapt_streams()
        if not self._flushing:
            self._flushing = True
            self.shared.loop.call_soon(self.flush)

    def pause_writing(self) -> None:
        """Stop writing, because the socket's buffer is full, and stop reading from this peer too."""
        self.full_since = self.shared.loop.time()
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Resume writing and reading."""
        self.full_since = None
        if self._transport is not None and self.ending_since is None:
            self._transport.resume_reading()
        self.flush()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002  # the peer has left, for whatever reason
        """End all calls, because nobody waits for them."""
        self._transport = None
        self.shared.part(self)
        self.shared.leave(self.peer.address)
        if self.ending_since is None:
            self.ending_since = self.shared.loop.time()
        self._close_all()
        self.unread.add(-self.unread.bytes)

    # Events.

    def _on_request(self, event: RequestReceived) -> None:
        headers, stream_id = event.headers, event.stream_id
        if stream_id in self._reset_already:
            return
        fields = dict(headers)
        refusal = http_refusal(fields)
        if refusal is not None:
            self._refuse(event, *refusal)
            return
        try:
            exchange = self._entrance.exchange(stream_id, fields, headers, read_bytes=self._read_bytes)
        except StatusError as error:
            self._refuse(event, HEAD + error.fields)
            return
        self.exchanges[stream_id] = exchange
        self._count_call(exchange, 1)
        if exchange.method.streams_responses:
            self.adapt_streams()
        exchange.open()
        if event.end_stream:
            exchange.receive(b"", ends=True)

    def _on_data(self, event: DataReceived) -> None:
        stream_id, data = event.stream_id, event.data
        if not (data or event.end_stream):
            self._count(self._offences.control)
        exchange = self.exchanges.get(stream_id)
        if exchange is None:
            self._inflow.acknowledge(stream_id, len(data))
        else:
            exchange.receive(data, ends=event.end_stream)

    def _on_trailers(self, event: TrailersReceived) -> None:
        exchange = self.exchanges.get(event.stream_id)
        if exchange is not None:
            exchange.receive(b"", ends=True)

    def _on_closed(self, event: StreamClosed) -> None:
        exchange = self.exchanges.pop(event.stream_id, None)
        if exchange is not None:
            self._count_call(exchange, -1)
            exchange.closed()
            if not self.exchanges:
                self.used_at = self.shared.loop.time()

    def _count_call(self, exchange: Exchange, change: int) -> None:
        """Count a call that begins (1) or has ended (-1)."""
        if exchange.method.streams_responses:
            self._streams.count_long_calls(change)
        else:
            self.shared.calls += change

    def _on_reset(self, _: StreamReset) -> None:
        self._count(self._offences.resets)

    def _on_ping(self, _: PingReceived) -> None:
        self._count(self._offences.pings)

    def _on_ping_acknowledged(self, event: PingAcknowledged) -> None:
        if self.draining_since is not None and event.opaque_data == _DRAIN_PING:
            self._refuse_new_streams()

    def _on_settings(self, _: SettingsReceived) -> None:
        if self.settled:
            self._count(self._offences.control)
        self.settled = True

    def _count(self, offence: Offence) -> None:
        if self.ending_since is None and offence.rate.exceeded(self.shared.loop.time()):
            self.end(ErrorCode.ENHANCE_YOUR_CALM, offence.message)

    # The methods of Outlet, which calls use.

    def answered(self, exchange: Exchange) -> None:
        """Remove a call that has been answered, and write."""
        self._offences.pings.rate.forgive()
        if not exchange.received_all:
            self._outflow.cut_short(exchange.stream_id)
        self.schedule_flush()

    def schedule_flush(self) -> None:
        """Write the frames of this turn of the event loop at its end."""
        if not self._flushing:
            self._flushing = True
            self.shared.loop.call_soon(self.flush)

    def count_bad_compression(self) -> None:
        """Count a compressed message that was too large or broken, and end the connection if there were too many."""
        self._count(self._offences.compressions)

    def hold(self, change: int) -> None:
        """Add bytes of requests in memory. A negative number gives bytes back."""
        if self._inflow.hold(change):
            self.schedule_flush()

    def taken(self, exchange: Exchange, unacknowledged: int) -> None:
        """Let the peer send as many bytes as a call has taken, now or when there is room."""
        if self._inflow.take(exchange.stream_id, unacknowledged):
            return
        if not any(other.releases for other in self.exchanges.values()):
            # Memory holds only parts of messages, and none of them could be completed. This call ends to make room.
            exchange.abort(self._entrance.no_room())

    def acknowledge_more(self) -> None:
        """Let the peer send more bytes if other connections have made room."""
        if self._inflow.acknowledge_more():
            self.schedule_flush()

    def room(self, exchange: Exchange) -> Awaitable[None] | None:
        """Return an awaitable that ends when a call may write more; None if it may now."""
        return self._outflow.room(exchange)

    def _refuse(self, event: RequestReceived, fields: HeaderFields, body: bytes = b"") -> None:
        """Answer a request that does not become a call."""
        try:
            self.engine.respond(event.stream_id, fields, end_stream=not body)
            if body:
                self.engine.send(event.stream_id, body, end_stream=True)
        except EngineError:
            return  # the peer has reset it within the same read
        if not event.end_stream:
            self._outflow.cut_short(event.stream_id)

    def adapt_streams(self) -> None:
        """Send the peer its limit of calls in flight if it has changed."""
        if self.ending_since is None and self._streams.changed():
            self.engine.limit_streams(self._streams.value)
            self.schedule_flush()

    # Writing.

    def flush(self) -> None:
        """Write the frames of calls, within the peer's windows and the room in the socket."""
        self._flushing = False
        transport = self._transport
        if transport is None or self.full_since is not None or self.ending_since is not None:
            return
        self._write(transport)
        if not self._is_full() and self._outflow.reset_answered():
            self._write(transport)
        for event in self.engine.events():
            if type(event) is StreamClosed:
                self._on_closed(event)
        self._outflow.wake()
        self._count_unread(transport)
        if self.engine.ended:
            self._close(transport)

    def _is_full(self) -> bool:
        return self.full_since is not None

    def _write(self, transport: asyncio.Transport) -> None:
        while not self._is_full() and (data := self.engine.outgoing(_WRITE_BYTES)):
            transport.write(data)

    def _count_unread(self, transport: asyncio.Transport) -> None:
        unread = self.engine.queued() + transport.get_write_buffer_size()
        if unread != self.unread.bytes:
            self.unread.add(unread - self.unread.bytes)
            if self.shared.responses.exceeded:
                self.shared.shed()

    # The end.

    def drain(self) -> None:
        """Finish the calls that have begun. Two GOAWAYs, a round trip apart, keep the peer from new ones."""
        if self.draining_since is None and self.ending_since is None:
            self.draining_since = self.shared.loop.time()
            self.engine.announce_shutdown()
            self.flush()  # the engine would send PING first
            self.engine.ping(_DRAIN_PING)
            self.schedule_flush()

    def ask_for_life(self, now: float) -> None:
        """Send a PING, so that a lost peer is noticed."""
        self.asked_at = now
        self.engine.ping(_ALIVE_PING)
        self.schedule_flush()

    def finish_draining(self, now: float) -> None:
        """Refuse new streams of a peer that has not answered the PING after GOAWAY in time."""
        if self.draining_since is not None and now - self.draining_since > _DRAIN_SECONDS:
            self._refuse_new_streams()

    def _refuse_new_streams(self) -> None:
        if not self._refuses:
            self._refuses = True
            self.engine.refuse_new_streams()
            self.schedule_flush()

    def stop(self) -> None:
        """End the calls in flight with UNAVAILABLE, and then the connection."""
        for exchange in list(self.exchanges.values()):
            exchange.abort(_STOPPING)
        self.flush()
        self.end(ErrorCode.NO_ERROR, "the server stops")

    def end(self, code: ErrorCode, message: str) -> None:
        """Send GOAWAY with an error, cancel the calls in flight, and close the connection."""
        transport = self._transport
        if transport is None or self.ending_since is not None:
            return
        if code is not ErrorCode.NO_ERROR:
            log.warning("the connection of %s was ended: %s", self.peer.name, message)
        self.engine.terminate(code, message.encode())
        data = self.engine.outgoing(_WRITE_BYTES)
        if data:
            transport.write(data)
        self._close(transport)

    def _give_up(self, error: PeerError) -> None:
        if self._transport is not None:
            log.info("the connection of %s was ended: %s", self.peer.name, error)
            self._transport.write(last_words(error.code, str(error).encode(), began=True))
            self._close(self._transport)

    def abort(self) -> None:
        """Close the socket at once, without waiting for the peer to read."""
        if self._transport is not None:
            self._transport.abort()

    def _close(self, transport: asyncio.Transport) -> None:
        self.ending_since = self.shared.loop.time()
        transport.close()
        self._close_all()

    def _close_all(self) -> None:
        exchanges, self.exchanges = self.exchanges, {}
        for exchange in exchanges.values():
            self._count_call(exchange, -1)
            exchange.closed()
        self._outflow.close()


def _resets_of(events: Sequence[Event]) -> frozenset[int]:
    return frozenset([event.stream_id for event in events if type(event) is StreamReset])
