"""Reads the names of a certificate: its subject alternative names, each with its kind.

A name is a text such as ``dns:shop.example``, ``uri:spiffe://shop.example/web``, ``email:web@shop.example`` or
``ip:10.0.0.7``. With its kind, a name of one kind is never confused with a name of another kind. The access file
contains the same texts.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from cryptography import x509

from tallykeeper_server.access.errors import CredentialInvalidError, Fault

RULE: Final = (
    "a subject alternative name with its kind: dns:shop.example, uri:spiffe://shop.example/web, email:web@shop.example"
    " or ip:10.0.0.7"
)
_REMEMBERED_MAX: Final = 4_096
"""The number of certificates whose names are remembered. To read a certificate takes 60 µs, with each call."""
_PEM: Final = b"-----BEGIN"
_VISIBLE: Final = re.compile(r"[!-~]+")
_DOMAIN: Final = re.compile(r"(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+")
_BARE_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[!-~]+")


def _domain(text: str) -> str:
    if not _DOMAIN.fullmatch(text):
        message = "it is not a domain name"
        raise ValueError(message)
    return text.lower()


def _uri(text: str) -> str:
    if not _URI.fullmatch(text):
        message = "it is not a URI with its scheme"
        raise ValueError(message)
    return text


def _email(text: str) -> str:
    local, at, domain = text.rpartition("@")
    if not (local and at and _VISIBLE.fullmatch(local)):
        message = "it is not an e-mail address"
        raise ValueError(message)
    return f"{local}@{_domain(domain)}"


def _ip(text: str) -> str:
    return str(ipaddress.ip_address(text))


_KINDS: Final[Mapping[str, Callable[[str], str]]] = {"dns": _domain, "uri": _uri, "email": _email, "ip": _ip}


def certificate_name(text: str) -> str:
    """Return a name in the form that is compared: with its kind, domains in lower case, addresses in shortest form.

    A text like ``scheme://…`` is a URI, because no name of another kind looks like it.

    :raises ValueError: the text names no kind, or does not fit the kind that it names.
    """
    if _BARE_URI.fullmatch(text):
        return f"uri:{text}"
    kind, _, name = text.partition(":")
    if kind not in _KINDS:
        message = "it names no kind"
        raise ValueError(message)
    return f"{kind}:{_KINDS[kind](name)}"


@lru_cache(_REMEMBERED_MAX)
def names_in_certificate(data: bytes) -> tuple[str, ...]:
    """Return the names in a certificate in PEM or DER form. Kinds that the access file does not know are left out.

    :raises CredentialInvalidError: the certificate cannot be read, or a name has a control character. Some programs end
        a name at a NUL, so such a name has more than one meaning.
    """
    try:
        loads_pem = data.startswith(_PEM)
        certificate = x509.load_pem_x509_certificate(data) if loads_pem else x509.load_der_x509_certificate(data)
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    except ValueError as error:
        raise CredentialInvalidError(Fault.CERTIFICATE_UNREADABLE) from error
    return tuple(name for each in extension.value if (name := _name_of(each)))


def _name_of(name: x509.GeneralName) -> str:
    """Return a name with its kind; an empty text for a kind that the access file does not know."""
    if isinstance(name, x509.IPAddress):
        return f"ip:{name.value}"
    if isinstance(name, x509.DNSName):
        return f"dns:{_visible(name.value).lower()}"
    if isinstance(name, x509.UniformResourceIdentifier):
        return f"uri:{_visible(name.value)}"
    if isinstance(name, x509.RFC822Name):
        local, at, domain = _visible(name.value).rpartition("@")
        return f"email:{local}{at}{domain.lower()}"
    return ""


def _visible(text: str) -> str:
    if not _VISIBLE.fullmatch(text):
        raise CredentialInvalidError(Fault.CERTIFICATE_CHARACTERS)
    return text
