"""The limits of the transport: each protects the process from a peer that means harm or has a defect."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportLimits:
    """The limits for peers. A peer beyond a limit gets the protocol's own error, which costs less than a call."""

    connections_max: int = 20_000
    """Connections at a time. Each takes some 20 KiB and a file descriptor. One more is closed at once."""
    connections_per_address_max: int = 10_000
    """Connections at a time from one IP address, so that no machine takes all of them. Proxies share an address."""
    handshake_seconds: float = 10.0
    """From the connection to TLS and the client's preface and SETTINGS. A silent peer is closed after it."""
    streams_per_connection_max: int = 1_000
    """Calls under way on one connection (SETTINGS_MAX_CONCURRENT_STREAMS). One more is reset with REFUSED_STREAM; a
    peer that has acknowledged the limit is disconnected with PROTOCOL_ERROR."""
    streams_max: int = 10_000
    """Calls under way on all connections of the server. Each connection's limit is its share, so that clients wait on
    their own side with calls that the server could only refuse."""
    header_list_bytes_max: int = 16 << 10
    """Bytes of a call's header fields, each with 32 more (RFC 9113, section 10.5.1). A longer list fails its call with
    RESOURCE_EXHAUSTED; four times as much ends the connection."""
    message_bytes_max: int = 4 << 20
    """Bytes of a request message, after decompression. gRPC's own default. A larger one is RESOURCE_EXHAUSTED."""
    stream_window_bytes: int = 256 << 10
    """Bytes that a peer may send on one stream before they are taken (SETTINGS_INITIAL_WINDOW_SIZE)."""
    waiting_request_bytes_per_connection_max: int = 16 << 20
    """Bytes of requests that one connection may have in memory. More are asked for when some have been handled."""
    waiting_request_bytes_max: int = 256 << 20
    """The same for all connections. While more are held, new calls are refused with RESOURCE_EXHAUSTED."""
    unread_response_bytes_per_connection_max: int = 32 << 20
    """Bytes of responses that one peer has not read. While more wait, its new calls are refused."""
    unread_response_bytes_max: int = 256 << 20
    """The same for all connections. The connection with the most is ended when there are more."""
    stalled_seconds: float = 60.0
    """The time that responses may wait on a connection whose peer reads nothing, until it is ended."""
    write_buffer_bytes: int = 64 << 10
    """Bytes that a streaming response puts in line before it waits for the peer to read."""
    resets_per_second: int = 1_000
    """Streams that a peer resets. A client whose calls all reach their deadline together resets all that it has."""
    pings_per_second: int = 20
    """PINGs since the last response. Between responses clients measure the path with PINGs, and these are free."""
    control_frames_per_second: int = 2_000
    """SETTINGS, empty DATA, and reads that bring no event: each costs work and none brings a call."""
    bad_compressions_per_second: int = 10
    """Compressed messages that are too large when they are decompressed, or broken. Each may cost the milliseconds that
    it takes to decompress message_bytes_max."""
    idle_seconds: float = 3_600.0
    """Without a call under way. Clients connect again when they need to."""
    keepalive_seconds: float = 60.0
    """Without a byte from the peer. Then it is sent a PING, so that a peer that is gone is noticed."""
    keepalive_timeout_seconds: float = 20.0
    """For anything to arrive after that PING, until the connection is ended."""
    half_sent_call_seconds: float = 60.0
    """For the rest of a message that has begun, so that nobody keeps memory by sending a byte at a time."""
    connection_age_seconds: float = 86_400.0
    """After it the connection drains, so that load spreads over servers that were added (gRFC A9)."""
    connection_age_grace_seconds: float = 600.0
    """For calls under way when the age is reached; streams without an end are ended after it."""
    retry_after_ms: int = 200
    """The pushback that a refused call gets: when a retry makes sense."""
    check_seconds: float = 1.0
    """The interval at which limits in time are checked, and the delay with which they may take effect."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not getattr(self, name) > 0:
                message = f"{name} is {getattr(self, name)!r}; it must be greater than 0"
                raise ValueError(message)
