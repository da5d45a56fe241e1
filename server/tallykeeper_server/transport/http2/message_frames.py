"""Messages in HTTP/2 data: five bytes of prefix, then the message, plain or compressed.

https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md defines it as Length-Prefixed-Message.
"""

import gzip
import zlib
from collections import deque
from typing import Final

from tallykeeper_server.transport.status import Code, MessageTooLargeError, StatusError

PREFIX_BYTES: Final = 5
_PLAIN, _COMPRESSED = 0, 1
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
_GZIP_MAGIC: Final = b"\x1f\x8b"
_SIZE_BYTES: Final = 4
_GZIP_LEVEL: Final = 1
"""The fastest level of gzip, because a server that answers in microseconds gains little from smaller responses."""


class Unframer:
    """Extracts messages from the bytes of one request.

    A message above ``message_bytes_max`` fails with RESOURCE_EXHAUSTED as soon as its prefix says so, or while it is
    decompressed, before more memory is taken.
    """

    __slots__ = ("_buffer", "_gzip", "_max")

    def __init__(self, message_bytes_max: int, *, gzip_allowed: bool) -> None:
        """``gzip_allowed``: the caller has named gzip as the encoding of its request."""
        self._buffer = bytearray()
        self._gzip = gzip_allowed
        self._max = message_bytes_max

    @property
    def partial_bytes(self) -> int:
        """The number of bytes of an incomplete message."""
        return len(self._buffer)

    def feed(self, data: bytes) -> deque[bytes]:
        """Return the messages that are complete.

        :raises StatusError: a message is too large, or cannot be decompressed.
        """
        buffer = self._buffer
        buffer += data
        messages: deque[bytes] = deque()
        start = 0
        while len(buffer) - start >= PREFIX_BYTES:
            length = int.from_bytes(buffer[start + 1 : start + PREFIX_BYTES], "big")
            if length > self._max:
                raise too_large(length, self._max)
            end = start + PREFIX_BYTES + length
            if len(buffer) < end:
                break
            messages.append(self._message(buffer[start], bytes(buffer[start + PREFIX_BYTES : end])))
            start = end
        del buffer[:start]
        return messages

    def _message(self, flag: int, body: bytes) -> bytes:
        if flag == _PLAIN:
            return body
        if flag != _COMPRESSED:
            message = f"the prefix of a message has the flag {flag}; gRPC knows 0 and 1"
            raise StatusError(Code.INTERNAL, message)
        if not self._gzip:
            message = "a message is compressed, and grpc-encoding does not say how"
            raise StatusError(Code.INTERNAL, message)
        return unzipped(body, self._max)


def single_message(data: bytes) -> bytes | None:
    """Return the message of a request that arrived in one piece and is not compressed; None for any other."""
    if data[:1] == b"\0" and len(data) == PREFIX_BYTES + int.from_bytes(data[1:PREFIX_BYTES], "big"):
        return data[PREFIX_BYTES:]
    return None


def framed(message: bytes) -> bytes:
    """Return a message with its prefix."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def framed_gzip(message: bytes) -> bytes:
    """Return a message with its prefix, compressed unless that makes it longer."""
    packed = gzip.compress(message, _GZIP_LEVEL, mtime=0)
    if len(packed) >= len(message):
        return framed(message)
    return b"\1" + len(packed).to_bytes(4, "big") + packed


def unzipped(body: bytes, bytes_max: int) -> bytes:
    """Return the bytes that gzip holds.

    :raises StatusError: it holds more than ``bytes_max``, which its end says (RFC 1952, ISIZE), or more than its end
        says, which is found out without decompressing more, or it is not gzip.
    """
    size = int.from_bytes(body[-_SIZE_BYTES:], "little")
    if body.startswith(_GZIP_MAGIC) and size > bytes_max:
        failure = f"a message has {size} bytes when it is decompressed, and {bytes_max} are allowed"
        raise MessageTooLargeError(failure, size=size, limit=bytes_max)
    unzip = zlib.decompressobj(_GZIP_WINDOW)
    try:
        message = unzip.decompress(body, min(size, bytes_max) + 1)
    except zlib.error as error:
        failure = "a message cannot be decompressed: it is not gzip"
        raise StatusError(Code.INTERNAL, failure) from error
    if len(message) > size:
        failure = f"a message cannot be decompressed: it has more than the {size} bytes that its gzip data says"
        raise StatusError(Code.INTERNAL, failure)
    if not unzip.eof:
        failure = "a message cannot be decompressed: its gzip data ends too early"
        raise StatusError(Code.INTERNAL, failure)
    return message


def too_large(length: int, bytes_max: int) -> MessageTooLargeError:
    """Return the refusal of a message whose prefix gives a length above the limit."""
    return MessageTooLargeError(f"a message of {length} bytes is larger than {bytes_max}", size=length, limit=bytes_max)
