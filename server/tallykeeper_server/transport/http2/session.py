"""The HTTP/2 engine: it turns received bytes into events, and frames into bytes. It knows no sockets and no calls.

Only this module knows ngh2, the binding of libnghttp2. Another engine would replace this module alone.
"""

import contextlib
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

import ngh2
from ngh2 import (
    DataReceived,
    Event,
    NGH2Error,
    PingAcknowledged,
    PingReceived,
    RequestReceived,
    SettingsReceived,
    StreamClosed,
    StreamReset,
    TrailersReceived,
    WindowUpdated,
)

__all__ = [
    "DataReceived",
    "Engine",
    "EngineError",
    "ErrorCode",
    "Event",
    "Fields",
    "PeerError",
    "PingAcknowledged",
    "PingReceived",
    "RequestReceived",
    "SettingsReceived",
    "StreamClosed",
    "StreamReset",
    "TrailersReceived",
    "WindowUpdated",
    "last_words",
]

Fields: TypeAlias = Iterable[tuple[bytes, bytes]]
"""Header fields in lower case, pseudo-header fields first (RFC 9113, section 8.2)."""
ErrorCode = ngh2.ErrorCode
EngineError = NGH2Error
"""The engine cannot carry out a request, usually because the stream has closed."""

_HEADER_LIST_HARD_FACTOR: Final = 4
"""A header list above the advertised size is refused for its stream alone; above this multiple the connection ends."""
_NO_LIMIT: Final = (1 << 40, 1 << 40)
"""A limit of the engine that is never reached. The connection counts resets and glitches and answers with GOAWAY."""
_STREAM_MAX: Final = 2**31 - 1
_GOAWAY_HEAD: Final = b"\x07\x00" + bytes(4)


class PeerError(Exception):
    """The peer has broken HTTP/2 in a way after which the connection cannot be used."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class Engine:
    """The server's side of one HTTP/2 connection (RFC 9113).

    The hot methods are the binding's own, without a Python frame between. They raise EngineError if the stream has
    closed. ``respond`` takes the stream, header fields and ``end_stream``; ``send`` the stream and bytes;
    ``finish`` the stream and trailer fields; ``reset`` the stream and an error code; ``acknowledge`` a number of bytes
    and the stream whose window, with the connection's, they are given back to. ``queued`` returns the bytes of response
    bodies that the engine holds, of a stream or of all.
    """

    __slots__ = ("_connection", "acknowledge", "finish", "outgoing", "queued", "reset", "respond", "send")

    def __init__(
        self,
        *,
        streams_max: int,
        stream_window_bytes: int,
        connection_window_bytes: int,
        header_list_bytes_max: int,
    ) -> None:
        """Queue the server's SETTINGS and windows, which ``outgoing`` then returns."""
        connection = ngh2.Connection(
            ngh2.Role.SERVER,
            ngh2.Configuration(
                auto_window_update=False,
                max_inbound_header_list_size=header_list_bytes_max * _HEADER_LIST_HARD_FACTOR,
                stream_reset_rate_limit=_NO_LIMIT,
                glitch_rate_limit=_NO_LIMIT,
            ),
        )
        connection.initiate_connection(
            {
                ngh2.Setting.MAX_CONCURRENT_STREAMS: streams_max,
                ngh2.Setting.INITIAL_WINDOW_SIZE: stream_window_bytes,
                ngh2.Setting.MAX_HEADER_LIST_SIZE: header_list_bytes_max,
            }
        )
        connection.set_local_window_size(connection_window_bytes)
        self._connection = connection
        self.respond = connection.send_response
        self.send = connection.send_data
        self.finish = connection.send_trailers
        self.reset: Callable[[int, int], None] = connection.reset_stream
        self.acknowledge = connection.acknowledge_received_data
        self.queued = connection.queued_body_size
        self.outgoing: Callable[[int], bytes] = connection.data_to_send

    def receive(self, data: bytes) -> list[Event]:
        """Take bytes from the peer and return their events.

        :raises PeerError: the bytes break the protocol or a limit, and the engine cannot be used again. Nothing is
            raised for errors after which the engine itself sends GOAWAY. ``ended`` is then true.
        """
        connection = self._connection
        try:
            connection.receive_data(data)
        except ngh2.DenialOfServiceError as error:
            raise PeerError(ErrorCode.ENHANCE_YOUR_CALM, str(error)) from error
        except NGH2Error as error:
            raise PeerError(ErrorCode.PROTOCOL_ERROR, str(error)) from error
        return connection.events()

    def events(self) -> list[Event]:
        """Return the events of sending: the streams that have closed."""
        return self._connection.events()

    @property
    def ended(self) -> bool:
        """True if the connection has nothing to read or write: GOAWAY was exchanged and no stream is open."""
        return not (self._connection.want_read or self._connection.want_write)

    def limit_streams(self, streams_max: int) -> None:
        """Change SETTINGS_MAX_CONCURRENT_STREAMS. Open streams stay (RFC 9113, section 5.1.2)."""
        self._connection.update_settings({ngh2.Setting.MAX_CONCURRENT_STREAMS: streams_max})

    # A peer that has sent GOAWAY and has no stream open has ended the connection. The binding then raises
    # ConnectionStateError for each of the following four, until the socket is closed.

    def ping(self, data: bytes) -> None:
        """Send PING with 8 bytes, which PingAcknowledged returns.

        Without effect if the peer has ended the connection.
        """
        with contextlib.suppress(ngh2.ConnectionStateError):
            self._connection.ping(data)

    def announce_shutdown(self) -> None:
        """Send the first GOAWAY of a graceful shutdown, which refuses no stream (RFC 9113, section 6.8).

        Without effect if the peer has ended the connection.
        """
        with contextlib.suppress(ngh2.ConnectionStateError):
            self._connection.send_shutdown_notice()

    def refuse_new_streams(self) -> None:
        """Send GOAWAY with the last received stream. Later streams are ignored, and clients may repeat them.

        Without effect if the peer has ended the connection.
        """
        with contextlib.suppress(ngh2.ConnectionStateError):
            self._connection.send_goaway(ErrorCode.NO_ERROR)

    def terminate(self, code: ErrorCode, message: bytes) -> None:
        """Send GOAWAY with an error and a text for people. Streams get nothing more.

        Without effect if the peer has ended the connection.
        """
        with contextlib.suppress(ngh2.ConnectionStateError):
            self._connection.send_goaway(code, debug_data=message)


def last_words(code: ErrorCode, message: bytes, *, began: bool) -> bytes:
    """Return a GOAWAY frame for a peer without an engine (RFC 9113, section 6.8).

    ``began``: a stream may have begun, so that the peer must not assume that a repetition is harmless.
    """
    last_stream = _STREAM_MAX if began else 0
    payload = last_stream.to_bytes(4, "big") + int(code).to_bytes(4, "big") + message
    return len(payload).to_bytes(3, "big") + _GOAWAY_HEAD + payload
