"""HTTP/2 as bytes (RFC 9113): frames that may be wrong in any way."""

from collections.abc import Mapping
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RESET, SETTINGS, PUSH, PING, GO_AWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS = 1, 1, 4
_TEXT_BYTES_MAX: Final = 126
"""The greatest length in one byte. A greater length would need more bytes."""


def frame(kind: int, payload: bytes = b"", *, flags: int = 0, stream: int = 0, length: int | None = None) -> bytes:
    """Return a frame. ``length`` replaces the true length in its header."""
    said = len(payload) if length is None else length
    return said.to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def packed(fields: Mapping[str, str]) -> bytes:
    """Return header fields in HPACK's form, each as a literal."""
    block = bytearray()
    for name, value in fields.items():
        block += b"\x00"
        for text in (name.encode(), value.encode()):
            assert len(text) <= _TEXT_BYTES_MAX
            block += bytes((len(text),)) + text
    return bytes(block)


def opening(path: str, **others: str) -> bytes:
    """Return the header fields of a gRPC call, with changes and additional fields."""
    fields = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "a", "te": "trailers"}
    fields |= {"content-type": "application/grpc"} | {name.replace("_", "-"): value for name, value in others.items()}
    return packed(fields)


def call(path: str, message: bytes, *, stream: int = 1, prefix: bytes | None = None, **others: str) -> bytes:
    """Return the frames of a call. ``prefix`` replaces gRPC's own five bytes before the message."""
    head = b"\0" + len(message).to_bytes(4, "big") if prefix is None else prefix
    return frame(HEADERS, opening(path, **others), flags=END_HEADERS, stream=stream) + frame(
        DATA, head + message, flags=END_STREAM, stream=stream
    )
