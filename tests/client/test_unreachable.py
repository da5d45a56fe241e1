"""The causes of a server that cannot be reached. Each fault is reported by its own cause, not by gRPC's words."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from tallykeeper_cli.main import main
from tallykeeper_cli.terminal.connection_options import Connection
from tallykeeper_cli.terminal.unreachable import cause_of
from tallykeeper_server.cli.certificate_authority import make_certificates
from tests.support.server import ThreadedServer, free_ports

Serve = Callable[[socket.socket], None]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make certificates of one authority, and in ``others`` those of a second authority."""
    directory = tmp_path_factory.mktemp("certificates")
    make_certificates(directory, hosts=["localhost"], clients=["web"], days=2)
    make_certificates(directory / "others", hosts=["localhost"], clients=["web"], days=2)
    return directory


@contextmanager
def _listening(serve: Serve, host: str = "127.0.0.1") -> Iterator[int]:
    """Accept connections on a free port, one after another, and pass each to ``serve``."""
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:

        def accept() -> None:
            while True:
                try:
                    opened, _ = listener.accept()
                except OSError:
                    return
                with closing(opened), suppress(OSError):
                    opened.settimeout(10)
                    serve(opened)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def _tls(directory: Path, *, alpn: str = "h2", client_ca: Path | None = None) -> Serve:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=client_ca)
    context.load_cert_chain(directory / "server.pem", directory / "server.key")
    context.set_alpn_protocols([alpn])
    context.verify_mode = ssl.CERT_REQUIRED if client_ca else ssl.CERT_NONE

    def serve(opened: socket.socket) -> None:
        with context.wrap_socket(opened, server_side=True) as secured:
            secured.sendall(bytes((0, 0, 0, 4, 0, 0, 0, 0, 0)))

    return serve


def _says(answer: bytes) -> Serve:
    def serve(opened: socket.socket) -> None:
        opened.recv(24)
        opened.sendall(answer)

    return serve


def _connection(target: str, **files: Path) -> Connection:
    plain = Connection(target=target, ca=None, certificate=None, key=None, token_file=None, token=None)
    return replace(plain, **files)  # type: ignore[arg-type]  # by name


def _cause(target: str, environment: dict[str, str] | None = None, **files: Path) -> str:
    found = cause_of(_connection(target, **files), environment or {})
    return found.text if found else ""


def _issue_again(
    directory: Path,
    certificates: Path,
    *,
    begins: int = -1,
    ends: int = 1,
    without: type[x509.ExtensionType] | None = None,
) -> None:
    """Copy the server's certificate into a folder, with a validity in days from now, and without an extension."""
    key = serialization.load_pem_private_key((certificates / "ca.key").read_bytes(), None)
    authority = x509.load_pem_x509_certificate((certificates / "ca.pem").read_bytes())
    server = x509.load_pem_x509_certificate((certificates / "server.pem").read_bytes())
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        issuer_name=authority.subject,
        subject_name=server.subject,
        public_key=server.public_key(),
        serial_number=7,
        not_valid_before=now + timedelta(days=begins),
        not_valid_after=now + timedelta(days=ends),
        extensions=[each for each in server.extensions if without is None or not isinstance(each.value, without)],
    )
    issued = builder.sign(key, hashes.SHA256())  # type: ignore[arg-type]  # the key that signs certificates
    (directory / "server.pem").write_bytes(issued.public_bytes(serialization.Encoding.PEM))
    (directory / "server.key").write_bytes((certificates / "server.key").read_bytes())


def test_an_authority_that_did_not_sign_the_certificate_is_named(certificates: Path) -> None:
    wrong = certificates / "others" / "ca.pem"

    with _listening(_tls(certificates)) as port:
        assert _cause(f"localhost:{port}", ca=certificates / "ca.pem") == ""
        cause = _cause(f"localhost:{port}", ca=wrong)

    assert cause == (
        f"the server's certificate is not signed by the authorities in {wrong}; name the right authorities with --ca"
    )


def test_the_address_that_answers_decides_not_the_last_one(certificates: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with _listening(_tls(certificates)) as port:
        (nobody,) = free_ports(1)
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", each)) for each in (nobody, port, nobody)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)

        assert "is not signed by" in _cause(f"localhost:{port}", ca=certificates / "others" / "ca.pem")


def test_a_certificate_for_another_name_is_reported(tmp_path: Path) -> None:
    make_certificates(tmp_path, hosts=["shop.example"], clients=[], days=2)

    with _listening(_tls(tmp_path)) as port:
        cause = _cause(f"127.0.0.1:{port}", ca=tmp_path / "ca.pem")

    assert cause == "the server's certificate is for another name than '127.0.0.1'; use the name in the certificate"


@pytest.mark.parametrize(
    ("begins", "ends", "words"),
    [(-2, -1, "the server's certificate has expired"), (1, 2, "is not valid yet; compare the clocks")],
)
def test_a_certificate_outside_its_validity_is_reported(
    tmp_path: Path, certificates: Path, *, begins: int, ends: int, words: str
) -> None:
    _issue_again(tmp_path, certificates, begins=begins, ends=ends)

    with _listening(_tls(tmp_path)) as port:
        assert words in _cause(f"localhost:{port}", ca=certificates / "ca.pem")


def test_a_certificate_that_grpc_accepts_is_no_cause(tmp_path: Path, certificates: Path) -> None:
    """Python 3.13 refuses a certificate that does not identify the key of its authority."""
    _issue_again(tmp_path, certificates, without=x509.AuthorityKeyIdentifier)

    with _listening(_tls(tmp_path)) as port:
        assert _cause(f"localhost:{port}", ca=certificates / "ca.pem") == ""


def test_a_server_that_asks_for_a_certificate_is_reported(certificates: Path) -> None:
    with _listening(_tls(certificates, client_ca=certificates / "ca.pem")) as port:
        cause = _cause(f"localhost:{port}", ca=certificates / "ca.pem")
        wrong = certificates / "others"
        not_known = _cause(
            f"localhost:{port}",
            ca=certificates / "ca.pem",
            certificate=wrong / "web.pem",
            key=wrong / "web.key",
        )

    assert cause == "the server asks for a certificate of the caller; give --certificate and --key"
    assert not_known.startswith(f"the server does not accept the certificate in {wrong / 'web.pem'}")


def test_tls_against_plaintext_and_the_reverse_are_reported(certificates: Path, server: ThreadedServer) -> None:
    port = server.target.rpartition(":")[2]

    assert _cause(f"localhost:{port}") == ""
    assert _cause(f"localhost:{port}", ca=certificates / "ca.pem") == (
        "the server there does not speak TLS; leave out --ca, --certificate and --key"
    )
    with _listening(_tls(certificates)) as secure:
        assert _cause(f"localhost:{secure}") == ("the server there speaks TLS; name its authorities with --ca")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "an HTTP/1 server listens there, not a gRPC server"),
        (b"-ERR unknown command\r\n", "the program that listens there is not a gRPC server"),
        (b"", "the program that listens there does not answer as a gRPC server"),
    ],
)
def test_a_server_of_another_kind_is_reported(answer: bytes, words: str) -> None:
    with _listening(_says(answer)) as port:
        assert _cause(f"127.0.0.1:{port}") == words


def test_a_tls_server_without_http_2_is_reported(certificates: Path) -> None:
    with _listening(_tls(certificates, alpn="http/1.1")) as port:
        cause = _cause(f"localhost:{port}", ca=certificates / "ca.pem")

    assert "so it is not a gRPC server" in cause or "ends the TLS handshake" in cause


def test_each_address_without_a_server_is_named(tmp_path: Path, unused_tcp_port: int) -> None:
    path = tmp_path / "none.sock"

    assert _cause(f"127.0.0.1:{unused_tcp_port}") == (
        f"nobody listens at 127.0.0.1 port {unused_tcp_port} (connection refused)"
    )
    assert _cause(f"unix:{path}") == f"the socket {path} cannot be connected to (no such file or directory)"


def test_a_name_that_cannot_be_resolved_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    assert _cause("shop.example:1") == "the name 'shop.example' cannot be resolved: Name or service not known"


def test_a_proxy_in_between_is_named_without_its_password(unused_tcp_port: int) -> None:
    environment = {"http_proxy": f"http://me:secret@127.0.0.1:{unused_tcp_port}"}

    cause = _cause("shop.example:50051", environment)
    around = _cause("127.0.0.1:1", environment)

    assert cause == (
        f"the proxy 127.0.0.1:{unused_tcp_port} of http_proxy cannot be reached (nobody listens at 127.0.0.1 port "
        f"{unused_tcp_port} (connection refused)); set no_proxy=shop.example to avoid it"
    )
    assert "proxy" not in around


def test_a_command_reports_the_cause_in_one_line(
    capsys: pytest.CaptureFixture[str], certificates: Path, server: ThreadedServer
) -> None:
    port = server.target.rpartition(":")[2]
    secured = ("--target", f"localhost:{port}", "--ca", str(certificates / "ca.pem"), "--timeout", "1")

    assert main(["counter", "increment", "visits", *secured]) == 3

    assert capsys.readouterr().err == (
        f"tallykeeper: no Tallykeeper server answers at localhost:{port}: the server there does not speak TLS; "
        "leave out --ca, --certificate and --key\n"
    )


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"--ca": "empty"}, "holds no certificate in PEM form (--ca)"),
        ({"--ca": "missing"}, "cannot be read: No such file or directory"),
        ({"--certificate": "empty", "--key": "empty"}, "are not a certificate and its key in PEM form"),
        ({"--certificate": "empty"}, "give both or neither"),
    ],
)
def test_a_file_with_the_wrong_content_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, *, files: dict[str, str], words: str
) -> None:
    (tmp_path / "empty").touch()
    arguments = [part for option, name in files.items() for part in (option, str(tmp_path / name))]

    assert main(["counter", "list", *arguments]) == 2

    assert words in capsys.readouterr().err
