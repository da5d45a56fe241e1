"""The connection to a backend: TLS in both directions, its errors, and what is sent again."""

import time
from pathlib import Path

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from tallykeeper_server.cli.certificate_authority import make_certificates
from tallykeeper_server.tracing.collector import Collector
from tests.tracing.backend import Backend

EMPTY = b""
"""A request without spans."""
LARGE = ExportTraceServiceRequest(
    resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=[Span(name="a" * 1_000)] * 1_000)])]
).SerializeToString()
"""A request of a thousand spans, which is larger than what gRPC keeps for its own retries (256 KiB)."""


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

        assert collector.export(EMPTY, timeout_seconds=20) is None
        assert len(backend.metadata) == 1


def test_a_backend_that_asks_for_a_certificate_refuses_an_exporter_without_one(certificates: Path) -> None:
    with secured(certificates, mutual=True) as backend:
        collector = Collector(variables(backend, certificates, own=False))

        refusal = collector.export(EMPTY, timeout_seconds=1)

        assert refusal is not None
        assert refusal.error.startswith(("UNAVAILABLE: ", "DEADLINE_EXCEEDED: "))
        assert backend.metadata == []


def test_an_endpoint_without_a_scheme_is_secure_unless_a_variable_says_otherwise(certificates: Path) -> None:
    with secured(certificates, mutual=False) as backend:
        secure = variables(backend, certificates, own=False) | {"OTEL_EXPORTER_OTLP_ENDPOINT": backend.target}
        assert Collector(secure).export(EMPTY, timeout_seconds=20) is None
    with Backend() as backend:
        plain = {"OTEL_EXPORTER_OTLP_ENDPOINT": backend.target, "OTEL_EXPORTER_OTLP_INSECURE": "true"}
        assert Collector(plain).export(EMPTY, timeout_seconds=20) is None


def test_a_timeout_in_milliseconds_does_not_bind_the_exporter_for_hours() -> None:
    assert Collector({"OTEL_EXPORTER_OTLP_TIMEOUT": "10000"}).timeout_seconds == 60


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
    assert collector.export(EMPTY, timeout_seconds=20) is None


def collector_of(backend: Backend) -> Collector:
    """Return a collector that sends to a backend in plaintext."""
    return Collector({"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{backend.target}"})


def refuse(backend: Backend, *codes: grpc.StatusCode, details: bytes = b"") -> None:
    """Let the backend refuse the next exports with some codes, one after another."""
    backend.refusals = [(code, details) for code in codes]


def asking(seconds: float) -> bytes:
    """Return the details with which a backend asks to wait some seconds."""
    status = Status()
    whole = int(seconds)
    delay = Duration(seconds=whole, nanos=int((seconds - whole) * 1e9))
    status.details.add().Pack(RetryInfo(retry_delay=delay))
    return status.SerializeToString()


def test_a_large_request_is_sent_again(own_backend: Backend) -> None:
    refuse(own_backend, grpc.StatusCode.UNAVAILABLE)

    assert collector_of(own_backend).export(LARGE, timeout_seconds=20) is None
    assert len(own_backend.metadata) == 2
    assert len(own_backend.spans) == 1_000


@pytest.mark.parametrize("code", [grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE])
def test_a_request_is_sent_again_when_the_backend_asks(code: grpc.StatusCode, own_backend: Backend) -> None:
    refuse(own_backend, code, details=asking(0.75))
    began_at = time.monotonic()

    assert collector_of(own_backend).export(EMPTY, timeout_seconds=20) is None
    assert len(own_backend.metadata) == 2
    assert time.monotonic() - began_at >= 0.75


@pytest.mark.parametrize("details", [b"", b"\xff"])
def test_a_backend_that_is_exhausted_and_asks_for_nothing_gets_no_repeat(details: bytes, own_backend: Backend) -> None:
    refuse(own_backend, grpc.StatusCode.RESOURCE_EXHAUSTED, details=details)

    refusal = collector_of(own_backend).export(EMPTY, timeout_seconds=20)

    assert refusal is not None
    assert refusal.error.startswith("RESOURCE_EXHAUSTED: ")
    assert len(own_backend.metadata) == 1


@pytest.mark.parametrize("seconds", [30, 10**15])
def test_a_backend_that_asks_for_more_time_than_there_is_gets_no_repeat(seconds: int, own_backend: Backend) -> None:
    refuse(own_backend, grpc.StatusCode.UNAVAILABLE, details=asking(seconds))

    refusal = collector_of(own_backend).export(EMPTY, timeout_seconds=20)

    assert refusal is not None
    assert len(own_backend.metadata) == 1


def test_a_backend_that_comes_back_is_connected_to_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    options: list[tuple[str, object]] = []
    make = grpc.insecure_channel

    def noting(target: str, given: list[tuple[str, object]], compression: grpc.Compression) -> grpc.Channel:
        options.extend(given)
        return make(target, given, compression)

    monkeypatch.setattr(grpc, "insecure_channel", noting)
    Collector({})

    assert ("grpc.max_reconnect_backoff_ms", 5_000) in options
