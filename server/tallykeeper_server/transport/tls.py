"""TLS for the server: the certificate, the authorities for clients, and their replacement while the server runs."""

import ssl
from pathlib import Path
from typing import Final, Protocol

_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""The ciphers for TLS 1.2. RFC 9113, section 9.2.2, prohibits the others. TLS 1.3 has no prohibited cipher."""


class TlsFilesError(Exception):
    """The files cannot be used. The message names the file and the reason."""


class TlsContexts(Protocol):
    """A source of the TLS context for the next connection, such as ServerTls."""

    @property
    def context(self) -> ssl.SSLContext:
        """The context for the next connection."""


class ServerTls:
    """A certificate with its key and, for mutual TLS, the authorities that sign the certificates of clients.

    A new connection uses the files as of the last successful reading. Other connections keep their certificate.
    """

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None = None, *, alpn: str = "h2") -> None:
        """Read PEM files. With ``client_ca``, each client needs a certificate that one of these authorities has signed.

        ``alpn`` is the protocol that is spoken, by its name in ALPN.

        :raises TlsFilesError: a file cannot be used.
        """
        self._certificate = certificate
        self._key = key
        self._client_ca = client_ca
        self._alpn = alpn
        self.context = self._read()
        """The TLS context for the next connection."""

    def reload(self) -> None:
        """Read the files again.

        :raises TlsFilesError: a file cannot be used. New connections use the former files.
        """
        self.context = self._read()

    def _read(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(_CIPHERS)
        context.set_alpn_protocols([self._alpn])
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        try:
            context.load_cert_chain(self._certificate, self._key, password=_no_password)
        except (OSError, ValueError) as error:
            message = f"{self._certificate} and {self._key} cannot be used: {error}"
            raise TlsFilesError(message) from error
        if self._client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            try:
                context.load_verify_locations(self._client_ca)
            except (OSError, ValueError) as error:
                message = f"{self._client_ca} cannot be used: {error}"
                raise TlsFilesError(message) from error
        return context


def _no_password() -> str:
    message = "the key has a password, which the server cannot enter"
    raise ValueError(message)
