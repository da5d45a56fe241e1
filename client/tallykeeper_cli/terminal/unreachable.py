"""Why a server cannot be reached: after a call has failed, a plain connection is tried and says what stands in the way.

gRPC reports the last address that it tried, which need not be the one where somebody listens, and words a fault of TLS
in many ways. So each address of the target is connected to, and the first that answers decides.
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
"""What a client of HTTP/2 sends first: the preface and empty SETTINGS."""
_FRAME_HEAD_BYTES: Final = 9
_SETTINGS_FRAME: Final = 4
_TLS_ALERT: Final = 0x15
_UNTRUSTED: Final = frozenset({2, 7, 18, 19, 20, 21})
"""OpenSSL's numbers for an authority that is not known, or signs itself."""
_EXPIRED, _NOT_YET, _OTHER_NAME, _OTHER_ADDRESS = 10, 9, 62, 64
_PROXY_VARIABLES: Final = ("grpc_proxy", "https_proxy", "http_proxy")
_NO_PROXY_VARIABLES: Final = ("no_grpc_proxy", "no_proxy")


def cause_of(connection: Connection, environment: Mapping[str, str] = os.environ) -> Cause | None:
    """Say what keeps calls from a server; None if a connection can be made, or the target is not an address."""
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
    """Connect to each address of a host in turn, and note those that fail."""
    try:
        found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no host name"
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
    """Shake hands as gRPC would, and say what fails."""
    context = ssl.create_default_context(cafile=connection.ca)
    context.set_alpn_protocols(["h2"])
    if connection.certificate and connection.key:
        context.load_cert_chain(connection.certificate, connection.key)
    try:
        with context.wrap_socket(opened, server_hostname=address.host) as secured:
            if secured.selected_alpn_protocol() != "h2":
                return "the server there speaks TLS and not HTTP/2, so it is no gRPC server"
            # With TLS 1.3, a server refuses a certificate only now. What is sent before that could lose its alert.
            secured.recv(1)
    except ssl.SSLCertVerificationError as error:
        return _certificate_cause(error, address, connection)
    except ssl.SSLError as error:
        return _handshake_cause(error, connection)
    except TimeoutError:
        return ""  # it waits for a call
    except OSError as error:
        return f"the server there ends the TLS handshake ({error.strerror or 'no answer'})"
    return ""


def _certificate_cause(error: ssl.SSLCertVerificationError, address: Address, connection: Connection) -> str:
    number = error.verify_code
    if number in {_OTHER_NAME, _OTHER_ADDRESS}:
        return f"the server's certificate is for another name than {address.host!r}; name the server as it does"
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
    """Begin HTTP/2 without TLS, and say what answers if it is not HTTP/2."""
    answer = b""
    with suppress(OSError):
        opened.sendall(_PREFACE)
        while len(answer) < _FRAME_HEAD_BYTES and (read := opened.recv(_FRAME_HEAD_BYTES - len(answer))):
            answer += read
    if len(answer) == _FRAME_HEAD_BYTES and answer[3] == _SETTINGS_FRAME:
        return ""
    if answer.startswith(b"HTTP/1"):
        return "an HTTP/1 server listens there, and no gRPC server"
    if answer[:1] == bytes((_TLS_ALERT,)) or _speaks_tls(address):
        return "the server there speaks TLS; name the authorities that vouch for it with --ca"
    if answer:
        return "what listens there is no gRPC server"
    return "what listens there does not answer as a gRPC server"


def _speaks_tls(address: Address) -> bool:
    """Tell whether a TLS handshake gets anywhere; nothing is sent over it, and so nobody need be trusted."""
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
    """Return the variable that names the proxy by whose way gRPC goes to a host, and where it is; None without one."""
    if is_loopback(address.host):
        return None
    exempt = next((environment[name] for name in _NO_PROXY_VARIABLES if environment.get(name)), "")
    if any(_is_exempt(address.host, suffix.strip()) for suffix in exempt.split(",")):
        return None
    for name in _PROXY_VARIABLES:
        if value := environment.get(name):
            found = urlsplit(value if "://" in value else f"http://{value}")
            with suppress(ValueError):  # a port that is none: gRPC uses no such proxy
                return (name, Address(found.hostname, found.port or 80)) if found.hostname else None
    return None


def _is_exempt(host: str, suffix: str) -> bool:
    return bool(suffix) and host.endswith(suffix)


def _proxy_cause(address: Address, variable: str, proxy: Address) -> str:
    failures: list[str] = []
    around = f"no_proxy={address.host} goes around it"
    for opened in _connections(proxy, failures):
        opened.close()
        return f"the proxy {proxy.host}:{proxy.port} of {variable} does not lead there; {around}"
    return f"the proxy {proxy.host}:{proxy.port} of {variable} cannot be reached ({'; '.join(failures)}); {around}"
