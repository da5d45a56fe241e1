"""The server's certificates: read from their files, looked at before they are used, and read again when they change."""

import threading
from datetime import UTC, datetime
from pathlib import Path

import grpc
import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from tallykeeper_server.file_stamps import FileStamp, stamp_of
from tallykeeper_server.settings import Settings
from tallykeeper_server.starting import StartError

log = structlog.get_logger()


class TlsFiles:
    """A certificate and its key, and for mutual TLS the authorities that vouch for clients.

    gRPC asks at each handshake: so what is in the files then is what the next connection meets, and what is connected
    stays so.
    """

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None) -> None:
        """Read the files.

        :raises StartError: one cannot be used. The message says which, and why.
        """
        self._certificate = certificate
        self._key = key
        self._client_ca = client_ca
        self._lock = threading.Lock()
        self._seen = self._stamps()
        self._configuration = self._read()

    def credentials(self) -> grpc.ServerCredentials:
        """Return what a listener is secured with; with authorities for clients, none gets in without a certificate."""
        return grpc.dynamic_ssl_server_credentials(
            self._configuration, self._fetch, require_client_authentication=self._client_ca is not None
        )

    def _fetch(self) -> grpc.ServerCertificateConfiguration:
        """Return the certificate by which to be known now. gRPC calls this on threads of its own."""
        with self._lock:
            stamps = self._stamps()
            if stamps != self._seen:
                self._seen = stamps
                try:
                    self._configuration = self._read()
                except StartError as error:
                    log.error("the certificate stays as it was", error=str(error))  # noqa: TRY400  # the line says it all
                else:
                    log.info("the certificate has changed", file=str(self._certificate))
            return self._configuration

    def _read(self) -> grpc.ServerCertificateConfiguration:
        chain, key = _read(self._certificate), _read(self._key)
        _check_pair(self._certificate, chain, self._key, key)
        authorities = None if self._client_ca is None else _read(self._client_ca)
        if self._client_ca is not None and authorities is not None:
            _certificates_in(self._client_ca, authorities)
        return grpc.ssl_server_certificate_configuration([(key, chain)], authorities)

    def _stamps(self) -> list[FileStamp]:
        return [stamp_of(path) for path in (self._certificate, self._key, self._client_ca) if path is not None]


def tls_files(settings: Settings) -> TlsFiles | None:
    """Return the files that the settings name; None if they name none.

    :raises StartError: one cannot be used.
    """
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    return TlsFiles(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise StartError(message) from error


def _certificates_in(path: Path, data: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError as error:
        message = f"{path} holds no certificate in PEM form"
        raise StartError(message) from error


def _check_pair(certificate: Path, chain: bytes, key: Path, secret: bytes) -> None:
    """Return if a certificate can be used with a key.

    :raises StartError: one is not in PEM form, they do not belong together, or the certificate has expired.
    """
    first = _certificates_in(certificate, chain)[0]
    try:
        public = load_pem_private_key(secret, None).public_key()
    except (ValueError, TypeError) as error:
        message = f"{key} holds no private key in PEM form without a password"
        raise StartError(message) from error
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if first.public_key().public_bytes(*form) != public.public_bytes(*form):
        message = f"{key} is not the key of {certificate}"
        raise StartError(message)
    if first.not_valid_after_utc < datetime.now(UTC):
        message = f"{certificate} has expired, on {first.not_valid_after_utc:%Y-%m-%d}"
        raise StartError(message)
