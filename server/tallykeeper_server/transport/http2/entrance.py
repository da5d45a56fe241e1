"""Admission: makes a call of the header fields of a request, or refuses it."""

import logging
import math
from typing import Final

from tallykeeper_server.transport.http2.budget import Budget
from tallykeeper_server.transport.http2.exchange import DEFECT, Exchange, Outlet
from tallykeeper_server.transport.http2.inflow import Inflow
from tallykeeper_server.transport.http2.request_headers import header_list_bytes, opening_of
from tallykeeper_server.transport.http2.server_state import Admit
from tallykeeper_server.transport.http2.streams_limit import StreamsLimit
from tallykeeper_server.transport.status import Code, HeaderFields, NoRoomError, StatusError

_SMALL_READ_BYTES: Final = 4 << 10
_FEW_FIELDS: Final = 32
"""The size of a list with at most this number of fields from a small read is not computed, which would take 0.8 µs for
each call. HPACK may expand the list beyond the limit, but not beyond the size that ends the connection."""

log = logging.getLogger(__name__)


class Entrance:
    """Makes the calls of one connection."""

    def __init__(self, outlet: Outlet, inflow: Inflow, unread: Budget, streams: StreamsLimit) -> None:
        self._outlet = outlet
        self._inflow = inflow
        self._unread = unread
        self._streams = streams

    def exchange(
        self, stream_id: int, fields: dict[bytes, bytes], headers: HeaderFields, *, read_bytes: int
    ) -> Exchange:
        """Return a call that may begin. ``fields`` has the ``headers`` by their name.

        :raises StatusError: the call is refused.
        """
        shared = self._outlet.shared
        if len(headers) > _FEW_FIELDS or read_bytes > _SMALL_READ_BYTES:
            self._check_header_list(headers)
        path = fields[b":path"]
        method = shared.methods.get(path)
        if method is None:
            message = f"the server has no method {path.decode('latin-1')}"
            raise StatusError(Code.UNIMPLEMENTED, message)
        if shared.admit is not None and (error := self._refusal_of(shared.admit, method.path)) is not None:
            self._streams.narrow()
            raise error
        if self._inflow.exceeded or self._unread.exceeded:
            self._streams.narrow()
            raise self.no_room()
        if shared.is_crowded:
            self._streams.narrow()
        timeout_seconds, gzip_requests, gzip_responses = opening_of(fields)
        exchange = Exchange(
            self._outlet,
            stream_id,
            method,
            headers,
            deadline=shared.loop.time() + timeout_seconds,
            gzip_requests=gzip_requests,
            gzip_responses=gzip_responses,
        )
        if timeout_seconds != math.inf:
            shared.deadlines.add(exchange)
        return exchange

    def _refusal_of(self, admit: Admit, path: str) -> StatusError | None:
        try:
            return admit(path)
        except StatusError:
            raise
        except Exception:
            log.exception("a call of %s could not be admitted", path)
            return DEFECT

    def no_room(self) -> StatusError:
        """Return the refusal of a call for which there is no room, with the delay after which to retry."""
        shared = self._outlet.shared
        if self._unread.exceeded:
            held, all_held, what = self._unread.bytes, shared.responses.bytes, "responses that were not read"
        else:
            held, all_held, what = self._inflow.bytes, shared.requests.bytes, "requests under way"
        message = f"{what} hold {held} bytes for this connection and {all_held} for all; try again later"
        return shared.explain(NoRoomError(message, retry_after_ms=shared.limits.retry_after_ms))

    def _check_header_list(self, headers: HeaderFields) -> None:
        bytes_max = self._outlet.shared.limits.header_list_bytes_max
        size = header_list_bytes(headers)
        if size > bytes_max:
            message = f"the metadata has {size} bytes, with 32 for each field; {bytes_max} are allowed"
            raise StatusError(Code.RESOURCE_EXHAUSTED, message)
