"""Reads and checks the files of the server's certificate, and reads them again when they change."""

import ssl
from datetime import UTC, datetime
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from tallykeeper_server.access.file_stamps import FileStamp, stamp_of
from tallykeeper_server.app.store_startup import StartError
from tallykeeper_server.settings import Settings
from tallykeeper_server.transport.tls import ServerTls, TlsFilesError

log = structlog.get_logger()


class TlsFiles:
    """A certificate and its key, and for mutual TLS the certificates of the authorities of clients.

    The transport asks for the context at each handshake, so each new connection uses the files as they are then. Open
    connections keep their certificate.
    """

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None, *, alpn: str) -> None:
        """Read the files.

        :raises StartError: a file cannot be used. The message names it and says why.
        """
        self._certificate = certificate
        self._key = key
        self._client_ca = client_ca
        self._seen = self._stamps()
        self._leaf = self._check()
        try:
            self._tls = ServerTls(certificate, key, client_ca, alpn=alpn)
        except TlsFilesError as error:
            raise StartError(str(error)) from error

    @property
    def context(self) -> ssl.SSLContext:
        """The TLS context for the next connection, from the files as they were when they were last correct."""
        stamps = self._stamps()
        if stamps != self._seen:
            self._seen = stamps
            try:
                leaf = self._check()
                self._tls.reload()
            except (StartError, TlsFilesError) as error:
                log.error("the certificate stays as it was", error=str(error))  # noqa: TRY400  # the line says it all
            else:
                self._leaf = leaf
                log.info("the certificate has changed", file=str(self._certificate))
        return self._tls.context

    @property
    def lifetime(self) -> tuple[float, float]:
        """The beginning and the end of the certificate that the next connection gets, in seconds since 1970."""
        self.context  # noqa: B018  # reads changed files
        return self._leaf.not_valid_before_utc.timestamp(), self._leaf.not_valid_after_utc.timestamp()

    def _check(self) -> x509.Certificate:
        leaf = _checked_leaf(self._certificate, _read(self._certificate), self._key, _read(self._key))
        if self._client_ca is not None:
            _certificates_in(self._client_ca, _read(self._client_ca))
        return leaf

    def _stamps(self) -> list[FileStamp]:
        return [stamp_of(path) for path in (self._certificate, self._key, self._client_ca) if path is not None]


def tls_files(settings: Settings, *, alpn: str = "h2") -> TlsFiles | None:
    """Return the files that the settings name; None without a certificate. ``alpn`` is the protocol to agree on.

    :raises StartError: a file cannot be used.
    """
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    return TlsFiles(settings.tls_certificate, settings.tls_key, settings.tls_client_ca, alpn=alpn)


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


def _checked_leaf(certificate: Path, chain: bytes, key: Path, secret: bytes) -> x509.Certificate:
    """Return the first certificate of a chain, which can be used with a key.

    :raises StartError: one of them is not in PEM form, they do not belong together, or the certificate has expired.
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
    return first
