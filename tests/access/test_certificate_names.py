"""The names of certificates: each is complete, has its kind, and cannot be confused with another name."""

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from tallykeeper.v1.namespace_pb2 import ListNamespacesRequest
from tallykeeper_client._channel import tls_credentials
from tallykeeper_server.access.access_file import AccessFileError, read_access_file
from tallykeeper_server.access.certificate_names import names_in_certificate
from tallykeeper_server.access.credentials import Authenticator
from tallykeeper_server.access.errors import CredentialInvalidError, CredentialMissingError
from tallykeeper_server.access.policy import AccessPolicy
from tests.access.conftest import Site
from tests.support.client import OWN_CONNECTION, Caller, Failure

_KEY = ec.generate_private_key(ec.SECP256R1())
WEB = "spiffe://shop/web"


def certificate(
    names: Sequence[x509.GeneralName] | None,
    *,
    issuer: x509.Name | None = None,
    signer: ec.EllipticCurvePrivateKey = _KEY,
) -> x509.Certificate:
    """Return a signed certificate with these subject alternative names; without the extension if they are None."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, WEB)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(_KEY.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
    )
    if names is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(signer, hashes.SHA256())


def pem(names: Sequence[x509.GeneralName] | None) -> bytes:
    return certificate(names).public_bytes(Encoding.PEM)


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_each_name_has_its_kind(encoding: Encoding) -> None:
    names = [
        x509.DNSName("Shop.Example"),
        x509.UniformResourceIdentifier("spiffe://shop/Web"),
        x509.RFC822Name("Web@Shop.Example"),
        x509.IPAddress(ipaddress.ip_address("10.0.0.7")),
        x509.IPAddress(ipaddress.ip_address("2001:db8:0::7")),
        x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
    ]

    assert names_in_certificate(certificate(names).public_bytes(encoding)) == (
        "dns:shop.example",
        "uri:spiffe://shop/Web",
        "email:Web@shop.example",
        "ip:10.0.0.7",
        "ip:2001:db8::7",
    )


@pytest.mark.parametrize("character", ["\0", "\n", "\t", "\x7f", " "])
@pytest.mark.parametrize("kind", [x509.DNSName, x509.UniformResourceIdentifier, x509.RFC822Name])
def test_a_name_with_a_control_character_refuses_the_certificate(kind: type[x509.DNSName], character: str) -> None:
    names = [x509.DNSName("shop.example"), kind(f"{WEB}{character}.evil.example")]

    with pytest.raises(CredentialInvalidError, match="control character"):
        names_in_certificate(pem(names))


def test_a_name_that_is_no_ascii_or_a_certificate_that_is_none_is_refused() -> None:
    der = certificate([x509.UniformResourceIdentifier("spiffe://abc")]).public_bytes(Encoding.DER)
    for broken in (der.replace(b"spiffe://abc", b"spiffe://\xff\xfec"), der[:-200], b"-----BEGIN CERTIFICATE-----\n"):
        with pytest.raises(CredentialInvalidError, match="cannot be read"):
            names_in_certificate(broken)


@pytest.mark.parametrize(
    "impostor",
    [
        x509.DNSName(WEB),
        x509.RFC822Name(WEB),
        x509.UniformResourceIdentifier(f"{WEB}2"),
        x509.UniformResourceIdentifier(WEB.upper()),
        x509.DNSName("10.0.0.7"),
        x509.UniformResourceIdentifier("dns:shop.example"),
        x509.DNSName("uri:spiffe://shop/web"),
        x509.DNSName("*.example"),
        x509.DirectoryName(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, WEB)])),
    ],
)
def test_a_name_of_one_kind_is_never_one_of_another(impostor: x509.GeneralName) -> None:
    known = dict.fromkeys((f"uri:{WEB}", "ip:10.0.0.7", "dns:shop.example", "email:web@shop.example"), "web")
    authenticator = Authenticator(AccessPolicy(certificates=known))

    assert authenticator.caller([], pem([x509.UniformResourceIdentifier(WEB)])).identity == "web"
    with pytest.raises((CredentialInvalidError, CredentialMissingError)):
        authenticator.caller([], pem([impostor]))


def test_a_subject_is_no_name() -> None:
    authenticator = Authenticator(AccessPolicy(certificates={f"uri:{WEB}": "web"}))
    with pytest.raises(CredentialMissingError):
        authenticator.caller([], pem(None))


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("dns:Shop.Example", "dns:shop.example"),
        ("uri:spiffe://shop/Web", "uri:spiffe://shop/Web"),
        ("uri:urn:shop:web", "uri:urn:shop:web"),
        ("spiffe://shop/web", "uri:spiffe://shop/web"),
        ("email:Web@Shop.Example", "email:Web@shop.example"),
        ("ip:10.0.0.7", "ip:10.0.0.7"),
        ("ip:2001:db8:0::7", "ip:2001:db8::7"),
    ],
)
def test_the_access_file_names_a_certificate_with_its_kind(tmp_path: Path, written: str, name: str) -> None:
    file = tmp_path / "access.toml"
    file.write_text(f'[[certificate]]\nsan = "{written}"\nidentity = "web"\n')

    assert read_access_file(file).certificates == {name: "web"}


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("shop.example", "names no kind"),
        ("DNS:shop.example", "names no kind"),
        ("web@shop.example", "names no kind"),
        ("10.0.0.7", "names no kind"),
        ("dns:", "not a domain name"),
        ("dns:shop example", "not a domain name"),
        ("dns:shop.example\\u0000.evil", "not a domain name"),
        ("uri:shop", "not a URI"),
        ("uri:spiffe://shop/web\\u0000", "not a URI"),
        ("spiffe://shop/web\\u0000", "names no kind"),
        ("email:shop.example", "not an e-mail address"),
        ("email:@shop.example", "not an e-mail address"),
        ("ip:10.0.0.256", "10.0.0.256"),
        ("", "san"),
    ],
)
def test_what_is_no_name_is_refused_with_the_rule(tmp_path: Path, written: str, message: str) -> None:
    file = tmp_path / "access.toml"
    file.write_text(f'[[certificate]]\nsan = "{written}"\nidentity = "web"\n')

    with pytest.raises(AccessFileError) as raised:
        read_access_file(file)

    line = str(raised.value)
    assert "certificate[0].san = " in line
    assert message in line
    assert "dns:shop.example, uri:spiffe://" in line
    assert line.isprintable()


def test_one_name_in_two_spellings_stands_twice(tmp_path: Path) -> None:
    file = tmp_path / "access.toml"
    both = "".join(
        f'[[certificate]]\nsan = "dns:{name}"\nidentity = "x"\n' for name in ("shop.example", "SHOP.example")
    )
    file.write_text(both)

    with pytest.raises(AccessFileError, match="in two tables"):
        read_access_file(file)


@pytest.fixture(scope="module")
def impostors(tmp_path_factory: pytest.TempPathFactory, shared_site: Site) -> Path:
    """A folder with certificates by the site's authority, whose names look like a reader's."""
    folder = tmp_path_factory.mktemp("impostors")
    authority = x509.load_pem_x509_certificate((shared_site.directory / "ca.pem").read_bytes())
    signer = load_pem_private_key((shared_site.directory / "ca.key").read_bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    reader = "spiffe://tallykeeper/reader"
    for name, alternative in {
        "nul": x509.UniformResourceIdentifier(f"{reader}\0.evil.example"),
        "dns": x509.DNSName(reader),
        "good": x509.UniformResourceIdentifier(reader),
    }.items():
        signed = certificate([alternative], issuer=authority.subject, signer=signer)
        (folder / f"{name}.pem").write_bytes(signed.public_bytes(Encoding.PEM))
    key = _KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "key.pem").write_bytes(key)
    return folder


@pytest.mark.parametrize(
    ("name", "reason"), [("good", ""), ("nul", "CREDENTIAL_INVALID"), ("dns", "CREDENTIAL_INVALID")]
)
def test_a_server_lets_nobody_in_by_a_name_that_looks_like_anothers(
    mutual_target: str, shared_site: Site, impostors: Path, name: str, reason: str
) -> None:
    files = {"certificate": impostors / f"{name}.pem", "key": impostors / "key.pem"}
    credentials = tls_credentials(ca=shared_site.directory / "ca.pem", **files)
    call = Caller(mutual_target, OWN_CONNECTION, credentials=credentials)
    try:
        call(ListNamespacesRequest())
        found = ""
    except Failure as failure:
        found = failure.reason
    finally:
        call.close()

    assert found == reason
