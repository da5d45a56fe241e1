"""The reason why a server cannot be reached. After a call has failed, a plain connection is tried to find it.

gRPC reports the last address that it tried, which may not be the one where a server listens. It describes an error of
TLS in many ways. So this module connects to each address of the target, and the first that answers decides.
"""

import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from typing import Final, cast
from urllib.parse import urlsplit

from tallykeeper_cli.terminal.connection_options import Connection
from tallykeeper_cli.terminal.failures import Cause
from tallykeeper_client.target import Address, address_of, is_loopback

_PATIENCE_SECONDS: Final = 2.0
_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""The first bytes of an HTTP/2 client: the preface and empty SETTINGS."""
_FRAME_HEAD_BYTES: Final = 9
_SETTINGS_FRAME: Final = 4
_TLS_ALERT: Final = 0x15
_UNTRUSTED: Final = frozenset({2, 7, 18, 19, 20, 21})
"""OpenSSL's numbers for an authority that is unknown or signs itself."""
_EXPIRED, _NOT_YET, _OTHER_NAME, _OTHER_ADDRESS = 10, 9, 62, 64
_PROXY_VARIABLES: Final = ("grpc_proxy", "https_proxy", "http_proxy")
_NO_PROXY_VARIABLES: Final = ("no_grpc_proxy", "no_proxy")


def cause_of(connection: Connection, environment: Mapping[str, str] = os.environ) -> Cause | None:
    """Return the reason why calls do not reach a server; None if a connection succeeds or the target is no address."""
    address = address_of(connection.target)
    if address is None:
        return _cause(_unix_cause(connection.target), may_pass=True)
    proxy = _proxy_of(address, environment)
    if proxy is not None:
        return _cause(_proxy_cause(address, *proxy), may_pass=True)
    failures: list[str] = []
    for opened in _connections(address, failures):
        with closing(opened):
            return _cause(_cause_at(opened, address, connection), may_pass=False)
    return _cause("; ".join(dict.fromkeys(failures)), may_pass=True)


def _cause(text: str, *, may_pass: bool) -> Cause | None:
    return Cause(text, may_pass) if text else None


def _connections(address: Address, failures: list[str]) -> Iterator[socket.socket]:
    """Connect to each address of a host in turn, and note the addresses that fail."""
    try:
        found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a host name"
        failures.append(f"the name {address.host!r} cannot be resolved: {reason}")
        return
    for family, kind, protocol, _, where in found:
        opened = socket.socket(family, kind, protocol)
        opened.settimeout(_PATIENCE_SECONDS)
        try:
            opened.connect(where)
        except OSError as error:
            opened.close()
            reason = error.strerror or "no answer"
            host, port = cast("tuple[str, int]", where[:2])
            failures.append(f"nobody listens at {host} port {port} ({reason.lower()})")
        else:
            yield opened


def _cause_at(opened: socket.socket, address: Address, connection: Connection) -> str:
    if connection.secured:
        return _tls_cause(opened, address, connection)
    return _plaintext_cause(opened, address)


def _tls_cause(opened: socket.socket, address: Address, connection: Connection) -> str:
    """Shake hands as gRPC would, and return the reason if that fails."""
    context = ssl.create_default_context(cafile=connection.ca)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # Python 3.13 sets it. gRPC accepts what it refuses.
    context.set_alpn_protocols(["h2"])
    if connection.certificate and connection.key:
        context.load_cert_chain(connection.certificate, connection.key)
    try:
        with context.wrap_socket(opened, server_hostname=address.host) as secured:
            if secured.selected_alpn_protocol() != "h2":
                return "the server there speaks TLS and not HTTP/2, so it is not a gRPC server"
            # With TLS 1.3, a server refuses a certificate only now. Bytes sent earlier could lose its alert.
            secured.recv(1)
    except ssl.SSLCertVerificationError as error:
        return _certificate_cause(error, address, connection)
    except ssl.SSLError as error:
        return _handshake_cause(error, connection)
    except TimeoutError:
        return ""  # the server waits for a call
    except OSError as error:
        return f"the server there ends the TLS handshake ({error.strerror or 'no answer'})"
    return ""


def _certificate_cause(error: ssl.SSLCertVerificationError, address: Address, connection: Connection) -> str:
    number = error.verify_code
    if number in {_OTHER_NAME, _OTHER_ADDRESS}:
        return f"the server's certificate is for another name than {address.host!r}; use the name in the certificate"
    if number in _UNTRUSTED:
        by = f"by the authorities in {connection.ca}" if connection.ca else "by an authority that this machine trusts"
        return f"the server's certificate is not signed {by}; name the right authorities with --ca"
    if number == _EXPIRED:
        return "the server's certificate has expired; the server needs a new one"
    if number == _NOT_YET:
        return "the server's certificate is not valid yet; compare the clocks of both machines"
    return f"the server's certificate is not accepted: {error.verify_message}"


def _handshake_cause(error: ssl.SSLError, connection: Connection) -> str:
    reason = (error.reason or "").upper()
    if "WRONG_VERSION_NUMBER" in reason or "RECORD_LAYER" in reason or "HTTP" in reason:
        return "the server there does not speak TLS; leave out --ca, --certificate and --key"
    if "CERTIFICATE_REQUIRED" in reason or (connection.certificate is None and "HANDSHAKE_FAILURE" in reason):
        return "the server asks for a certificate of the caller; give --certificate and --key"
    if "ALERT" in reason and connection.certificate is not None:
        return f"the server does not accept the certificate in {connection.certificate} ({reason.lower()})"
    return f"the server there ends the TLS handshake ({reason.replace('_', ' ').lower() or 'end of data'})"


def _plaintext_cause(opened: socket.socket, address: Address) -> str:
    """Begin HTTP/2 without TLS, and return a description of a server that does not speak HTTP/2."""
    answer = b""
    with suppress(OSError):
        opened.sendall(_PREFACE)
        while len(answer) < _FRAME_HEAD_BYTES and (read := opened.recv(_FRAME_HEAD_BYTES - len(answer))):
            answer += read
    if len(answer) == _FRAME_HEAD_BYTES and answer[3] == _SETTINGS_FRAME:
        return ""
    if answer.startswith(b"HTTP/1"):
        return "an HTTP/1 server listens there, not a gRPC server"
    if answer[:1] == bytes((_TLS_ALERT,)) or _speaks_tls(address):
        return "the server there speaks TLS; name its authorities with --ca"
    if answer:
        return "the program that listens there is not a gRPC server"
    return "the program that listens there does not answer as a gRPC server"


def _speaks_tls(address: Address) -> bool:
    """Return True if the server begins a TLS handshake. Nothing is sent over it, so nobody must be trusted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    for opened in _connections(address, []):
        with closing(opened), suppress(OSError), context.wrap_socket(opened, server_hostname=address.host):
            return True
        return False
    return False


def _unix_cause(target: str) -> str:
    scheme, _, path = target.partition(":")
    if scheme != "unix":
        return ""
    with closing(socket.socket(socket.AF_UNIX)) as opened:
        opened.settimeout(_PATIENCE_SECONDS)
        try:
            opened.connect(path.removeprefix("//"))
        except OSError as error:
            return f"the socket {path.removeprefix('//')} cannot be connected to ({(error.strerror or '').lower()})"
    return ""


def _proxy_of(address: Address, environment: Mapping[str, str]) -> tuple[str, Address] | None:
    """Return the proxy that gRPC uses for a host: the variable that names it, and its address; None without a proxy."""
    if is_loopback(address.host):
        return None
    exempt = next((environment[name] for name in _NO_PROXY_VARIABLES if environment.get(name)), "")
    if any(_is_exempt(address.host, suffix.strip()) for suffix in exempt.split(",")):
        return None
    for name in _PROXY_VARIABLES:
        if value := environment.get(name):
            found = urlsplit(value if "://" in value else f"http://{value}")
            with suppress(ValueError):  # the port is not a number: gRPC does not use the proxy
                return (name, Address(found.hostname, found.port or 80)) if found.hostname else None
    return None


def _is_exempt(host: str, suffix: str) -> bool:
    return bool(suffix) and host.endswith(suffix)


def _proxy_cause(address: Address, variable: str, proxy: Address) -> str:
    failures: list[str] = []
    around = f"set no_proxy={address.host} to avoid it"
    for opened in _connections(proxy, failures):
        opened.close()
        return f"the proxy {proxy.host}:{proxy.port} of {variable} does not connect to it; {around}"
    return f"the proxy {proxy.host}:{proxy.port} of {variable} cannot be reached ({'; '.join(failures)}); {around}"
