"""The connection to a backend: TLS in both directions, and its errors."""

from pathlib import Path

import grpc
import pytest

from tallykeeper_server.cli.certificate_authority import make_certificates
from tallykeeper_server.tracing.collector import Collector
from tests.tracing.backend import Backend

EMPTY = b""
"""A request without spans."""


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """The folder with an authority, and certificates for a backend and for an exporter."""
    make_certificates(tmp_path, hosts=["127.0.0.1"], clients=["exporter"], days=1)
    return tmp_path


def secured(certificates: Path, *, mutual: bool) -> Backend:
    """Return a backend with TLS. ``mutual``: its callers need a certificate."""
    key, certificate = ((certificates / name).read_bytes() for name in ("server.key", "server.pem"))
    authority = (certificates / "ca.pem").read_bytes() if mutual else None
    return Backend(grpc.ssl_server_credentials([(key, certificate)], authority, require_client_auth=mutual))


def variables(backend: Backend, certificates: Path, *, own: bool) -> dict[str, str]:
    """Return the environment of an exporter. ``own``: it has a certificate itself."""
    names = {"CERTIFICATE": "ca.pem"}
    if own:
        names |= {"CLIENT_KEY": "exporter.key", "CLIENT_CERTIFICATE": "exporter.pem"}
    files = {f"OTEL_EXPORTER_OTLP_{name}": str(certificates / file) for name, file in names.items()}
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"https://{backend.target}", **files}


@pytest.mark.parametrize("mutual", [False, True])
def test_spans_go_over_tls(mutual: bool, certificates: Path) -> None:  # noqa: FBT001  # a parameter
    with secured(certificates, mutual=mutual) as backend:
        collector = Collector(variables(backend, certificates, own=mutual))

        assert collector.export(EMPTY, timeout_seconds=20) == ""
        assert len(backend.metadata) == 1


def test_a_backend_that_asks_for_a_certificate_refuses_an_exporter_without_one(certificates: Path) -> None:
    with secured(certificates, mutual=True) as backend:
        collector = Collector(variables(backend, certificates, own=False))

        assert collector.export(EMPTY, timeout_seconds=1).startswith(("UNAVAILABLE: ", "DEADLINE_EXCEEDED: "))
        assert backend.metadata == []


def test_an_endpoint_without_a_scheme_is_secure_unless_a_variable_says_otherwise(certificates: Path) -> None:
    with secured(certificates, mutual=False) as backend:
        secure = variables(backend, certificates, own=False) | {"OTEL_EXPORTER_OTLP_ENDPOINT": backend.target}
        assert Collector(secure).export(EMPTY, timeout_seconds=20) == ""
    with Backend() as backend:
        plain = {"OTEL_EXPORTER_OTLP_ENDPOINT": backend.target, "OTEL_EXPORTER_OTLP_INSECURE": "true"}
        assert Collector(plain).export(EMPTY, timeout_seconds=20) == ""


def test_variables_for_traces_count_before_those_for_all(own_backend: Backend) -> None:
    collector = Collector(
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"http://{own_backend.target}",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "3",
            "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "4.5",
        }
    )

    assert collector.timeout_seconds == 4.5
    assert collector.export(EMPTY, timeout_seconds=20) == ""
