"""The client for code that waits: every call blocks its thread until the answer is there."""

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self

import grpc

from tallykeeper.v1.ledger_pb2 import Entry, VerifyNamespaceResponse, VerifyResult, WatchResponse
from tallykeeper_client import (
    batch_calls,
    counter_calls,
    inventory_calls,
    ledger_calls,
    namespace_calls,
    pages,
    reservation_calls,
)
from tallykeeper_client.call import Call, Defaults, ResponseT, document
from tallykeeper_client.channel import TIMEOUT_SECONDS_DEFAULT, channel_options, metadata_of
from tallykeeper_client.errors import TallykeeperError, Unavailable
from tallykeeper_client.failure import read_failure, unreachable
from tallykeeper_client.following import Following, ended
from tallykeeper_client.reasons import error_of

_P = ParamSpec("_P")


def _method(
    build: Callable[Concatenate[Defaults, _P], Call[ResponseT]],
) -> "Callable[Concatenate[Client, _P], ResponseT]":
    """Make a method that sends what ``build`` builds, and returns the response."""

    def method(self: "Client", /, *args: _P.args, **kwargs: _P.kwargs) -> ResponseT:
        return self._send(build(self._defaults, *args, **kwargs))

    document(method, build)
    return method


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


class Client:
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

    increment = _method(counter_calls.increment)
    set_counter = _method(counter_calls.set_counter)
    configure_counter = _method(counter_calls.configure_counter)
    delete_counter = _method(counter_calls.delete_counter)
    get_counter = _method(counter_calls.get_counter)
    batch_get_counters = _method(counter_calls.batch_get_counters)
    list_counters = _method(counter_calls.list_counters)

    decrement_copies = _method(inventory_calls.decrement_copies)
    increment_copies = _method(inventory_calls.increment_copies)
    set_stock = _method(inventory_calls.set_stock)
    move_copies = _method(inventory_calls.move_copies)
    configure_stock = _method(inventory_calls.configure_stock)
    delete_stock = _method(inventory_calls.delete_stock)
    get_stock = _method(inventory_calls.get_stock)
    batch_get_stock = _method(inventory_calls.batch_get_stock)
    get_item = _method(inventory_calls.get_item)
    list_stock = _method(inventory_calls.list_stock)
    check_availability = _method(inventory_calls.check_availability)

    reserve = _method(reservation_calls.reserve)
    commit = _method(reservation_calls.commit)
    release = _method(reservation_calls.release)
    extend = _method(reservation_calls.extend)
    get_reservation = _method(reservation_calls.get_reservation)
    list_reservations = _method(reservation_calls.list_reservations)

    apply = _method(batch_calls.apply)

    list_entries = _method(ledger_calls.list_entries)
    lookup_request = _method(ledger_calls.lookup_request)
    verify_namespace = _verify(ledger_calls.verify_namespace)
    verify_responses = _verify_responses(ledger_calls.verify_responses)
    watch = _watch(ledger_calls.watch)
    watch_responses = _watch_responses(ledger_calls.watch_responses)

    list_namespaces = _method(namespace_calls.list_namespaces)
    get_namespace = _method(namespace_calls.get_namespace)

    iterate_counters = _iterator(pages.COUNTERS)
    iterate_stock = _iterator(pages.STOCK)
    iterate_reservations = _iterator(pages.RESERVATIONS)
    iterate_entries = _iterator(pages.ENTRIES)
    iterate_namespaces = _iterator(pages.NAMESPACES)

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
