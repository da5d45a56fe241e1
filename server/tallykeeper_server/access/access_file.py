"""Reads the access file: TOML with tables of keys, certificates, issuers, grants and rates. One error refuses all."""

import json
import math
import re
import tomllib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import jwt

from tallykeeper_server.access import certificate_names
from tallykeeper_server.access.file_stamps import FileStamp, stamp_of
from tallykeeper_server.access.policy import ALGORITHMS, AccessPolicy, ApiKey, Issuer, Rate
from tallykeeper_server.access.roles import EVERYWHERE, Grant, Role
from tallykeeper_server.domain.limits import LABEL_CHARACTERS_MAX, LABEL_PATTERN

IDENTITY_BYTES_MAX: Final = 128
KEY_ID_PATTERN: Final = r"[A-Za-z0-9-]{1,64}"
_DIGEST_PATTERN: Final = r"[0-9a-f]{64}"
_DIGESTS: Final = frozenset({"sha256"})
_HEXADECIMAL: Final = re.compile(r"[0-9A-Fa-f]*")
_TABLES: Final = ("key", "certificate", "issuer", "grant", "rate")
_ROLES: Final = {role.name.lower(): role for role in Role if role}
_LEEWAY_SECONDS: Final = 30.0
_LEEWAY_SECONDS_MAX: Final = 300.0

_PREFIX_RULE: Final = (
    "1 to 64 printable ASCII characters, such as 'jwt:', with which the issuer's identities begin; or '*' if it may"
    " name every identity, also those of keys and certificates"
)

Value = TypeVar("Value")


class AccessFileError(Exception):
    """The access file cannot be used. The message is one line, which names the table, the value and the rule."""


def is_identity(text: object) -> bool:
    """Return whether a value can be an identity: 1 to 128 bytes of UTF-8 without control characters, and not ``*``."""
    return (
        isinstance(text, str)
        and text != EVERYWHERE
        and text.isprintable()
        and 0 < len(text.encode(errors="replace")) <= IDENTITY_BYTES_MAX
    )


def read_access_file(path: Path) -> AccessPolicy:
    """Read an access file and the key sets that it names. Their paths are relative to the folder of the file.

    :raises AccessFileError: a file cannot be read, or something in it is wrong.
    """
    files = {path: stamp_of(path)}
    try:
        values = tomllib.loads(_text_of(path))
    except tomllib.TOMLDecodeError as error:
        message = f"{path} is not TOML: {error}"
        raise AccessFileError(message) from error
    tables = {name: _tables_of(path, name, values.pop(name, []), files) for name in _TABLES}
    if values:
        message = f"{path} has unknown tables: {', '.join(sorted(values))}; there are {', '.join(_TABLES)}"
        raise AccessFileError(message)
    policy = AccessPolicy(
        keys=_by_name(tables["key"], "id", _key_of),
        certificates=_by_name(tables["certificate"], "san", _identity_of),
        issuers=_by_name(tables["issuer"], "issuer", _issuer_of),
        grants=_grants_of(tables["grant"]),
        rates=_by_name(tables["rate"], "identity", _rate_of),
        files=files,
    )
    for table in (table for each in tables.values() for table in each):
        table.end()
    return policy


class _Table:
    """One table of the file. Each method takes a value out; ``end`` checks that no value is left."""

    def __init__(self, path: Path, name: str, values: Mapping[str, Any], files: dict[Path, FileStamp]) -> None:
        """Files that the table names are added to ``files`` when they are read."""
        self.path = path
        self.files = files
        self._name = name
        self._values = dict(values)

    def refuse(self, rule: str) -> NoReturn:
        """Refuse the file because this table breaks a rule.

        :raises AccessFileError: always.
        """
        message = f"{self.path}: {self._name}{rule}"
        raise AccessFileError(message)

    def take(self, key: str, types: type | tuple[type, ...], rule: str, default: object = None) -> Any:  # noqa: ANN401  # one of its types
        """Return a value of one of the types.

        :raises AccessFileError: it is missing and there is no default, or it has another type.
        """
        value = self._values.pop(key, default)
        if value is None:
            self.refuse(f" lacks {key}, which must be {rule}")
        if not isinstance(value, types) or isinstance(value, bool):
            self.refuse(f".{key}{_shown(key, value)} must be {rule}")
        return value

    def text(self, key: str, pattern: str, rule: str, default: str | None = None) -> str:
        """Return a text that matches a pattern.

        :raises AccessFileError: it does not match, or it is missing and there is no default.
        """
        value: str = self.take(key, str, rule, default)
        if not re.fullmatch(pattern, value):
            self.refuse(f".{key}{_shown(key, value)} must be {rule}")
        return value

    def certificate_name(self) -> str:
        """Return the name of a certificate.

        :raises AccessFileError: the value is not such a name.
        """
        value = self.text("san", r".+", certificate_names.RULE)
        try:
            return certificate_names.certificate_name(value)
        except ValueError as error:
            self.refuse(f".san = {value!r} must be {certificate_names.RULE}; {error}")

    def number(self, key: str, most: float, default: float | None = None, *, least: float = 0.0) -> float:
        """Return a number from ``least`` to ``most``.

        :raises AccessFileError: the value is not such a number, or it is missing and there is no default.
        """
        rule = f"a number from {least:g} to {most:g}"
        value = float(self.take(key, (int, float), rule, default))
        if not least <= value <= most:
            self.refuse(f".{key} = {value:g} must be {rule}")
        return value

    def identity(self, *, all_allowed: bool = False) -> str:
        """Return the identity that the table is about.

        :raises AccessFileError: the value is not an identity, or it is missing.
        """
        rule = f"1 to {IDENTITY_BYTES_MAX} bytes without control characters" + (", or *" if all_allowed else "")
        value: str = self.take("identity", str, rule)
        if not is_identity(value) and not (all_allowed and value == EVERYWHERE):
            self.refuse(f".identity = {value!r} must be {rule}")
        return value

    def texts(self, key: str, pattern: str, rule: str) -> tuple[str, ...]:
        """Return a list of one or more texts that match a pattern.

        :raises AccessFileError: the value is not such a list, or it is missing.
        """
        values: Sequence[object] = self.take(key, list, f"a list of {rule}")
        if not values or not all(isinstance(value, str) and re.fullmatch(pattern, value) for value in values):
            self.refuse(f".{key} = {values!r} must be a list of {rule}")
        return tuple(map(str, values))

    def moment(self, key: str) -> float:
        """Return a moment in seconds since 1970: infinity if it is missing, and the end of the day for a date.

        :raises AccessFileError: the value is neither a date nor a time.
        """
        value = self._values.pop(key, None)
        if value is None:
            return math.inf
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime.combine(value, time.max)
        if not isinstance(value, datetime):
            self.refuse(f".{key} = {value!r} must be a date or a time, as in 2030-01-31")
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()

    def end(self) -> None:
        """Return if all values have been taken out.

        :raises AccessFileError: the table has a key that no method has asked for.
        """
        if self._values:
            self.refuse(f" has unknown keys: {', '.join(sorted(self._values))}")


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise AccessFileError(message) from error
    except UnicodeDecodeError as error:
        message = f"{path} is not UTF-8"
        raise AccessFileError(message) from error


def _tables_of(path: Path, name: str, values: object, files: dict[Path, FileStamp]) -> list[_Table]:
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        message = f"{path}: {name} must be tables, each under [[{name}]]"
        raise AccessFileError(message)
    return [_Table(path, f"{name}[{index}]", value, files) for index, value in enumerate(values)]


def _by_name(tables: Sequence[_Table], key: str, read: Callable[[_Table, str], Value]) -> dict[str, Value]:
    """Return the value that is read from each table, by a key that no two tables may share."""
    found: dict[str, Value] = {}
    for table in tables:
        name = _NAMES[key](table)
        if name in found:
            table.refuse(f".{key} = {name!r} is in two tables; each may be in one")
        found[name] = read(table, name)
    return found


_NAMES: Final[Mapping[str, Callable[[_Table], str]]] = {
    "id": lambda table: table.text("id", KEY_ID_PATTERN, "1 to 64 letters, digits and hyphens"),
    "san": lambda table: table.certificate_name(),
    "issuer": lambda table: table.text("issuer", r".+", "the iss of its tokens"),
    "identity": lambda table: table.identity(all_allowed=True),
}


def _key_of(table: _Table, _: str) -> ApiKey:
    digest = table.text("sha256", _DIGEST_PATTERN, "64 hexadecimal digits, as `tallykeeper access key` gives them")
    return ApiKey(table.identity(), bytes.fromhex(digest), table.moment("not_after"))


def _identity_of(table: _Table, _: str) -> str:
    return table.identity()


def _issuer_of(table: _Table, issuer: str) -> Issuer:
    known = ", ".join(sorted(ALGORITHMS))
    return Issuer(
        issuer=issuer,
        audience=table.text("audience", r".+", "the aud of its tokens"),
        algorithms=table.texts("algorithms", "|".join(sorted(ALGORITHMS)), f"some of {known}"),
        jwks=_key_set_of(table),
        claim=table.text("claim", r".+", "the name of a claim", "sub"),
        prefix="" if (prefix := table.text("prefix", r"[ -~]{1,64}", _PREFIX_RULE)) == EVERYWHERE else prefix,
        leeway_seconds=table.number("leeway_seconds", _LEEWAY_SECONDS_MAX, _LEEWAY_SECONDS),
    )


def _key_set_of(table: _Table) -> jwt.PyJWKSet:
    path = table.path.parent / table.text("jwks", r".+", "the path of a JSON Web Key Set")
    table.files[path] = stamp_of(path)
    try:
        return jwt.PyJWKSet.from_json(_text_of(path))
    except json.JSONDecodeError as error:
        table.refuse(f".jwks: {path} is not a JSON Web Key Set: it is not JSON (line {error.lineno})")
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError) as error:
        table.refuse(f".jwks: {path} is not a JSON Web Key Set that can be used: {_fault_of(error)}")


def _fault_of(error: Exception) -> str:
    """Return the fault of a key set. It shows no contents, because a file with private keys may be there by mistake."""
    if isinstance(error, jwt.PyJWKSetError):
        return "it has no key of a known kind"
    return "a key in it is broken" if isinstance(error, jwt.PyJWTError) else "it is not an object with keys"


def _shown(key: str, value: object) -> str:
    """Return a value as an error shows it. Of a value that may be a secret under the wrong key, it shows the length."""
    if isinstance(value, str) and (value.startswith("tk.") or (key in _DIGESTS and not _HEXADECIMAL.fullmatch(value))):
        return f" ({len(value)} characters)"
    return f" = {value!r}"


def _grants_of(tables: Sequence[_Table]) -> dict[str, tuple[Grant, ...]]:
    grants: defaultdict[str, tuple[Grant, ...]] = defaultdict(tuple)
    rule = "namespaces, each a name, or the beginning of one with * at its end"
    pattern = rf"{LABEL_PATTERN}|\*|[A-Za-z0-9][A-Za-z0-9._-]{{0,{LABEL_CHARACTERS_MAX - 1}}}\*"
    for table in tables:
        role = _ROLES[table.text("role", "|".join(_ROLES), f"one of {', '.join(_ROLES)}")]
        grants[table.identity(all_allowed=True)] += (Grant(role, table.texts("namespaces", pattern, rule)),)
    return dict(grants)


def _rate_of(table: _Table, _: str) -> Rate:
    calls_per_second = table.number("calls_per_second", 1_000_000, least=0.001)
    return Rate(calls_per_second, table.number("burst", 10_000_000, max(1.0, calls_per_second), least=1.0))
