"""The channel of both clients: its options, its retries and its credentials.

gRPC itself repeats a call to an unavailable server (gRFC A6) until the call's deadline. It sends the same bytes, and so
the same request id. It honours ``grpc-retry-pushback-ms`` from the server.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import grpc

from tallykeeper_client.target import address_of, is_loopback

TIMEOUT_SECONDS_DEFAULT: Final = 10.0
"""The deadline of a call without one, in seconds. It is long enough for a restart of the service."""

ATTEMPTS_MAX: Final = 5
"""The maximum number of attempts of a call. gRPC allows no more."""

_RETRY_POLICY: Final = {
    "maxAttempts": ATTEMPTS_MAX,
    # The pauses are 0.25 s, 0.75 s, 2.25 s and 4 s, each up to a fifth more or less. So the last attempt is sent 5.8 to
    # 8.7 s after the first one failed. By then a service that restarts is back (5 s), and the deadline (10 s) has not
    # passed.
    "initialBackoff": "0.25s",
    "backoffMultiplier": 3,
    "maxBackoff": "4s",
    # The server never ends a call with CANCELLED. But a proxy that drains resets its calls, and gRPC reports CANCELLED.
    # A call that the caller itself cancels is never sent again.
    "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
}

_METHOD_CONFIG: Final = (
    {"name": [{}], "retryPolicy": _RETRY_POLICY},
    # A watch begins again after its last revision; see `_watch_retry`.
    {"name": [{"service": "tallykeeper.v1.LedgerService", "method": "Watch"}]},
)

RESPONSE_BYTES_MAX: Final = 64 << 20
"""The maximum size of a response. gRPC's default of 4 MiB is less than 1,000 reservations of 100 lines."""

KEEPALIVE_SECONDS: Final = 30
"""The seconds of silence on a connection with a call after which the client pings the server."""

KEEPALIVE_TIMEOUT_SECONDS: Final = 10
"""The seconds that the server has to answer a ping. A watch on a dead machine begins again after both times."""

CHANNEL_OPTIONS: Final = (
    ("grpc.service_config", json.dumps({"methodConfig": _METHOD_CONFIG})),
    ("grpc.max_receive_message_length", RESPONSE_BYTES_MAX),
    ("grpc.keepalive_time_ms", KEEPALIVE_SECONDS * 1000),
    # gRPC documents the first option and obeys the second: 1.85 waits for 60 s without it.
    ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_SECONDS * 1000),
    ("grpc.http2.ping_timeout_ms", KEEPALIVE_TIMEOUT_SECONDS * 1000),
    # An attempt fails at once while the channel waits to connect again. By default this wait grows to two minutes. With
    # two tries a second, the connection is ready for the last attempt.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
)


def channel_options(target: str) -> Sequence[tuple[str, int | str]]:
    """Return the options of a channel to a target. They exclude a proxy for this machine itself.

    Raises ValueError if the target has none of the known forms.
    """
    address = address_of(target)
    if address is not None and is_loopback(address.host):
        return (*CHANNEL_OPTIONS, ("grpc.enable_http_proxy", 0))
    return CHANNEL_OPTIONS


def metadata_of(token: str | None) -> tuple[tuple[str, str], ...]:
    """Return the metadata of every call, with the token.

    Raises ValueError if the token is not printable ASCII, because a header may hold nothing else.
    """
    if token is None:
        return ()
    if not (token and token.isascii() and token.isprintable()):
        message = "a token is printable ASCII, and not empty"
        raise ValueError(message)
    return (("authorization", f"Bearer {token}"),)


def tls_credentials(
    *, ca: Path | str | None = None, certificate: Path | str | None = None, key: Path | str | None = None
) -> grpc.ChannelCredentials:
    """Read the credentials of a channel with TLS from files in PEM form.

    Args:
        ca: The file with the authorities that sign the server's certificate. None means the authorities that gRPC
            knows.
        certificate: The file with the caller's certificate and its chain, for a server that asks for mutual TLS.
        key: The file with the private key of the certificate. Give both or neither.

    Returns:
        The credentials, for ``credentials`` of a client.

    Raises:
        OSError: A file cannot be read.
        ValueError: A certificate without a key, or a key without a certificate.

    Example:
        >>> credentials = tls_credentials(ca="ca.pem", certificate="caller.pem", key="caller.key")
        >>> with Client(tls_target, namespace=namespace, credentials=credentials) as client:
        ...     client.increment("visitors").counter.value
        1

    """
    if (certificate is None) != (key is None):
        message = "a certificate and its key go together: give both or neither"
        raise ValueError(message)
    authorities, secret, chain = (None if path is None else Path(path).read_bytes() for path in (ca, key, certificate))
    return grpc.ssl_channel_credentials(authorities, secret, chain)
