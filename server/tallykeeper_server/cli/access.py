"""``tallykeeper access`` edits the access file, and ``tallykeeper certificates`` makes certificates for a start."""

import ipaddress
import os
import re
import secrets
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

import click

from tallykeeper_server.access.access_file import (
    AccessFileError,
    is_identity,
    read_access_file,
)
from tallykeeper_server.access.certificate_names import RULE, certificate_name
from tallykeeper_server.access.credentials import new_api_key
from tallykeeper_server.access.roles import EVERYWHERE, Role
from tallykeeper_server.cli.certificate_authority import (
    CLIENT_NAME_FORM,
    AuthorityError,
    make_certificates,
    replace_file,
)

_DAYS: Final = click.IntRange(1, 3_650)
_RANDOM_BYTES: Final = 4
_CLIENT_PATTERN: Final = r"[A-Za-z0-9_-]{1,64}"
_HOST_PATTERN: Final = r"(?:\*\.)?[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?"
_HOST_CHARACTERS_MAX: Final = 253
_DELETE: Final = 127

Command = TypeVar("Command", bound=Callable[..., object])


class Identity(click.ParamType[str]):
    """The identity of a caller."""

    name = "identity"

    def __init__(self, *, all_allowed: bool = False) -> None:
        self._all_allowed = all_allowed

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the identity, or fail with the rule that it breaks."""
        text = str(value)
        if not is_identity(text) and not (self._all_allowed and text == EVERYWHERE):
            self.fail(f"{text!r} is not 1 to 128 bytes without control characters", param, ctx)
        return text


class PrintableText(click.ParamType[str]):
    """A text for a file: one line of printable characters."""

    name = "text"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text, or fail with the rule that it breaks."""
        text = str(value)
        if not text or not text.isprintable():  # neither control characters nor bytes that are not UTF-8
            self.fail(f"{text!r} is empty or has characters that cannot be printed, such as a line break", param, ctx)
        return text


class HostName(click.ParamType[str]):
    """The name of a host, ``*.`` and a name, or an IP address."""

    name = "host"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the host, or fail with the rule that it breaks."""
        text = str(value)
        try:
            ipaddress.ip_address(text)
        except ValueError:
            if len(text) > _HOST_CHARACTERS_MAX or not re.fullmatch(_HOST_PATTERN, text):
                message = f"{text!r} is neither the name of a host, such as shop.example.com, nor an IP address"
                self.fail(message, param, ctx)
        return text


_FILE: Final = click.option(
    "--file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("access.toml"),
    show_default=True,
    envvar="TALLYKEEPER_ACCESS_FILE",
    show_envvar=True,
    help="The access file. It is made if it does not exist.",
)


@click.group
def access() -> None:
    """Edit the callers of a server and their permissions.

    The commands write to the access file that --file names. A running server reads it again when it changes.
    """


@access.command
@click.argument("identity", type=Identity())
@click.option(
    "--id",
    "key_id",
    metavar="ID",
    type=PrintableText(),
    help="The name of the key in the file.  [default: a new name]",
)
@click.option("--days", type=_DAYS, help="The time until the key expires, such as 90d.  [default: never]")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False),
              help="A new file for the key, readable only by its owner.  [default: print the key]")  # fmt: skip
@_FILE
def key(*, identity: str, key_id: str | None, days: int | None, out: Path | None, file: Path) -> None:
    """Make an API key for IDENTITY. It is shown only now, because the access file keeps a hash of it."""
    chosen = key_id or secrets.token_hex(_RANDOM_BYTES)
    secret, digest = new_api_key(chosen)
    lines = [f"id = {_quoted(chosen)}", f"identity = {_quoted(identity)}", f'sha256 = "{digest.hex()}"']
    if days is not None:
        lines.append(f"not_after = {datetime.now(UTC) + timedelta(days=days):%Y-%m-%d}")
    if out is None:
        _add(file, "key", lines)
        click.echo(secret)
        return
    _write_secret(out, secret)
    try:
        _add(file, "key", lines)
    except click.ClickException:
        out.unlink()  # nobody knows the key
        raise


class CertificateName(click.ParamType[str]):
    """A subject alternative name with its kind."""

    name = "name"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name, or fail with the rule that it breaks."""
        try:
            return certificate_name(str(value))
        except ValueError as error:
            self.fail(f"{value!r} is not {RULE}; {error}", param, ctx)


@access.command
@click.argument("identity", type=Identity())
@click.argument("name", type=CertificateName())
@_FILE
def certificate(*, identity: str, name: str, file: Path) -> None:
    """Give a client with a certificate for the subject alternative name NAME the identity IDENTITY.

    NAME begins with its kind: dns:shop.example, uri:spiffe://shop.example/web, email:web@shop.example or ip:10.0.0.7.
    """
    _add(file, "certificate", [f"san = {_quoted(name)}", f"identity = {_quoted(identity)}"])


@access.command
@click.argument("identity", type=Identity(all_allowed=True))
@click.argument("role", type=click.Choice([role.name.lower() for role in Role if role]))
@click.argument("namespaces", nargs=-1, required=True, type=PrintableText())
@_FILE
def grant(*, identity: str, role: str, namespaces: Sequence[str], file: Path) -> None:
    """Give IDENTITY a ROLE in NAMESPACES.

    IDENTITY may be '*' for every known caller. A namespace may be a prefix, such as 'shop-*', or '*' for all.
    """
    listed = ", ".join(map(_quoted, namespaces))
    _add(file, "grant", [f"identity = {_quoted(identity)}", f"namespaces = [{listed}]", f'role = "{role}"'])


@access.command
@_FILE
def check(*, file: Path) -> None:
    """Check the file and show its content."""
    try:
        policy = read_access_file(file)
    except AccessFileError as error:
        raise click.ClickException(str(error)) from error
    for identity, grants in policy.grants.items():
        for each in grants:
            click.echo(f"{identity}: {each.role.name.lower()} in {', '.join(each.namespaces)}")
    keys, certificates, issuers = map(len, (policy.keys, policy.certificates, policy.issuers))
    click.echo(f"known: {keys} by API key, {certificates} by certificate, and by {issuers} issuers of tokens")


@click.command
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@click.option("--host", "hosts", multiple=True, type=HostName(),
              default=("localhost", "127.0.0.1", "::1"), show_default=True,
              help="A name or address of the server. May be given several times.")  # fmt: skip
@click.option("--client", "clients", multiple=True, metavar="NAME",
              help="Also make a certificate for this caller. May be given several times.")  # fmt: skip
@click.option(
    "--days", type=_DAYS, default=365, show_default=True, help="The time until the certificates expire, such as 365d."
)
def certificates(*, directory: Path, hosts: Sequence[str], clients: Sequence[str], days: int) -> None:
    """Make certificates for a server and its callers in DIRECTORY, signed by a new authority.

    They are for a start and for tests. The authority's key stays in the directory. Keep it away from the server if the
    authority signs other certificates too. A running server uses new certificates without a restart.
    The host localhost includes 127.0.0.1 and ::1.
    """
    for client in clients:
        if client in {"ca", "server"} or not re.fullmatch(_CLIENT_PATTERN, client):
            message = f"{client!r} is not 1 to 64 letters, digits, - and _, or is a name that the authority uses itself"
            raise click.BadParameter(message, param_hint="--client")
    try:
        made = make_certificates(directory, hosts=hosts, clients=clients, days=days)
    except AuthorityError as error:
        raise click.ClickException(str(error)) from error
    for file in made:
        click.echo(str(file))
    for client in clients:
        click.echo(f"{client}.pem has the name uri:{CLIENT_NAME_FORM.format(client)}", err=True)


def _write_secret(out: Path, secret: str) -> None:
    """Write a key into a new file. An existing file is never replaced, because it may hold a key in use."""
    try:
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="ascii") as opened:  # noqa: PTH123  # it is open already, with its mode
            os.fchmod(descriptor, 0o600)
            opened.write(f"{secret}\n")
    except FileExistsError as error:
        message = f"{out} exists; name a new file, so that no key is lost"
        raise click.ClickException(message) from error
    except OSError as error:
        message = f"{out} cannot be written: {error.strerror}"
        raise click.ClickException(message) from error


def _add(file: Path, table: str, lines: Sequence[str]) -> None:
    """Add a table to the file, if the whole file is valid afterwards."""
    file = file.resolve()  # a symbolic link stays a link
    before = _text_of(file)
    text = "\n".join([*([before.rstrip("\n"), ""] if before.strip() else []), f"[[{table}]]", *lines, ""])
    draft = file.with_name(f".{file.name}.draft")
    try:
        replace_file(draft, text.encode(), mode=0o600)
        read_access_file(draft)
        if file.exists():
            shutil.copymode(file, draft)
        draft.replace(file)
    except AccessFileError as error:
        raise click.ClickException(str(error).replace(str(draft), str(file))) from error
    except OSError as error:
        message = f"{file} cannot be written: {error.strerror}"
        raise click.ClickException(message) from error
    finally:
        draft.unlink(missing_ok=True)


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8") if file.exists() else ""
    except OSError as error:
        message = f"{file} cannot be read: {error.strerror}"
        raise click.ClickException(message) from error
    except UnicodeDecodeError as error:
        message = f"{file} is not UTF-8"
        raise click.ClickException(message) from error


def _quoted(text: str) -> str:
    """Return a text as a TOML string in one line."""
    return '"' + "".join(f"\\u{ord(one):04x}" if _is_escaped(one) else one for one in text) + '"'


def _is_escaped(one: str) -> bool:
    return ord(one) < 32 or ord(one) == _DELETE or one in '"\\'  # noqa: PLR2004  # TOML's control characters
