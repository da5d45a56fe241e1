"""The limits of the transport. Each protects the process from a hostile or a broken peer."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportLimits:
    """The limits for peers. A peer that exceeds one gets an error of the protocol, which costs less than a call."""

    connections_max: int = 20_000
    """The maximum number of connections. Each takes about 20 KiB and a file descriptor. Further ones are closed."""
    connections_per_address_max: int = 10_000
    """The maximum number of connections from one IP address. Clients behind a proxy share an address."""
    handshake_seconds: float = 10.0
    """The maximum time from the connection to the client's preface and SETTINGS, with TLS. A silent peer is closed."""
    streams_per_connection_max: int = 1_000
    """The maximum number of calls in flight on one connection (SETTINGS_MAX_CONCURRENT_STREAMS). A further call is
    reset with REFUSED_STREAM. A peer that has acknowledged the limit and exceeds it is disconnected."""
    streams_max: int = 10_000
    """The maximum number of calls in flight on all connections. The limit of each connection is its share, so that
    clients hold calls back that the server would refuse. Many connections may have more calls, because each may have
    16. While eight times the maximum is exceeded, the limits of connections that begin calls are halved."""
    narrow_seconds: float = 0.1
    """The minimum time between two reductions of a connection's limit of calls in flight. Before a client knows of the
    first one, it sends some calls."""
    widen_seconds: float = 1.0
    """The time after which a reduced limit doubles, if nothing has reduced it again."""
    header_list_bytes_max: int = 16 << 10
    """The maximum size of a call's header fields, with 32 bytes more for each (RFC 9113, section 10.5.1). A larger list
    fails with RESOURCE_EXHAUSTED. A list of four times this size ends the connection."""
    message_bytes_max: int = 4 << 20
    """The maximum size of a request message after decompression; gRPC's default. A larger one is RESOURCE_EXHAUSTED."""
    stream_window_bytes: int = 256 << 10
    """The bytes that a peer may send on one stream ahead of the handler (SETTINGS_INITIAL_WINDOW_SIZE)."""
    waiting_request_bytes_per_connection_max: int = 16 << 20
    """The maximum bytes of one connection's requests in memory. The peer may send more when some have been handled."""
    waiting_request_bytes_max: int = 256 << 20
    """The maximum bytes of all requests in memory. Beyond it, new calls are refused with RESOURCE_EXHAUSTED."""
    unread_response_bytes_per_connection_max: int = 32 << 20
    """The maximum bytes of responses that one peer has not read. Beyond it, its new calls are refused."""
    unread_response_bytes_max: int = 256 << 20
    """The maximum bytes of responses that all peers have not read. Beyond it, the connection with most is ended."""
    stalled_seconds: float = 60.0
    """The time after which a connection is ended whose peer does not read its responses."""
    write_buffer_bytes: int = 64 << 10
    """The bytes that a stream of responses buffers before it waits for the peer."""
    resets_per_second: int = 1_000
    """The maximum number of streams that a peer resets in a second. A client whose calls reach their deadline together
    resets all of them."""
    pings_per_second: int = 20
    """The maximum number of PINGs in a second since the last response. PINGs between responses, by which clients
    measure the path, do not count."""
    control_frames_per_second: int = 2_000
    """The maximum number of SETTINGS, empty DATA and reads without an event in a second. They cost work."""
    bad_compressions_per_second: int = 10
    """The maximum number of broken or too large compressed messages in a second. Each may cost the milliseconds that
    the decompression of message_bytes_max takes."""
    idle_seconds: float = 3_600.0
    """The time without a call after which a connection is closed. Clients connect again."""
    keepalive_seconds: float = 60.0
    """The time of silence after which a peer is sent a PING, so that a lost peer is noticed."""
    keepalive_timeout_seconds: float = 20.0
    """The time for an answer to that PING. Afterwards the connection is ended."""
    half_sent_call_seconds: float = 60.0
    """The time for the rest of a message that has begun, so that slow senders cannot hold memory."""
    connection_age_seconds: float = 86_400.0
    """The age at which a connection drains, so that load spreads over new servers (gRFC A9)."""
    connection_age_grace_seconds: float = 600.0
    """The time for calls in flight when the age is reached. Streams without an end are ended then."""
    retry_after_ms: int = 200
    """The delay, in a refusal, after which the client may retry."""
    check_seconds: float = 1.0
    """The interval between checks of the limits in time, and so their greatest delay."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not getattr(self, name) > 0:
                message = f"{name} is {getattr(self, name)!r}; it must be greater than 0"
                raise ValueError(message)
