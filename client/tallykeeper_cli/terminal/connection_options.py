"""The options of a connection: the server's address, TLS, and the caller's credentials."""

import functools
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

import click

from tallykeeper_client import TIMEOUT_SECONDS_DEFAULT, tls_credentials
from tallykeeper_client.client import Client

ResultT = TypeVar("ResultT")
Decorator: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]
_FILE: Final = click.Path(path_type=Path, dir_okay=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """The values of the options."""

    target: str
    ca: Path | None
    certificate: Path | None
    key: Path | None
    token_file: Path | None
    token: str | None

    @property
    def secured(self) -> bool:
        """True if the connection uses TLS."""
        return self.ca is not None or self.certificate is not None or self.key is not None

    def client(
        self, *, namespace: str, timeout_seconds: float = TIMEOUT_SECONDS_DEFAULT, retries: bool = True
    ) -> Client:
        """Open a client, which sends each call once if it has no ``retries``.

        Raises click.UsageError if a file cannot be read, or the options contradict each other.
        """
        try:
            self._check_files()
            return Client(
                self.target,
                namespace=namespace,
                timeout_seconds=timeout_seconds,
                credentials=tls_credentials(ca=self.ca, certificate=self.certificate, key=self.key)
                if self.secured
                else None,
                token=_token_in(self.token_file) if self.token_file else self.token or None,
                retries=retries,
            )
        except OSError as error:
            message = f"{error.filename} cannot be read: {error.strerror}"
            raise click.UsageError(message) from error
        except UnicodeDecodeError as error:
            message = f"{self.token_file} holds no token: its text is not ASCII"
            raise click.UsageError(message) from error
        except ValueError as error:
            raise click.UsageError(str(error)) from error

    def _check_files(self) -> None:
        """Raise click.UsageError if a file has the wrong content, and OSError if it cannot be read."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        for path in (self.ca, self.certificate, self.key, self.token_file):
            if path is not None:
                path.open("rb").close()
        try:
            if self.ca is not None:
                context.load_verify_locations(self.ca)
        except ssl.SSLError as error:
            message = f"{self.ca} holds no certificate in PEM form (--ca)"
            raise click.UsageError(message) from error
        try:
            if self.certificate is not None and self.key is not None:
                context.load_cert_chain(self.certificate, self.key)
        except ssl.SSLError as error:
            message = f"{self.certificate} and {self.key} are not a certificate and its key in PEM form"
            raise click.UsageError(message) from error


def _token_in(path: Path) -> str:
    """Return the token in a file. Raises ValueError if there is none; the message quotes nothing of the file."""
    token = path.read_bytes().decode("ascii", errors="replace").strip()
    if not (token and token.isascii() and token.isprintable()):
        message = f"{path} holds no token: a token is printable ASCII, and not empty"
        raise ValueError(message)
    return token


def connects(command: Callable[..., ResultT]) -> Callable[..., ResultT]:
    """Give a command the options of a connection, and a `Connection` as its first argument."""

    @functools.wraps(command)
    def with_connection(
        *,
        target: str,
        ca: Path | None,
        certificate: Path | None,
        key: Path | None,
        token_file: Path | None,
        token: str | None,
        **values: object,
    ) -> ResultT:
        connection = Connection(
            target=target, ca=ca, certificate=certificate, key=key, token_file=token_file, token=token
        )
        return command(connection, **values)

    return with_options(with_connection, _OPTIONS)


def with_options(command: Callable[..., ResultT], options: Sequence[Decorator]) -> Callable[..., ResultT]:
    """Give a command some options, in their order."""
    for option in reversed(options):
        command = option(command)
    return command


def _file_option(flag: str, text: str) -> Decorator:
    variable = f"TALLYKEEPER_{flag.removeprefix('--').upper().replace('-', '_')}"
    return click.option(flag, type=_FILE, envvar=variable, show_envvar=True, metavar="FILE", help=text)


_OPTIONS: Final[Sequence[Decorator]] = (
    click.option(
        "--target",
        default="127.0.0.1:50051",
        show_default=True,
        envvar="TALLYKEEPER_TARGET",
        show_envvar=True,
        metavar="HOST:PORT",
        help="The server's address.",
    ),
    _file_option("--ca", "The authorities that sign the certificate of a server with TLS (PEM)."),
    _file_option("--certificate", "The caller's certificate, for mutual TLS (PEM)."),
    _file_option("--key", "The private key of the certificate (PEM)."),
    _file_option("--token-file", "A file with the caller's API key or token."),
    # The help shows no flag for the token, because everybody on the machine can read a command line.
    click.option("--token", envvar="TALLYKEEPER_TOKEN", hidden=True),
)
