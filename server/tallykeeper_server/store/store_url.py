"""The URL of a store: what may be in it. What it is connected with is redis-py's to take from it."""

import re
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from redis.asyncio.connection import parse_url

_PARAMETERS: Final = frozenset({"client_name", "db", "password", "username"})
_TLS_PARAMETERS: Final = frozenset(
    {"ssl_ca_certs", "ssl_ca_path", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_keyfile"}
    | {"ssl_password"}
)
_CERTIFICATES: Final = ("required", "optional", "none")


def connection_parameters(url: str) -> dict[str, Any]:
    """Return what redis-py's connections are made with, for a redis://, rediss:// or unix:// URL.

    :raises ValueError: the URL is not one. The message says why, and holds neither its user nor its password.
    """
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # it is parsed when it is looked at
    except ValueError:
        # Its words may hold a part of the password: one with a slash in it ends where a port is looked for.
        message = "it is not //host:port, or its user or password has a character that must be written as %-code"
        raise ValueError(message) from None
    allowed = _PARAMETERS | _TLS_PARAMETERS if parts.scheme == "rediss" else _PARAMETERS
    unknown = parse_qs(parts.query).keys() - allowed
    if unknown:
        message = f"{parts.scheme}:// takes no {', '.join(sorted(unknown))}, only {', '.join(sorted(allowed))}"
        raise ValueError(message)
    if parts.scheme == "unix" and (parts.hostname or not parts.path):
        message = "unix:// needs an absolute path, as in unix:///run/valkey.sock"
        raise ValueError(message)
    if parts.scheme != "unix" and not re.fullmatch("/?[0-9]*", parts.path):
        message = "after the host comes nothing, or the number of a database, as in redis://host:6379/0"
        raise ValueError(message)
    parameters: dict[str, Any] = dict(parse_url(url))
    certificates = parameters.get("ssl_cert_reqs", "required")
    if certificates not in _CERTIFICATES:
        message = f"ssl_cert_reqs is {certificates!r}, and not one of {', '.join(_CERTIFICATES)}"
        raise ValueError(message)
    return parameters
