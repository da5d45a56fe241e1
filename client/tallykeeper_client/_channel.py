"""How both clients reach the server: the options of their one channel, its retries among them.

``service_config.json`` beside this module, which clients in other languages use too, says what gRPC itself sends again
(gRFC A6), with the same bytes and so the same request id, until the call's deadline:

* A call waits for a connection for as long as its deadline allows. So it bridges a server that restarts, however long
  its port is closed.
* A call that met a connection that broke, a store that is away or a server with too much to do is sent five times at
  most, after 0.2 s, 0.5 s, 1.25 s and 3.1 s, each up to a fifth more or less. The last attempt is sent 4.1 to 6.1 s
  after the first one failed. The server's ``grpc-retry-pushback-ms`` takes the place of these pauses.
* The server never ends a call with CANCELLED, but a proxy that drains resets its calls, which gRPC shows as CANCELLED.
  A call that the caller itself cancels is never sent again.
* A watch begins anew by itself, from where it was; see `following`.
"""

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Final

import grpc

from tallykeeper_client.target import address_of, is_loopback

TIMEOUT_SECONDS_DEFAULT: Final = 10.0
"""The deadline of a call that names none: long enough to ride out a restart of the service."""

SERVICE_CONFIG: Final = (resources.files("tallykeeper_client") / "service_config.json").read_text(encoding="utf-8")
"""How gRPC retries calls: the text of ``service_config.json``, for a channel's option ``grpc.service_config``."""

RESPONSE_BYTES_MAX: Final = 64 << 20
"""How large a response may be; gRPC's own 4 MiB are less than 1,000 reservations of 100 lines."""

KEEPALIVE_SECONDS: Final = 30
"""How long a connection with a call on it may be silent before the client asks whether the server is there."""

KEEPALIVE_TIMEOUT_SECONDS: Final = 10
"""How long the server has to answer that; a watch on a dead machine begins anew after both together."""

CHANNEL_OPTIONS: Final = (
    ("grpc.service_config", SERVICE_CONFIG),
    ("grpc.max_receive_message_length", RESPONSE_BYTES_MAX),
    ("grpc.keepalive_time_ms", KEEPALIVE_SECONDS * 1000),
    # The first is what gRPC documents, the second what it goes by (1.85 waits for 60 s without it).
    ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_SECONDS * 1000),
    ("grpc.http2.ping_timeout_ms", KEEPALIVE_TIMEOUT_SECONDS * 1000),
    # By default the channel waits for up to two minutes until it tries to connect again. A connection that is tried
    # twice a second is there soon after the server is.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
)


def channel_options(target: str, *, retries: bool = True) -> Sequence[tuple[str, int | str]]:
    """Return the options of a channel to a target. A proxy of the environment is not used for this machine itself.

    Without ``retries``, gRPC sends each call once.

    Raises ValueError if the target is not written as one.
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
    """Return what goes with every call, to tell who makes it.

    Raises ValueError if the token is not printable ASCII, which is all that a header may hold.
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
    """Read what secures a channel, from files in PEM form.

    ``ca`` holds the authorities that vouch for the server; those that gRPC knows by itself if there is none. A server
    that asks for mutual TLS wants a ``certificate`` (with its chain) and its ``key``, which go together.

    Raises OSError if a file cannot be read, and ValueError for a certificate without a key, or the other way.
    """
    if (certificate is None) != (key is None):
        message = "a certificate and its key go together: give both or neither"
        raise ValueError(message)
    authorities, secret, chain = (None if path is None else Path(path).read_bytes() for path in (ca, key, certificate))
    return grpc.ssl_channel_credentials(authorities, secret, chain)
