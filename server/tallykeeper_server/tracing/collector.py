"""The connection to the backend that takes spans: OTLP over gRPC, as the OTEL_EXPORTER_OTLP_* variables say.

https://opentelemetry.io/docs/specs/otel/protocol/exporter/ describes the variables. Each also exists for traces alone,
as OTEL_EXPORTER_OTLP_TRACES_*, which takes precedence.
"""

import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tallykeeper_server.tracing.environment import TraceSettingError

_PREFIXES: Final = ("OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_")
_EXPORT: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_ENDPOINT: Final = "http://localhost:4317"
_TIMEOUT_SECONDS: Final = "10"
_TIMEOUT_SECONDS_MAX: Final = 60.0
"""A longer timeout counts as this one. Other languages read milliseconds, so 10000 is common, and in seconds it would
leave the exporter for hours with a backend that does not answer."""
_RETRIED: Final = frozenset({"CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"})
"""The codes after which OTLP asks to send again."""
_THROTTLED: Final = "RESOURCE_EXHAUSTED"
"""After this code, OTLP asks to send again only if the backend says when."""
_DETAILS: Final = "grpc-status-details-bin"
_NS: Final = 1e9
_FIRST_PAUSE_SECONDS: Final = 0.5
_PAUSE_SECONDS_MAX: Final = 5.0
_OPTIONS: Final = (("grpc.max_reconnect_backoff_ms", 5_000),)
"""gRPC's own maximum is two minutes. For that time, spans would be lost after the backend has come back."""
_COMPRESSIONS: Final = {
    "": grpc.Compression.NoCompression,
    "none": grpc.Compression.NoCompression,
    "gzip": grpc.Compression.Gzip,
}


class Refusal(NamedTuple):
    """The answer of a backend that has not taken all spans of a request."""

    error: str
    spans: int | None = None
    """The number of spans that the backend has not taken; None for all."""


class Collector:
    """A backend that takes spans."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Make a channel to the backend that the environment names. It connects with the first export.

        :raises TraceSettingError: a variable breaks its rule, or names a file that cannot be read.
        """
        self._environment = environment
        self.timeout_seconds = self._timeout_seconds()
        """The time that one export may take with its retries, in seconds."""
        self._metadata = self._headers()
        self._export: Callable[..., Any] = self._channel().unary_unary(
            _EXPORT, response_deserializer=ExportTraceServiceResponse.FromString
        )

    def export(self, request: bytes, *, timeout_seconds: float) -> Refusal | None:
        """Send an ExportTraceServiceRequest. Return the refusal if the backend does not take all spans.

        The request is sent again until the timeout, as OTLP asks. gRPC's own retries keep at most 256 KiB of a
        request, which is less than 1,000 spans, and do not know RetryInfo.
        """
        ends_at = time.monotonic() + timeout_seconds
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                response = self._export(request, timeout=ends_at - time.monotonic(), metadata=self._metadata)
            except grpc.RpcError as error:
                wait = _seconds_until_retry(error, pause * random.uniform(0.8, 1.2))  # noqa: S311  # spreads the load
                if wait is None or time.monotonic() + wait >= ends_at:
                    return Refusal(f"{error.code().name}: {error.details()}")  # every error of a call has both
                time.sleep(wait)
                pause = min(2 * pause, _PAUSE_SECONDS_MAX)
            else:
                return _rejection_in(response)

    def _value(self, name: str, default: str = "") -> tuple[str, str]:
        """Return the name of the variable that counts, and its value."""
        for prefix in _PREFIXES:
            value = self._environment.get(prefix + name)
            if value:
                return prefix + name, value
        return _PREFIXES[1] + name, default

    def _timeout_seconds(self) -> float:
        name, text = self._value("TIMEOUT", _TIMEOUT_SECONDS)
        try:
            seconds = float(text)
        except ValueError:
            seconds = 0.0
        if not 0 < seconds < float("inf"):
            message = f"{name} = {text} must be a number of seconds above 0"
            raise TraceSettingError(message)
        return min(seconds, _TIMEOUT_SECONDS_MAX)

    def _headers(self) -> tuple[tuple[str, str], ...]:
        name, text = self._value("HEADERS")
        headers = []
        for pair in filter(None, (each.strip() for each in text.split(","))):
            key, equals, value = pair.partition("=")
            if not equals or not key.strip():
                message = f"{name} must be name=value pairs, joined by commas, with %2C for a comma in a value"
                raise TraceSettingError(message)  # without the pair, which may be a password
            headers.append((unquote(key.strip()).lower(), unquote(value.strip())))
        return tuple(headers)

    def _channel(self) -> grpc.Channel:
        name, endpoint = self._value("ENDPOINT", _ENDPOINT)
        parts = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}")
        if parts.scheme not in {"", "http", "https"} or not parts.netloc:
            message = f"{name} = {endpoint} must be http://host:port, or https://host:port with TLS"
            raise TraceSettingError(message)
        name, compression = self._value("COMPRESSION")
        if compression not in _COMPRESSIONS:
            message = f"{name} = {compression} must be gzip or none"
            raise TraceSettingError(message)
        insecure = parts.scheme == "http" or (not parts.scheme and self._value("INSECURE")[1].lower() == "true")
        if insecure:
            return grpc.insecure_channel(parts.netloc, _OPTIONS, _COMPRESSIONS[compression])
        return grpc.secure_channel(parts.netloc, self._credentials(), _OPTIONS, _COMPRESSIONS[compression])

    def _credentials(self) -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials(
            root_certificates=self._file("CERTIFICATE"),
            private_key=self._file("CLIENT_KEY"),
            certificate_chain=self._file("CLIENT_CERTIFICATE"),
        )

    def _file(self, name: str) -> bytes | None:
        variable, path = self._value(name)
        if not path:
            return None
        try:
            return Path(path).read_bytes()
        except OSError as error:
            message = f"{variable} = {path} cannot be read: {error.strerror}"
            raise TraceSettingError(message) from error


def _rejection_in(response: ExportTraceServiceResponse) -> Refusal | None:
    rejected, message = response.partial_success.rejected_spans, response.partial_success.error_message
    return Refusal(f"the backend rejected {rejected} spans: {message}", rejected) if rejected > 0 else None


def _seconds_until_retry(error: Any, pause_seconds: float) -> float | None:  # noqa: ANN401  # of grpc, without types
    """Return the seconds until the next attempt: the pause, or more if the backend asks for it; None for no attempt."""
    code, asked = error.code().name, _asked_seconds(error)
    if code in _RETRIED or (code == _THROTTLED and asked is not None):
        return max(pause_seconds, asked or 0.0)
    return None


def _asked_seconds(error: Any) -> float | None:  # noqa: ANN401  # of grpc, without types
    """Return the seconds that the backend asks to wait (google.rpc.RetryInfo); None if it does not ask."""
    info = RetryInfo()
    details = [value for name, value in error.trailing_metadata() or () if name == _DETAILS]
    try:
        asks = any(detail.Unpack(info) for value in details for detail in Status.FromString(value).details)
    except DecodeError:
        return None  # the code still counts
    return info.retry_delay.seconds + info.retry_delay.nanos / _NS if asks else None
