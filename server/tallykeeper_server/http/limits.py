"""The limits of the HTTP server."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Limits of the HTTP server of one worker. Each is a setting, whose help says what it is for."""

    connections_max: int = 2_000
    connections_per_address_max: int = 1_000
    handshake_seconds: float = 10.0
    header_bytes_max: int = 16 << 10
    header_seconds: float = 10.0
    body_seconds: float = 60.0
    idle_seconds: float = 60.0
    stalled_seconds: float = 60.0
    message_bytes_max: int = 4 << 20
    waiting_request_bytes_max: int = 256 << 20
    unread_response_bytes_max: int = 256 << 20
