"""What a client needs to reach a server that speaks TLS."""

from pathlib import Path

import grpc


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
