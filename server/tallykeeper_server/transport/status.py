"""Statuses of gRPC: codes, and failures as the header fields that carry them."""

from collections.abc import Iterable
from enum import IntEnum
from typing import Final, TypeAlias

from tallykeeper_server.transport.metadata import Metadata, encoded, percent_encoded

_PUSHBACK: Final = "grpc-retry-pushback-ms"
_NEVER: Final = "-1"

HeaderFields: TypeAlias = tuple[tuple[bytes, bytes], ...]


class Code(IntEnum):
    """The codes of https://github.com/grpc/grpc/blob/master/doc/statuscodes.md."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class StatusError(Exception):
    """The failure of a call: a code, a message and trailers. Handlers raise it. One object may be raised many times."""

    def __init__(self, code: int, message: str = "", trailers: Iterable[tuple[str, str | bytes]] = ()) -> None:
        """Take a code, a message in any text, and metadata; ``-bin`` names carry bytes.

        :raises ValueError: metadata has a name or value that gRPC does not allow.
        """
        super().__init__(message)
        self.code = Code(code)
        self.message = message
        self.trailers: Metadata = tuple(trailers)
        self.fields: HeaderFields = (
            (b"grpc-status", b"%d" % code),
            *(((b"grpc-message", percent_encoded(message)),) if message else ()),
            *encoded(self.trailers),
        )
        """The trailer fields, encoded once."""


class NoRoomError(StatusError):
    """The transport has no room for a call now. Its pushback says when a retry makes sense (gRFC A6)."""

    def __init__(self, message: str, *, retry_after_ms: int) -> None:
        super().__init__(Code.RESOURCE_EXHAUSTED, message, ((_PUSHBACK, str(retry_after_ms)),))
        self.retry_after_ms = retry_after_ms


class MessageTooLargeError(StatusError):
    """A request message has more bytes than the limit. Its pushback says that no retry makes sense (gRFC A6)."""

    def __init__(self, message: str, *, size: int, limit: int) -> None:
        """``size``: the bytes of the message when it is decompressed; ``limit``: the bytes that are allowed."""
        super().__init__(Code.RESOURCE_EXHAUSTED, message, ((_PUSHBACK, _NEVER),))
        self.size = size
        self.limit = limit
