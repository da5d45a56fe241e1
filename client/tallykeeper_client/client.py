"""The client for code that waits: every call blocks its thread until the answer is there."""

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self

import grpc

from tallykeeper.v1.ledger_pb2 import Entry, VerifyNamespaceResponse, VerifyResult, WatchResponse
from tallykeeper_client._calls import ledger, pages
from tallykeeper_client._calls.base import Blocking, Call, Defaults, ResponseT, document
from tallykeeper_client._calls.batches import BatchMutations
from tallykeeper_client._calls.counters import CounterMutations, CounterReads
from tallykeeper_client._calls.health import HealthReads
from tallykeeper_client._calls.inventory import InventoryMutations, InventoryReads
from tallykeeper_client._calls.ledger import LedgerReads
from tallykeeper_client._calls.namespaces import NamespaceReads
from tallykeeper_client._calls.reservations import ReservationMutations, ReservationReads
from tallykeeper_client._channel import TIMEOUT_SECONDS_DEFAULT, channel_options, metadata_of
from tallykeeper_client._status_details import read_failure, unreachable
from tallykeeper_client._watch_retry import Following, ended
from tallykeeper_client.errors import TallykeeperError, Unavailable, error_of

_P = ParamSpec("_P")


def _iterator(
    listing: pages.Listing[_P, pages.PageT, pages.EachT],
) -> "Callable[Concatenate[Client, _P], Iterator[pages.EachT]]":
    """Make a method that goes through all pages of a listing."""

    def method(self: "Client", /, *args: _P.args, **kwargs: _P.kwargs) -> Iterator[pages.EachT]:
        call, more = listing.build(self._defaults, *args, **kwargs), True
        while more:
            page = self._send(call)
            yield from listing.on_page(page)
            more = pages.turn(call, page)

    listing.document(method, Iterator[listing.kind])  # type: ignore[name-defined]
    return method


def _watch_responses(
    build: Callable[Concatenate[Defaults, _P], Call[WatchResponse]],
) -> "Callable[Concatenate[Client, _P], Generator[WatchResponse]]":
    """Make a method that follows what ``build`` builds."""

    def method(self: "Client", /, *args: _P.args, **kwargs: _P.kwargs) -> Generator[WatchResponse]:
        return self._follow(build(self._defaults, *args, **kwargs))

    document(method, build, returns=Generator[WatchResponse])
    return method


def _watch(
    build: Callable[Concatenate[Defaults, _P], Call[WatchResponse]],
) -> "Callable[Concatenate[Client, _P], Generator[Entry]]":
    """Make a method that follows what ``build`` builds, and gives the entries alone."""

    def method(self: "Client", /, *args: _P.args, **kwargs: _P.kwargs) -> Generator[Entry]:
        return _entries(self._follow(build(self._defaults, *args, **kwargs)))

    document(method, build, returns=Generator[Entry])
    return method


def _verify_responses(
    build: Callable[Concatenate[Defaults, _P], Call[VerifyNamespaceResponse]],
) -> "Callable[Concatenate[Client, _P], Generator[VerifyNamespaceResponse]]":
    """Make a method that gives the responses to what ``build`` builds."""

    def method(self: "Client", /, *args: _P.args, **kwargs: _P.kwargs) -> Generator[VerifyNamespaceResponse]:
        return self._receive(build(self._defaults, *args, **kwargs))

    document(method, build, returns=Generator[VerifyNamespaceResponse])
    return method


def _verify(
    build: Callable[Concatenate[Defaults, _P], Call[VerifyNamespaceResponse]],
) -> "Callable[Concatenate[Client, _P], VerifyResult]":
    """Make a method that sends what ``build`` builds, and returns the result at the end of the stream."""

    def method(self: "Client", /, *args: _P.args, **kwargs: _P.kwargs) -> VerifyResult:
        result = VerifyResult()
        for response in self._receive(build(self._defaults, *args, **kwargs)):
            result = response.result
        return result

    document(method, build, returns=VerifyResult)
    return method


def _entries(responses: Generator[WatchResponse]) -> Generator[Entry]:
    with closing(responses):
        for response in responses:
            yield from response.entries


class Client(
    CounterMutations,
    CounterReads,
    InventoryMutations,
    InventoryReads,
    ReservationMutations,
    ReservationReads,
    BatchMutations,
    LedgerReads,
    NamespaceReads,
    HealthReads,
    Blocking,
):
    """One channel to a Tallykeeper server, to be used from any number of threads, and then closed.

    Each method is an RPC by its own name, and raises a `TallykeeperError` when it fails. What cannot be sent
    at all is a ValueError (a number beyond 64 bits, text that is not Unicode) or a TypeError.
    """

    def __init__(
        self,
        target: str,
        *,
        namespace: str = "default",
        timeout_seconds: float = TIMEOUT_SECONDS_DEFAULT,
        credentials: grpc.ChannelCredentials | None = None,
        token: str | None = None,
        retries: bool = True,
    ) -> None:
        """Open a channel to ``target``, as in ``127.0.0.1:50051``, which connects with the first call.

        ``namespace`` and ``timeout_seconds`` (more than 0) hold for every call that names no other. Without
        ``credentials`` the channel is not encrypted; `tls_credentials` reads some from files. The ``token``, an API
        key or a JWT, tells the server who calls. Without ``retries``, each call is sent once, and fails at once if
        there is no connection. Raises ValueError if the target is not ``HOST:PORT`` or another form that gRPC knows,
        such as ``unix:path``.
        """
        options = channel_options(target, retries=retries)
        self.target = target
        self.namespace = namespace
        self.credentials = credentials
        self.token = token
        self._metadata = metadata_of(token)
        self._defaults = Defaults(namespace=namespace, timeout_seconds=timeout_seconds)
        self._closed = threading.Event()
        self._channel = (
            grpc.secure_channel(target, credentials, options) if credentials else grpc.insecure_channel(target, options)
        )

    verify_namespace = _verify(ledger.verify_namespace)
    verify_responses = _verify_responses(ledger.verify_responses)
    watch = _watch(ledger.watch)
    watch_responses = _watch_responses(ledger.watch_responses)

    iterate_counters = _iterator(pages.COUNTERS)
    iterate_stock = _iterator(pages.STOCK)
    iterate_reservations = _iterator(pages.RESERVATIONS)
    iterate_entries = _iterator(pages.ENTRIES)
    iterate_namespaces = _iterator(pages.NAMESPACES)

    @classmethod
    def _method_of(cls, build: Callable[..., Call[Any]]) -> Callable[..., object]:
        """Return a method that sends the call that ``build`` builds, and returns the response."""

        def method(self: "Client", /, *args: object, **kwargs: object) -> object:
            return self._send(build(self._defaults, *args, **kwargs))

        return method

    def wait_until_ready(self, *, timeout_seconds: float) -> None:
        """Connect. Raises `Unavailable` if there is no connection after ``timeout_seconds``."""
        ready = grpc.channel_ready_future(self._channel)
        try:
            ready.result(timeout_seconds)
        except grpc.FutureTimeoutError as error:
            raise Unavailable(unreachable(self.target, timeout_seconds)) from error
        finally:
            ready.cancel()

    def close(self) -> None:
        """Close the channel; calls that are under way are cancelled, and watches end."""
        self._closed.set()
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _send(self, call: Call[ResponseT]) -> ResponseT:
        send = self._channel.unary_unary(
            call.path,
            request_serializer=type(call.request).SerializeToString,
            response_deserializer=call.response.FromString,
        )
        try:
            return send(call.request, timeout=call.timeout_seconds, metadata=self._metadata)
        except grpc.RpcError as error:
            raise self._error_of(error, call) from error

    def _follow(self, call: Call[WatchResponse]) -> Generator[WatchResponse]:
        """Give a watch's responses through all its connections, until it fails for good or the client is closed."""
        following = Following(call)
        while not self._closed.is_set():
            cause: grpc.RpcError | None = None
            try:
                with self._stream(call) as stream:
                    for response in stream:
                        following.took(response)
                        yield response
            except grpc.RpcError as error:
                cause = error
            except ValueError:  # what gRPC makes of a channel that another thread has closed
                if not self._closed.is_set():
                    raise
            if self._closed.is_set():
                return
            failure = self._error_of(cause, call) if cause else ended(self.target)
            pause_seconds = following.pause_seconds(failure)
            if pause_seconds is None:
                raise failure from cause
            self._closed.wait(pause_seconds)

    def _receive(self, call: Call[ResponseT]) -> Generator[ResponseT]:
        """Give the responses of a stream that ends within the call's timeout."""
        try:
            with self._stream(call, timeout_seconds=call.timeout_seconds) as stream:
                yield from stream
        except grpc.RpcError as error:
            raise self._error_of(error, call) from error

    @contextmanager
    def _stream(self, call: Call[ResponseT], *, timeout_seconds: float | None = None) -> Iterator[Iterator[ResponseT]]:
        begin = self._channel.unary_stream(
            call.path,
            request_serializer=type(call.request).SerializeToString,
            response_deserializer=call.response.FromString,
        )
        stream = begin(call.request, timeout=timeout_seconds, metadata=self._metadata)
        try:
            yield iter(stream)
        finally:
            stream.cancel()

    def _error_of(self, error: grpc.RpcError, call: Call[Any]) -> TallykeeperError:
        return error_of(read_failure(error, target=self.target, request_id=call.request_id))
