"""The commands ``access`` and ``certificates``, and the commands of callers that use the files that these made."""

import hashlib
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from cryptography import x509

from tallykeeper_server.access.access_file import read_access_file
from tests.access.conftest import Site
from tests.support.server import TALLYKEEPER


def run(
    *words: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [TALLYKEEPER, *words], capture_output=True, text=True, check=False, cwd=cwd, env=env, timeout=60
    )


def test_a_key_is_printed_once_and_kept_as_a_hash(tmp_path: Path) -> None:
    made = run("access", "key", "the web shop", "--days", "30", cwd=tmp_path)

    text = (tmp_path / "access.toml").read_text()
    key_id, secret = made.stdout.strip().removeprefix("tk.").split(".")
    assert (made.returncode, made.stderr) == (0, "")
    assert secret not in text
    assert read_access_file(tmp_path / "access.toml").keys[key_id].identity == "the web shop"
    assert stat.S_IMODE((tmp_path / "access.toml").stat().st_mode) == 0o600


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o277])
def test_a_key_and_what_is_private_are_readable_by_their_owner_alone(tmp_path: Path, umask: int) -> None:
    def at(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [TALLYKEEPER, *words], capture_output=True, text=True, check=False, cwd=tmp_path, umask=umask, timeout=60
        )

    (tmp_path / "certs").mkdir()
    made = at("access", "key", "web", "--out", "web.token")
    again = at("access", "key", "web", "--out", "web.token")
    certified = at("certificates", "certs", "--client", "web")

    assert (made.returncode, made.stdout, made.stderr) == (0, "", "")
    assert (again.returncode, "web.token exists" in again.stderr) == (1, True)
    assert certified.returncode == 0, certified.stderr
    private = [tmp_path / "web.token", tmp_path / "access.toml", *(tmp_path / "certs").glob("*.key")]
    assert len(private) == 5
    assert {stat.S_IMODE(file.stat().st_mode) for file in private} == {0o600}
    key_id, secret = (tmp_path / "web.token").read_text().strip().removeprefix("tk.").split(".")
    key = read_access_file(tmp_path / "access.toml").keys[key_id]
    assert key.digest == hashlib.sha256(secret.encode()).digest()


def test_what_is_added_stands_behind_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("# ours\n")
    file.chmod(0o640)
    for words in (
        ("grant", 'a "quoted" one', "write", "shop", "toys-*"),
        ("grant", "*", "read", "*"),
        ("certificate", "web", "uri:spiffe://tallykeeper/web"),
        ("key", "web", "--id", "web-1"),
    ):
        assert run("access", *words, "--file", str(file)).returncode == 0

    report = run("access", "check", "--file", str(file)).stdout
    assert file.read_text().startswith("# ours\n\n[[grant]]\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert report == (
        'a "quoted" one: write in shop, toys-*\n*: read in *\n'
        "known: 1 by API key, 1 by certificate, and by 0 issuers of tokens\n"
    )


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("key", "web", "--id", "a.b"), 1, "key[0].id = 'a.b' must be"),
        (("key", "web", "--id", 'a"\n[[grant]]\nidentity = "web"'), 2, "has characters that cannot be printed"),
        (("key", "web", "--id", 'a"b'), 1, "key[0].id = 'a\"b' must be"),
        (("key", "web", "--id", "a\x7fb"), 2, "has characters that cannot be printed"),
        (("key", "web", "--id", "a\udcffb"), 2, "has characters that cannot be printed"),
        (("key", "web\nweb"), 2, "'web\\nweb' is not 1 to 128 bytes"),
        (("certificate", "web", "dns:a\nb"), 2, "it is not a domain name"),
        (("certificate", "web", "dns:a\x1bb"), 2, "it is not a domain name"),
        (("certificate", "web", "email:a\udcffb"), 2, "is not a subject alternative name with its kind"),
        (("grant", "web", "read", "shop\n"), 2, "has characters that cannot be printed"),
        (("key", "*"), 2, "'*' is not 1 to 128 bytes"),
        (("key", "web", "--days", "0"), 2, "0 is not in the range"),
        (("grant", "web", "owner", "shop"), 2, "'owner' is not one of"),
        (("grant", "web", "read"), 2, "missing argument"),
        (("grant", "web", "read", "a*b"), 1, "grant[0].namespaces = ['a*b']"),
        (("certificate", "web", "shop.example"), 2, "'shop.example' is not a subject alternative name with its kind"),
        (("certificate", "web", "dns:shop\nexample"), 2, "it is not a domain name"),
        (("key", "web", "--id", "a.b", "--out", "web.token"), 1, "key[0].id = 'a.b' must be"),
        (("key", "web", "--out", "none/web.token"), 1, "none/web.token cannot be written"),
        (("check",), 1, "cannot be read"),
    ],
)
def test_an_error_is_reported_in_a_line_and_leaves_no_file(
    tmp_path: Path, words: tuple[str, ...], status: int, message: str
) -> None:
    finished = run("access", *words, cwd=tmp_path)

    assert (finished.returncode, finished.stdout) == (status, "")
    assert message in finished.stderr
    assert len(finished.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_certificates_made_again_are_by_the_same_authority(tmp_path: Path) -> None:
    first = run("certificates", "certs", "--host", "shop.example.com", "--client", "web", cwd=tmp_path)
    authority = (tmp_path / "certs" / "ca.pem").read_bytes()
    server = (tmp_path / "certs" / "server.pem").read_bytes()
    again = run("certificates", "certs", "--host", "shop.example.com", cwd=tmp_path)

    assert first.stdout.split() == [
        f"certs/{name}" for name in ("ca.pem", "server.key", "server.pem", "web.key", "web.pem")
    ]
    assert first.stderr == "web.pem has the name uri:spiffe://tallykeeper/web\n"
    assert again.returncode == 0
    assert (tmp_path / "certs" / "ca.pem").read_bytes() == authority
    assert (tmp_path / "certs" / "server.pem").read_bytes() != server
    assert {stat.S_IMODE(key.stat().st_mode) for key in (tmp_path / "certs").glob("*.key")} == {0o600}


@pytest.mark.parametrize(
    ("hosts", "names"),
    [
        (["localhost"], ["localhost", "127.0.0.1", "::1"]),
        (["::1", "localhost"], ["::1", "localhost", "127.0.0.1"]),
        (["shop.example.com"], ["shop.example.com"]),
    ],
)
def test_a_certificate_for_localhost_is_good_for_its_addresses(
    tmp_path: Path, hosts: list[str], names: list[str]
) -> None:
    assert run("certificates", "certs", *(f"--host={host}" for host in hosts), cwd=tmp_path).returncode == 0

    certificate = x509.load_pem_x509_certificate((tmp_path / "certs" / "server.pem").read_bytes())
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(each.value) for each in found] == names


@pytest.mark.parametrize("client", ["ca", "server", "a/b", "..", "", "a\nb", "ü"])
def test_a_client_is_named_as_a_file_may_be(tmp_path: Path, client: str) -> None:
    finished = run("certificates", "certs", "--client", client, cwd=tmp_path)

    assert finished.returncode == 2
    assert len(finished.stderr.splitlines()) == 1


@pytest.mark.parametrize("host", ["", "a b", "a\nb", "a\x1b", "*", "shop.*", "a..b", "x" * 254])
def test_a_host_is_a_name_or_an_address(tmp_path: Path, host: str) -> None:
    finished = run("certificates", "certs", "--host", host, cwd=tmp_path)

    assert finished.returncode == 2
    assert "is neither the name of a host, such as shop.example.com, nor an IP address" in finished.stderr
    assert not list(tmp_path.iterdir())


def test_an_access_file_that_is_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "access.toml").symlink_to("real.toml")

    assert run("access", "key", "web", cwd=tmp_path).returncode == 0
    assert (tmp_path / "access.toml").is_symlink()
    assert read_access_file(tmp_path / "real.toml").keys


@pytest.mark.parametrize("content", [b"\xff", None])
def test_an_access_file_that_cannot_be_read_is_one_clear_line(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "access.toml"
    if content is not None:
        file.write_bytes(content)
    else:
        file = Path("/proc/self/mem")

    finished = run("access", "key", "web", "--file", str(file))

    assert finished.returncode == 1
    assert len(finished.stderr.splitlines()) == 1


def test_a_caller_reaches_the_server_with_files_and_says_clearly_what_is_wrong(
    mutual_target: str, shared_site: Site, tmp_path: Path, namespace: str
) -> None:
    def add(*flags: str, env: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
        return run(
            "counter", "increment", "visits", "--target", mutual_target, "--namespace", namespace, *flags, env=env
        )

    token = tmp_path / "token"
    token.write_text(shared_site.keys["writer"] + "\n")
    site = shared_site.directory
    tls = (
        "--ca",
        str(site / "ca.pem"),
        "--certificate",
        str(site / "reader.pem"),
        "--key",
        str(site / "reader.key"),
    )

    assert add(*tls, "--token-file", str(token)).returncode == 0
    assert add(*tls, env={"TALLYKEEPER_TOKEN": shared_site.keys["writer"]}).returncode == 0
    denied = add(*tls)
    assert (denied.returncode, denied.stderr) == (
        1,
        f"tallykeeper: reader lacks the role write in namespace {namespace}\n",
    )
    assert "none.pem cannot be read" in add("--ca", "none.pem").stderr
    assert "a certificate and its key go together" in add(*tls[:4]).stderr
    for broken in (b"s3cr3t\xff", b"s3cr3t\nmore", b""):
        token.write_bytes(broken)
        refused = add(*tls, "--token-file", str(token))
        assert f"{token} holds no token" in refused.stderr
        assert refused.returncode == 2
        assert "s3cr3t" not in refused.stderr
    assert "a token is printable ASCII" in add(*tls, env={"TALLYKEEPER_TOKEN": "a\tb"}).stderr
