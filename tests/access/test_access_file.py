"""The contents of the access file, and the errors of a wrong one."""

from pathlib import Path

import pytest

from tallykeeper_server.access.access_file import AccessFileError, read_access_file
from tallykeeper_server.access.credentials import Authenticator
from tallykeeper_server.access.errors import CredentialInvalidError
from tallykeeper_server.access.roles import Grant, Rights, Role
from tallykeeper_server.cli.access import access
from tests.access import tokens
from tests.access.tokens import write_key_set

DIGEST = "0" * 64
ISSUER = '[[issuer]]\nissuer = "i"\naudience = "a"\nalgorithms = ["RS256"]\njwks = "keys.json"\nprefix = "i:"\n'


@pytest.mark.parametrize(
    ("text", "message_parts"),
    [
        ("[[key]", ["is not TOML"]),
        ("colour = 1", ["unknown tables: colour", "key, certificate, issuer, grant, rate"]),
        ("key = 1", ["key must be tables, each under [[key]]"]),
        ("[key]\nid = 1", ["key must be tables"]),
        (f'[[key]]\nid = "a.b"\nidentity = "x"\nsha256 = "{DIGEST}"', ["key[0].id = 'a.b'", "letters, digits"]),
        (f'[[key]]\nid = "a"\nsha256 = "{DIGEST}"', ["key[0] lacks identity"]),
        (
            '[[key]]\nid = "a"\nidentity = "x"\nsha256 = "00"',
            ["key[0].sha256 = '00'", "64 hexadecimal digits", "`tallykeeper access key`"],
        ),
        (f'[[key]]\nid = "a"\nidentity = "*"\nsha256 = "{DIGEST}"', ["key[0].identity = '*'"]),
        (f'[[key]]\nid = "a"\nidentity = "a\\tb"\nsha256 = "{DIGEST}"', ["without control characters"]),
        (f'[[key]]\nid = "a"\nidentity = "{"x" * 129}"\nsha256 = "{DIGEST}"', ["1 to 128 bytes"]),
        (f'[[key]]\nid = "a"\nidentity = "x"\nsha256 = "{DIGEST}"\nnot_after = "soon"', ["not_after = 'soon'", "2030"]),
        (f'[[key]]\nid = "a"\nidentity = "x"\nsha256 = "{DIGEST}"\nsecret = "s"', ["key[0] has unknown keys: secret"]),
        (f'[[key]]\nid = "a"\nidentity = "x"\nsha256 = "{DIGEST}"\n' * 2, ["key[1].id = 'a' is in two tables"]),
        ('[[certificate]]\nidentity = "x"', ["certificate[0] lacks san"]),
        ('[[grant]]\nidentity = "x"\nrole = "owner"\nnamespaces = ["*"]', ["grant[0].role = 'owner'", "read, write"]),
        ('[[grant]]\nidentity = "x"\nrole = "read"\nnamespaces = []', ["grant[0].namespaces = []"]),
        ('[[grant]]\nidentity = "x"\nrole = "read"\nnamespaces = "*"', ["grant[0].namespaces = '*'", "a list of"]),
        ('[[grant]]\nidentity = "x"\nrole = "read"\nnamespaces = ["a*b"]', ["grant[0].namespaces = ['a*b']"]),
        ('[[rate]]\nidentity = "x"\ncalls_per_second = 0', ["rate[0].calls_per_second = 0", "from 0.001 to"]),
        ('[[rate]]\nidentity = "x"\ncalls_per_second = true', ["rate[0].calls_per_second = True", "a number"]),
        ('[[rate]]\nidentity = "x"\ncalls_per_second = nan', ["rate[0].calls_per_second = nan"]),
        (ISSUER.replace("RS256", "HS256"), ["issuer[0].algorithms = ['HS256']", "RS256"]),
        (ISSUER.replace("keys.json", "none.json"), ["none.json cannot be read"]),
        (ISSUER.replace("keys.json", "broken.json"), ["broken.json is not a JSON Web Key Set"]),
        (ISSUER.replace("keys.json", "empty.json"), ["empty.json is not a JSON Web Key Set"]),
        (ISSUER.replace('prefix = "i:"', ""), ["issuer[0] lacks prefix", "'*' if it may name every identity"]),
        (ISSUER.replace('"i:"', '""'), ["issuer[0].prefix = '' must be", "'*' if"]),
        (ISSUER.replace('"i:"', '"\\n"'), ["issuer[0].prefix = '\\n' must be"]),
        (f"{ISSUER}leeway_seconds = 301", ["issuer[0].leeway_seconds = 301", "from 0 to 300"]),
    ],
)
def test_a_wrong_file_is_refused_with_the_place_and_the_rule(
    tmp_path: Path, text: str, message_parts: list[str]
) -> None:
    write_key_set(tmp_path / "keys.json")
    (tmp_path / "broken.json").write_text("[1]")
    (tmp_path / "empty.json").write_text('{"keys": []}')
    file = tmp_path / "access.toml"
    file.write_text(text)

    with pytest.raises(AccessFileError) as raised:
        read_access_file(file)

    line = str(raised.value)
    assert "\n" not in line
    assert all(words in line for words in message_parts), line


@pytest.mark.parametrize(
    "text",
    [
        '[[key]]\nid = "a"\nidentity = "x"\nsha256 = "tk.a.c2VjcmV0-c2VjcmV0"',
        '[[key]]\nid = "a"\nidentity = "x"\nsha256 = "c2VjcmV0-c2VjcmV0"',
        '[[key]]\nid = "tk.a.c2VjcmV0-c2VjcmV0"\nidentity = "x"',
        ISSUER.replace("keys.json", "secret.json"),
        ISSUER.replace("keys.json", "private.json"),
    ],
)
def test_a_secret_in_the_wrong_place_is_not_shown(tmp_path: Path, text: str) -> None:
    (tmp_path / "secret.json").write_text("c2VjcmV0-c2VjcmV0")
    (tmp_path / "private.json").write_text('{"keys": [{"kty": "oct", "k": 5, "d": "c2VjcmV0-c2VjcmV0"}]}')
    file = tmp_path / "access.toml"
    file.write_text(text)

    with pytest.raises(AccessFileError) as raised:
        read_access_file(file)

    assert "c2VjcmV0" not in str(raised.value)


def test_the_command_that_a_message_names_exists() -> None:
    assert "key" in access.commands


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "access.toml"
    with pytest.raises(AccessFileError, match="cannot be read: No such file"):
        read_access_file(file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(AccessFileError, match="is not UTF-8"):
        read_access_file(file)


def test_an_empty_file_lets_nobody_in(tmp_path: Path) -> None:
    file = tmp_path / "access.toml"
    file.write_text("")

    assert read_access_file(file).rights_of("anybody").role_in("default") is Role.NONE


def test_the_highest_of_all_grants_counts() -> None:
    rights = Rights([
        Grant(Role.READ, ("*",)),
        Grant(Role.WRITE, ("shop-*", "toys")),
        Grant(Role.ADMINISTER, ("shop-1",)),
        Grant(Role.READ, ("shop-1",)),
    ])  # fmt: skip

    roles = {name: rights.role_in(name) for name in ("other", "shop-1", "shop-2", "shop", "toys", "toys-2")}

    assert roles == {
        "other": Role.READ,
        "shop-1": Role.ADMINISTER,
        "shop-2": Role.WRITE,
        "shop": Role.READ,
        "toys": Role.WRITE,
        "toys-2": Role.READ,
    }


def test_an_issuer_may_name_its_bearers_by_another_claim_and_a_prefix(tmp_path: Path) -> None:
    write_key_set(tmp_path / "keys.json")
    file = tmp_path / "access.toml"
    issuer = f'issuer = "{tokens.ISSUER}"\naudience = "{tokens.AUDIENCE}"\nalgorithms = ["RS256"]\njwks = "keys.json"'
    file.write_text(f'[[issuer]]\n{issuer}\nclaim = "client"\nprefix = "jwt:"\n')
    authenticator = Authenticator(read_access_file(file))

    known = authenticator.caller([f"Bearer {tokens.token(client='web')}"])

    assert known.identity == "jwt:web"
    with pytest.raises(CredentialInvalidError):
        authenticator.caller([f"Bearer {tokens.token('web')}"])
