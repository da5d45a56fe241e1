"""The connection to the backend that takes spans: OTLP over gRPC, as the OTEL_EXPORTER_OTLP_* variables say.

https://opentelemetry.io/docs/specs/otel/protocol/exporter/ describes the variables. Each also exists for traces alone,
as OTEL_EXPORTER_OTLP_TRACES_*, which takes precedence.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tallykeeper_server.tracing.environment import TraceSettingError

_PREFIXES: Final = ("OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_")
_EXPORT: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_ENDPOINT: Final = "http://localhost:4317"
_TIMEOUT_SECONDS: Final = "10"
_RETRIED: Final = (
    *("CANCELLED", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"),
)
"""The codes after which OTLP asks to send again."""
_SERVICE_CONFIG: Final = {
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.5s",
                "maxBackoff": "5s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": _RETRIED,
            },
        }
    ]
}
_COMPRESSIONS: Final = {
    "": grpc.Compression.NoCompression,
    "none": grpc.Compression.NoCompression,
    "gzip": grpc.Compression.Gzip,
}


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

    def export(self, request: bytes, *, timeout_seconds: float) -> str:
        """Send an ExportTraceServiceRequest. Return the error if the backend does not take all spans, else nothing."""
        try:
            response = self._export(request, timeout=timeout_seconds, metadata=self._metadata)
        except grpc.RpcError as error:
            return f"{error.code().name}: {error.details()}"  # every error of a call has both
        rejected = response.partial_success.rejected_spans
        return f"the backend rejected {rejected} spans: {response.partial_success.error_message}" if rejected else ""

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
        return seconds

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
        options = [("grpc.service_config", json.dumps(_SERVICE_CONFIG))]
        insecure = parts.scheme == "http" or (not parts.scheme and self._value("INSECURE")[1].lower() == "true")
        if insecure:
            return grpc.insecure_channel(parts.netloc, options, _COMPRESSIONS[compression])
        return grpc.secure_channel(parts.netloc, self._credentials(), options, _COMPRESSIONS[compression])

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
