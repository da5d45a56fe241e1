"""The options of a connection to one node, as the URL of a store names them."""

from dataclasses import dataclass, field
from typing import Final, TypeAlias

Address: TypeAlias = tuple[str, int]
"""A host and its port."""

DEFAULT_ADDRESS: Final[Address] = ("localhost", 6_379)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsOptions:
    """The TLS of a connection: the certificates that it accepts, and the one that it shows."""

    verify: str = "required"
    """``required``, ``optional`` or ``none``: whether the node's certificate must be valid."""
    check_hostname: bool = True
    """Whether the node's certificate must name the node's host. Not looked at if ``verify`` is ``none``."""
    ca_file: str | None = None
    ca_directory: str | None = None
    """The authorities that are trusted in addition to those of the system."""
    certificate_file: str | None = None
    key_file: str | None = None
    """The client's certificate and its key, in PEM."""
    key_password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOptions:
    """A node's address, and what a new connection to it sends first. Its text shows no password."""

    address: Address = DEFAULT_ADDRESS
    path: str = ""
    """The path of a unix socket, which counts in place of the address; empty for TCP."""
    username: str = ""
    password: str = field(default="", repr=False)
    password_file: str = ""
    """The absolute path of a file with the password, which is read for each connection; empty without one."""
    database: int = 0
    client_name: str = ""
    tls: TlsOptions | None = None
    """The TLS of the connection; None without TLS."""
