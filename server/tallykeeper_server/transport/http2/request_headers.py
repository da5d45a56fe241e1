"""The header fields that begin a call: their check, and their meaning for the call.

https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md says what a request must have.
"""

import math
from collections.abc import Mapping
from itertools import chain
from typing import Final, TypeAlias

from tallykeeper_server.transport.http2.deadlines import timeout_seconds
from tallykeeper_server.transport.http2.exchange import HEAD
from tallykeeper_server.transport.status import Code, HeaderFields, StatusError

_CONTENT_TYPES: Final = frozenset({b"application/grpc", b"application/grpc+proto"})
_ENCODINGS: Final = frozenset({b"identity", b"gzip"})
_FIELD_BYTES: Final = 32
"""The size that each field counts in addition to its name and value (RFC 9113, section 6.5.2)."""
_TEXT: Final = (b"content-type", b"text/plain")
_WRONG_METHOD: Final = (
    ((b":status", b"405"), (b"allow", b"POST"), _TEXT),
    b"This server speaks gRPC: the method of a request is POST.\n",
)
_WRONG_CONTENT_TYPE: Final = (
    ((b":status", b"415"), (b"accept", b"application/grpc"), _TEXT),
    b"This server speaks gRPC: the content-type of a request is application/grpc or application/grpc+proto.\n",
)
_NO_TRAILERS: Final = (
    (
        (b":status", b"400"),
        *HEAD[1:],
        *StatusError(Code.INTERNAL, "the field 'te: trailers' is missing: a proxy may have removed it").fields,
    ),
    b"",
)


Opening: TypeAlias = tuple[float, bool, bool]
"""The seconds until the deadline of a call, and two flags: requests and responses may be compressed by gzip."""


def http_refusal(fields: Mapping[bytes, bytes]) -> tuple[HeaderFields, bytes] | None:
    """Return the response, fields and body, to a request that is not gRPC; None for a gRPC request."""
    if fields.get(b":method") != b"POST":
        return _WRONG_METHOD
    content_type = fields.get(b"content-type", b"")
    if content_type not in _CONTENT_TYPES and content_type.partition(b";")[0].strip() not in _CONTENT_TYPES:
        return _WRONG_CONTENT_TYPE
    if fields.get(b"te") != b"trailers":
        return _NO_TRAILERS
    return None


def opening_of(fields: Mapping[bytes, bytes]) -> Opening:
    """Return the opening of a call.

    :raises StatusError: a field has a bad value, or a value that this server does not know.
    """
    encoding = fields.get(b"grpc-encoding")
    if encoding is not None and encoding not in _ENCODINGS:
        message = f"grpc-encoding {encoding.decode('latin-1')!r} is not known: use gzip or identity"
        raise StatusError(Code.UNIMPLEMENTED, message)
    timeout = fields.get(b"grpc-timeout")
    try:
        seconds = math.inf if timeout is None else timeout_seconds(timeout)
    except ValueError as error:
        raise StatusError(Code.INTERNAL, str(error)) from error
    # As in grpc-go, a caller that compresses its requests gets compressed responses, and other callers get plain ones.
    compressed = encoding == b"gzip"
    return seconds, compressed, compressed and b"gzip" in fields.get(b"grpc-accept-encoding", b"")


def header_list_bytes(fields: HeaderFields) -> int:
    """Return the size of a header list by the rule of SETTINGS_MAX_HEADER_LIST_SIZE."""
    return sum(map(len, chain.from_iterable(fields))) + _FIELD_BYTES * len(fields)
