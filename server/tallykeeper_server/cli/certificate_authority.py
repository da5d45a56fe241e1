"""A small certificate authority for a start: a key pair that signs certificates for a server and its callers."""

import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CLIENT_NAME_FORM: Final = "spiffe://tallykeeper/{}"
"""The subject alternative name of a caller's certificate."""
_BACKDATED: Final = timedelta(minutes=5)
"""The time by which certificates are dated back, so that they are valid for a clock that is a little behind."""
_AUTHORITY_DAYS: Final = 3_650
_LOOPBACK_ADDRESSES: Final = ("127.0.0.1", "::1")


class AuthorityError(Exception):
    """The certificates cannot be made. The message says why, in one line."""


@dataclass(frozen=True, slots=True)
class Authority:
    """The certificate and the key that sign."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def make_certificates(directory: Path, *, hosts: Sequence[str], clients: Sequence[str], days: int) -> list[Path]:
    """Make certificates in a directory for a server with the given hosts, and for clients, signed by its authority.

    An authority is made if the directory has none. Each certificate is ``name.pem`` with ``name.key``. Existing ones
    are replaced, and a running server uses the new ones.

    :raises AuthorityError: a file cannot be read or written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        authority = _authority_in(directory)
        names = [_host_name(host) for host in _with_loopback(hosts)]
        made = _issue(directory / "server", authority, names, ExtendedKeyUsageOID.SERVER_AUTH, days)
        for client in clients:
            name = x509.UniformResourceIdentifier(CLIENT_NAME_FORM.format(client))
            made += _issue(directory / client, authority, [name], ExtendedKeyUsageOID.CLIENT_AUTH, days)
    except (OSError, ValueError, TypeError) as error:
        message = f"certificates cannot be made in {directory}: {error}"
        raise AuthorityError(message) from error
    return [directory / "ca.pem", *made]


def _with_loopback(hosts: Sequence[str]) -> Sequence[str]:
    """Return hosts, and with localhost the addresses that it has: some programs call the address and not the name."""
    if "localhost" not in hosts:
        return hosts
    return [*hosts, *(address for address in _LOOPBACK_ADDRESSES if address not in hosts)]


def _authority_in(directory: Path) -> Authority:
    certificate, key = directory / "ca.pem", directory / "ca.key"
    if certificate.exists():
        loaded = load_pem_private_key(key.read_bytes(), None)
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            message = f"{key} is not a key on an elliptic curve"
            raise ValueError(message)
        return Authority(x509.load_pem_x509_certificate(certificate.read_bytes()), loaded)
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tallykeeper authority")])
    only_signs = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    signed = (
        _builder(name, name, private.public_key(), _AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(only_signs, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        .sign(private, hashes.SHA256())
    )
    _write(directory / "ca", signed, private)
    return Authority(signed, private)


def _issue(
    path: Path, authority: Authority, names: Sequence[x509.GeneralName], usage: x509.ObjectIdentifier, days: int
) -> list[Path]:
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, path.name)])
    # All authorities have one name. Without the identifier, a bundle of two of them would not verify the certificate.
    signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    signed = (
        _builder(subject, authority.certificate.subject, private.public_key(), days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(signer, critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return _write(path, signed, private)


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + timedelta(days=days))
    )


def _host_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write(path: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> list[Path]:
    """Write a certificate and its key in one step each, the key readable only by its owner."""
    files = {
        path.with_name(f"{path.name}.key"): key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        path.with_name(f"{path.name}.pem"): certificate.public_bytes(Encoding.PEM),
    }
    for file, data in files.items():
        replace_file(file, data, mode=0o600 if file.suffix == ".key" else 0o644)
    return list(files)


def replace_file(file: Path, data: bytes, *, mode: int) -> None:
    """Write a file in one step, in place of an existing one.

    :raises OSError: the file cannot be written.
    """
    draft = file.with_name(f".{file.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with open(descriptor, "wb") as opened:  # noqa: PTH123  # it is open already, with its mode
        if not mode & 0o077:
            os.fchmod(descriptor, mode)  # independent of the umask and of the file system's defaults
        opened.write(data)
        opened.flush()
        os.fsync(descriptor)  # so that a power cut leaves the old file or the new one
    draft.replace(file)
