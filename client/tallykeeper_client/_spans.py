"""Spans of a client's calls, for a client that has a tracer provider. Only such a client loads OpenTelemetry.

A span lasts from the call to its result, with all its retries. Its context travels with the call (W3C Trace Context),
so that the server's spans are its children.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from tallykeeper_client._calls.base import Call
from tallykeeper_client.errors import TallykeeperError
from tallykeeper_client.target import address_of

if TYPE_CHECKING:
    from opentelemetry.trace import Span, TracerProvider

Metadata: TypeAlias = tuple[tuple[str, str], ...]
"""The metadata of a call."""
SCOPE: Final = "tallykeeper_client"
_SCHEMA: Final = "https://opentelemetry.io/schemas/1.45.0"
"""The version of OpenTelemetry's semantic conventions that the names of attributes follow."""


class Spans(Protocol):
    """Makes the spans of a client's calls, or none."""

    def of(self, call: Call[Any]) -> AbstractContextManager[Metadata]:
        """Return a context for one call. It gives the metadata to send, and notes an error that is raised within it."""


def spans_of(provider: "TracerProvider | None", target: str, metadata: Metadata) -> Spans:
    """Return the spans of a client: those of a tracer provider, or none. ``metadata`` is that of every call."""
    return _NoSpans(metadata) if provider is None else _CallSpans(provider, target, metadata)


class _NoSpans:
    """The spans of a client without a tracer provider."""

    def __init__(self, metadata: Metadata) -> None:
        self._context = nullcontext(metadata)

    def of(self, _call: Call[Any]) -> AbstractContextManager[Metadata]:
        return self._context


class _CallSpans:
    """The spans of a client with a tracer provider."""

    def __init__(self, provider: "TracerProvider", target: str, metadata: Metadata) -> None:
        # A client without a provider must not load OpenTelemetry.
        from opentelemetry import propagate, trace  # noqa: PLC0415

        self._trace = trace
        self._inject = propagate.inject
        self._tracer = provider.get_tracer(SCOPE, version("tallykeeper"), schema_url=_SCHEMA)
        self._metadata = metadata
        self._address: dict[str, str | int] = {}
        address = address_of(target)
        if address is not None:
            self._address = {"server.address": address.host, "server.port": address.port}

    @contextmanager
    def of(self, call: Call[Any]) -> Iterator[Metadata]:
        method = call.path.removeprefix("/")
        attributes: dict[str, str | int] = {"rpc.system.name": "grpc", "rpc.method": method, **self._address}
        if namespace := getattr(call.request, "namespace", ""):
            attributes["tallykeeper.namespace"] = namespace
        # It does not become the current span: a generator would let it leak into the code that reads the stream.
        span = self._tracer.start_span(method, kind=self._trace.SpanKind.CLIENT, attributes=attributes)
        headers: dict[str, str] = {}
        self._inject(headers, self._trace.set_span_in_context(span))
        try:
            yield (*self._metadata, *((name.lower(), value) for name, value in headers.items()))
        except TallykeeperError as error:
            self._note(span, error)
            raise
        except GeneratorExit:  # the caller has read as much of a stream as it wants
            raise
        except BaseException as error:
            span.set_attribute("error.type", type(error).__qualname__)
            span.set_status(self._trace.StatusCode.ERROR)
            raise
        else:
            span.set_attribute("rpc.status_code", "OK")
        finally:
            span.end()

    def _note(self, span: "Span", error: TallykeeperError) -> None:
        """Note the error with which a call ended."""
        span.set_attribute("rpc.status_code", error.code.name)
        span.set_attribute("error.type", error.reason)
        span.set_attribute("tallykeeper.reason", error.reason)
        span.set_status(self._trace.StatusCode.ERROR)
