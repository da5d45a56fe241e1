"""The limits in time of a connection, checked about once a second."""

import logging
from typing import Final

from tallykeeper_server.transport.http2.connection import Connection
from tallykeeper_server.transport.http2.session import ErrorCode
from tallykeeper_server.transport.status import Code, StatusError

_LINGER_SECONDS: Final = 5.0
"""The time for the last bytes of a connection that has ended."""
_HALF_SENT: Final = StatusError(Code.RESOURCE_EXHAUSTED, "the rest of a request message did not arrive in time")

log = logging.getLogger(__name__)


def enforce(connection: Connection, now: float) -> None:
    """End calls and the connection if they have taken longer than the limits. ``now`` is the event loop's time."""
    limits = connection.shared.limits
    if connection.ending_since is not None:
        if now - connection.ending_since > _LINGER_SECONDS:
            connection.abort()
        return
    age = now - connection.opened_at
    if not connection.settled:
        if age > limits.handshake_seconds:
            connection.end(ErrorCode.SETTINGS_TIMEOUT, "no_settings_in_time")
        return
    if connection.full_since is not None and now - connection.full_since > limits.stalled_seconds:
        connection.end(ErrorCode.ENHANCE_YOUR_CALM, "nothing_is_read")
        connection.abort()
        return
    if not _is_alive(connection, now):
        log.info("the connection of %s was ended: it does not answer a PING", connection.peer.name)
        connection.abort()
        return
    if age > limits.connection_age_seconds:
        connection.drain()
        if age > limits.connection_age_seconds + limits.connection_age_grace_seconds:
            connection.stop()
            return
    if not connection.exchanges and now - connection.used_at > limits.idle_seconds:
        connection.drain()
    _end_half_sent(connection, now)
    connection.acknowledge_more()
    connection.adapt_streams()
    connection.finish_draining(now)


def _is_alive(connection: Connection, now: float) -> bool:
    """Send a PING to a silent peer. Return False if it has not answered the last one in time."""
    limits = connection.shared.limits
    if connection.asked_at is not None:
        return now - connection.asked_at <= limits.keepalive_timeout_seconds
    if now - connection.heard_at > limits.keepalive_seconds:
        connection.ask_for_life(now)
    return True


def _end_half_sent(connection: Connection, now: float) -> None:
    seconds = connection.shared.limits.half_sent_call_seconds
    for exchange in list(connection.exchanges.values()):
        if exchange.waits_since is not None and now - exchange.waits_since > seconds:
            exchange.abort(_HALF_SENT)
