"""The URL of a store: checks it, and takes the nodes and the options of connections from it."""

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

from tallykeeper_server.store.nodes.node_options import DEFAULT_ADDRESS, Address, NodeOptions, TlsOptions

SCHEMES: Final = (
    *("redis://", "rediss://", "unix://"),
    *("redis+sentinel://", "rediss+sentinel://", "redis+cluster://", "rediss+cluster://"),
)
SENTINEL_FORM: Final = "redis+sentinel://host:26379,host:26379/service"
CLUSTER_FORM: Final = "redis+cluster://host:6379,host:6379"

_PARAMETERS: Final = frozenset({"client_name", "db", "password", "password_file", "username"})
_TLS_PARAMETERS: Final = frozenset(
    {"ssl_ca_certs", "ssl_ca_path", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_keyfile"}
    | {"ssl_password"}
)
_SENTINEL_PARAMETERS: Final = frozenset({"sentinel_password", "sentinel_password_file", "sentinel_username"})
_CERTIFICATES: Final = ("required", "optional", "none")
_FALSE: Final = frozenset({"0", "F", "FALSE", "N", "NO"})
"""The values by which a parameter is switched off, in capital letters."""
_NODE_SCHEMES: Final = ("redis", "rediss", "unix")
_SERVICE_PATTERN: Final = r"[A-Za-z0-9._-]+"
_HOST: Final = r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]*)(:[0-9]*)?"
_PARAMETER: Final = r"[a-z_]{1,40}"
_PORT_MAX: Final = 65_535
_DEFAULT_PORTS: Final = {"sentinel": 26_379, "cluster": 6_379}
_ESCAPES: Final = (
    "in a user or a password, write # as %23, ? as %3F, / as %2F, @ as %40, : as %3A, % as %25, [ as %5B, ] as %5D"
    " and a space as %20"
)
_NOT_AN_ADDRESS: Final = f"it is not //host:port; {_ESCAPES}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreUrl:
    """The parts of a URL: one node, the sentinels that know a primary, or some nodes of a cluster."""

    topology: str
    """Empty for one node, ``sentinel`` or ``cluster``."""
    addresses: tuple[Address, ...] = ()
    """The sentinels, or the nodes of the cluster that are asked for the others."""
    service: str = ""
    """The name by which the sentinels know the primary."""
    node: str
    """The URL of the only node or, of several, a URL as if the node were at the first address."""
    sentinel: str = ""
    """The URL of the first sentinel."""

    def at(self, address: Address) -> str:
        """Return the URL of a node at an address."""
        return self._moved(self.node, address)

    def sentinel_at(self, address: Address) -> str:
        """Return the URL of a sentinel at an address."""
        return self._moved(self.sentinel, address)

    def _moved(self, url: str, address: Address) -> str:
        return url.replace(f"{written(self.addresses[0])}/", f"{written(address)}/", 1)


def parsed_store_url(url: str) -> StoreUrl:
    """Return the parts of a URL of any form.

    :raises ValueError: the URL cannot be used. The message says why, and holds neither its user nor its password.
    """
    _check_characters(url)
    scheme, topology = _scheme_of(url)
    if not topology:
        node_options(url)
        return StoreUrl(topology="", node=url)
    user, hosts, path, query = _parts_of(url)
    addresses = tuple(_address_of(text, _DEFAULT_PORTS[topology]) for text in hosts.split(","))
    of_sentinels = {name: query.pop(name) for name in _SENTINEL_PARAMETERS & query.keys() if topology == "sentinel"}
    node = _node_url(scheme, user, addresses[0], query)
    _check_query(query, _allowed(scheme), f"{scheme}+{topology}")
    node_options(node)
    if topology == "cluster":
        if path or query.get("db", "0") != "0":
            message = (
                f"a cluster has no databases to choose from, and nothing follows the hosts: {CLUSTER_FORM}; {_ESCAPES}"
            )
            raise ValueError(message)
        return StoreUrl(topology=topology, addresses=addresses, node=node)
    if not re.fullmatch(_SERVICE_PATTERN, path):
        message = (
            f"after the sentinels comes the name by which they know the primary, as in {SENTINEL_FORM}; {_ESCAPES}"
        )
        raise ValueError(message)
    tls = {name: value for name, value in query.items() if name in _TLS_PARAMETERS}
    of_sentinels = {name.removeprefix("sentinel_"): value for name, value in of_sentinels.items()}
    sentinel = _node_url(scheme, "", addresses[0], {**tls, **of_sentinels})
    node_options(sentinel)
    return StoreUrl(topology=topology, addresses=addresses, service=path, node=node, sentinel=sentinel)


def node_options(url: str) -> NodeOptions:
    """Return the options of connections to one node, for a redis://, rediss:// or unix:// URL.

    :raises ValueError: the URL cannot be used. The message says why, and holds neither its user nor its password.
    """
    parts = _node_parts(url)
    query = _query_of(parts.query)
    _check_query(query, _allowed(parts.scheme), parts.scheme)
    _check_location(parts)
    is_unix = parts.scheme == "unix"
    password = unquote(parts.password or "") or query.get("password", "")
    return NodeOptions(
        address=(parts.hostname or DEFAULT_ADDRESS[0], parts.port or DEFAULT_ADDRESS[1]),
        path=unquote(parts.path) if is_unix else "",
        username=unquote(parts.username or "") or query.get("username", ""),
        password=password,
        password_file=_password_file_of(query, password),
        database=_database_of(query.get("db") or ("" if is_unix else parts.path.removeprefix("/"))),
        client_name=query.get("client_name", ""),
        tls=_tls_options(query) if parts.scheme == "rediss" else None,
    )


def _password_file_of(query: Mapping[str, str], password: str) -> str:
    """Return the path of the file with the password; empty if the URL names none.

    :raises ValueError: it is not absolute, or the URL has a password as well.
    """
    path = query.get("password_file", "")
    if path and not path.startswith("/"):
        message = "password_file is not an absolute path, as in password_file=/run/store-password"
        raise ValueError(message)
    if path and password:
        message = "it has both a password and a password_file: keep one of them"
        raise ValueError(message)
    return path


def written(address: Address) -> str:
    """Return an address as host:port, with brackets around an IPv6 host."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _node_parts(url: str) -> SplitResult:
    """Return the parts of a node's URL.

    :raises ValueError: it cannot be taken apart, or is of another scheme.
    """
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # urlsplit parses the port when it is read
    except ValueError:
        # The words of this error may hold a part of the password: one with a slash in it ends where a port is expected.
        raise ValueError(_NOT_AN_ADDRESS) from None
    _check_characters(url)
    if parts.scheme not in _NODE_SCHEMES:
        message = f"it is none of {', '.join(f'{scheme}://' for scheme in _NODE_SCHEMES)}"
        raise ValueError(message)
    return parts


def _check_location(parts: SplitResult) -> None:
    """Return if a node's URL names a host, or the path of a unix socket, and at most a database after it.

    :raises ValueError: it names something else.
    """
    host = parts.netloc.rpartition("@")[2]
    if parts.scheme == "unix":
        if host or not parts.path:
            message = f"unix:// needs an absolute path, as in unix:///run/valkey.sock; {_ESCAPES}"
            raise ValueError(message)
        return
    if not re.fullmatch("/?[0-9]*", parts.path):
        message = f"after the host comes nothing, or the number of a database, as in redis://host:6379/0; {_ESCAPES}"
        raise ValueError(message)
    if not re.fullmatch(_HOST, host):
        raise ValueError(_NOT_AN_ADDRESS)


def _database_of(text: str) -> int:
    """Return the number of a database; 0 if the URL names none.

    :raises ValueError: it is no number.
    """
    if not re.fullmatch("[0-9]{0,9}", text):
        message = "'db' is the number of a database, as in redis://host:6379?db=0"
        raise ValueError(message)
    return int(text or 0)


def _tls_options(query: Mapping[str, str]) -> TlsOptions:
    """Return the TLS options of a query.

    :raises ValueError: an option has a value that it does not take.
    """
    verify = query.get("ssl_cert_reqs") or "required"
    if verify not in _CERTIFICATES:
        message = f"ssl_cert_reqs is {verify!r}, and not one of {', '.join(_CERTIFICATES)}"
        raise ValueError(message)
    return TlsOptions(
        verify=verify,
        check_hostname=query.get("ssl_check_hostname", "").upper() not in _FALSE,
        ca_file=query.get("ssl_ca_certs"),
        ca_directory=query.get("ssl_ca_path"),
        certificate_file=query.get("ssl_certfile"),
        key_file=query.get("ssl_keyfile"),
        key_password=query.get("ssl_password"),
    )


def _check_characters(url: str) -> None:
    """Return if a URL has no character that ends a user or a password by mistake.

    :raises ValueError: it has one. Otherwise a part of a password would be taken for a host, and be looked up.
    """
    if "#" in url:
        message = f"it has a #, and what follows a # is ignored; {_ESCAPES}"
    elif re.search(r"%(?![0-9A-Fa-f]{2})", url):
        message = f"it has a % without two hexadecimal digits after it; {_ESCAPES}"
    elif re.search(r"[\x00-\x1f\x7f]", url) or re.search(r"\s", url.rpartition("@")[0]):
        message = f"it has white space or a control character; {_ESCAPES}"
    else:
        return
    raise ValueError(message)


def _query_of(text: str) -> dict[str, str]:
    """Return the parameters of a query.

    :raises ValueError: the query is the rest of a password with a ``?`` in it, because the host comes after it.
    """
    query = dict(parse_qsl(text, keep_blank_values=True))
    if any("@" in name or ("@" in value and not name.endswith("password")) for name, value in query.items()):
        message = f"it has an @ after its ?; {_ESCAPES}"
        raise ValueError(message)
    return query


def _scheme_of(url: str) -> tuple[str, str]:
    """Return the scheme of a node and the topology, such as ``rediss`` and ``cluster`` for rediss+cluster://."""
    scheme, _, topology = url.partition("://")[0].partition("+")
    return scheme, topology


def _parts_of(url: str) -> tuple[str, str, str, dict[str, str]]:
    """Return the user part with its ``@``, the hosts, the path without its slash, and the query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError(_NOT_AN_ADDRESS) from None
    user, at, hosts = parts.netloc.rpartition("@")
    return user + at, hosts, unquote(parts.path.removeprefix("/")), _query_of(parts.query)


def _address_of(text: str, default_port: int) -> Address:
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::([0-9]{1,5}))?", text)
    port = default_port if not found or found[3] is None else int(found[3])
    if not found or not 0 < port <= _PORT_MAX:
        # This text may be the end of a password with a slash or an @ in it, so the message does not show it.
        message = f"its hosts are not host:port joined by commas (IPv6 as in [::1]:6379); {_ESCAPES}"
        raise ValueError(message)
    return found[1] or found[2], port


def _node_url(scheme: str, user: str, address: Address, query: Mapping[str, str]) -> str:
    asked = f"?{urlencode(query)}" if query else ""
    return f"{scheme}://{user}{written(address)}/{asked}"


def _allowed(scheme: str) -> AbstractSet[str]:
    return _PARAMETERS | _TLS_PARAMETERS if scheme == "rediss" else _PARAMETERS


def _check_query(query: Mapping[str, str], allowed: AbstractSet[str], scheme: str) -> None:
    """Return if a query holds only parameters that a scheme takes.

    :raises ValueError: it holds others.
    """
    if scheme.endswith("+sentinel"):
        allowed = allowed | _SENTINEL_PARAMETERS
    unknown = query.keys() - allowed
    if unknown:
        named = [name if re.fullmatch(_PARAMETER, name) else "other parameters" for name in sorted(unknown)]
        message = f"{scheme}:// takes no {', '.join(named)}, only {', '.join(sorted(allowed))}"
        raise ValueError(message)
