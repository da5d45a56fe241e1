"""The channel of both clients: its options, its retries and its credentials.

``service_config.json`` beside this module sets the retries of gRPC (gRFC A6). Clients in other languages use it too. A
retry sends the same bytes, and so the same request id, until the call's deadline:

* A call waits for a connection until its deadline. So it bridges the restart of a server, for as long as the port is
  closed.
* A call is sent at most five times if its connection breaks, or if the store is away or the server overloaded. The
  pauses are 0.2 s, 0.5 s, 1.25 s and 3.1 s, each up to a fifth more or less. So the last attempt is sent 4.1 to 6.1 s
  after the first one failed. The server's ``grpc-retry-pushback-ms`` replaces these pauses.
* The server never ends a call with CANCELLED. But a proxy that drains resets its calls, and gRPC reports CANCELLED. A
  call that the caller itself cancels is never sent again.
* The client itself begins a watch again after its last revision; see `_watch_retry`.
"""

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Final

import grpc

from tallykeeper_client.target import address_of, is_loopback

TIMEOUT_SECONDS_DEFAULT: Final = 10.0
"""The deadline of a call without one, in seconds. It is long enough for a restart of the service."""

SERVICE_CONFIG: Final = (resources.files("tallykeeper_client") / "service_config.json").read_text(encoding="utf-8")
"""The rules for gRPC's retries: the text of ``service_config.json``, for a channel's ``grpc.service_config``."""

RESPONSE_BYTES_MAX: Final = 64 << 20
"""The maximum size of a response. gRPC's default of 4 MiB is less than 1,000 reservations of 100 lines."""

KEEPALIVE_SECONDS: Final = 30
"""The seconds of silence on a connection with a call after which the client pings the server."""

KEEPALIVE_TIMEOUT_SECONDS: Final = 10
"""The seconds that the server has to answer a ping. A watch on a dead machine begins again after both times."""

CHANNEL_OPTIONS: Final = (
    ("grpc.service_config", SERVICE_CONFIG),
    ("grpc.max_receive_message_length", RESPONSE_BYTES_MAX),
    ("grpc.keepalive_time_ms", KEEPALIVE_SECONDS * 1000),
    # gRPC documents the first option and obeys the second: 1.85 waits for 60 s without it.
    ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_SECONDS * 1000),
    ("grpc.http2.ping_timeout_ms", KEEPALIVE_TIMEOUT_SECONDS * 1000),
    # By default the channel waits for up to two minutes before it tries to connect again. With two tries a second, the
    # connection is ready soon after the server.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
)


def channel_options(target: str, *, retries: bool = True) -> Sequence[tuple[str, int | str]]:
    """Return the options of a channel to a target. They exclude a proxy for this machine itself.

    Without ``retries``, gRPC sends each call once.

    Raises ValueError if the target has none of the known forms.
    """
    address = address_of(target)
    options: list[tuple[str, int | str]] = [*CHANNEL_OPTIONS]
    if not retries:  # gRPC takes the first of two values of an option, so the other one goes
        options = [option for option in options if option[0] != "grpc.service_config"]
        options += [("grpc.service_config", "{}"), ("grpc.enable_retries", 0)]
    if address is not None and is_loopback(address.host):
        options.append(("grpc.enable_http_proxy", 0))
    return options


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
