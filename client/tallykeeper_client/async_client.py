"""The client for asyncio: each call is awaited."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager, suppress
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self

import grpc

from tallykeeper.v1.ledger_pb2 import Entry, VerifyNamespaceResponse, VerifyResult, WatchResponse
from tallykeeper_client._calls import ledger, pages
from tallykeeper_client._calls.base import Awaited, Call, Defaults, ResponseT, document
from tallykeeper_client._calls.batches import BatchMutations
from tallykeeper_client._calls.counters import CounterMutations, CounterReads
from tallykeeper_client._calls.health import HealthReads
from tallykeeper_client._calls.inventory import InventoryMutations, InventoryReads
from tallykeeper_client._calls.ledger import LedgerReads
from tallykeeper_client._calls.namespaces import NamespaceReads
from tallykeeper_client._calls.reservations import ReservationMutations, ReservationReads
from tallykeeper_client._calls.server import ServerReads
from tallykeeper_client._channel import TIMEOUT_SECONDS_DEFAULT, channel_options, metadata_of
from tallykeeper_client._spans import Metadata, spans_of
from tallykeeper_client._status_details import read_failure, unreachable
from tallykeeper_client._watch_retry import Following, ended
from tallykeeper_client.batch import Batch
from tallykeeper_client.errors import TallykeeperError, Unavailable, error_of

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

_P = ParamSpec("_P")


def _iterator(
    listing: pages.Listing[_P, pages.PageT, pages.EachT],
) -> "Callable[Concatenate[AsyncClient, _P], AsyncIterator[pages.EachT]]":
    """Make a method that reads all pages of a listing."""

    async def method(self: "AsyncClient", /, *args: _P.args, **kwargs: _P.kwargs) -> AsyncIterator[pages.EachT]:
        call, more = listing.build(self._defaults, *args, **kwargs), True
        while more:
            page = await self._send(call)
            for each in listing.on_page(page):
                yield each
            more = pages.turn(call, page)

    listing.document(method, AsyncIterator[listing.kind])  # type: ignore[name-defined]
    return method


def _watch_responses(
    build: Callable[Concatenate[Defaults, _P], Call[WatchResponse]],
) -> "Callable[Concatenate[AsyncClient, _P], AsyncGenerator[WatchResponse]]":
    """Make a method that follows the watch of ``build``."""

    def method(self: "AsyncClient", /, *args: _P.args, **kwargs: _P.kwargs) -> AsyncGenerator[WatchResponse]:
        return self._follow(build(self._defaults, *args, **kwargs))

    document(method, build, returns=AsyncGenerator[WatchResponse])
    return method


def _watch(
    build: Callable[Concatenate[Defaults, _P], Call[WatchResponse]],
) -> "Callable[Concatenate[AsyncClient, _P], AsyncGenerator[Entry]]":
    """Make a method that follows the watch of ``build``, and yields only the entries."""

    def method(self: "AsyncClient", /, *args: _P.args, **kwargs: _P.kwargs) -> AsyncGenerator[Entry]:
        return _entries(self._follow(build(self._defaults, *args, **kwargs)))

    document(method, build, returns=AsyncGenerator[Entry])
    return method


def _verify_responses(
    build: Callable[Concatenate[Defaults, _P], Call[VerifyNamespaceResponse]],
) -> "Callable[Concatenate[AsyncClient, _P], AsyncGenerator[VerifyNamespaceResponse]]":
    """Make a method that yields the responses to the call of ``build``."""

    def method(self: "AsyncClient", /, *args: _P.args, **kwargs: _P.kwargs) -> AsyncGenerator[VerifyNamespaceResponse]:
        return self._receive(build(self._defaults, *args, **kwargs))

    document(method, build, returns=AsyncGenerator[VerifyNamespaceResponse])
    return method


def _verify(
    build: Callable[Concatenate[Defaults, _P], Call[VerifyNamespaceResponse]],
) -> "Callable[Concatenate[AsyncClient, _P], Coroutine[Any, Any, VerifyResult]]":
    """Make a method that sends the call of ``build``, and returns the result at the end of the stream."""

    async def method(self: "AsyncClient", /, *args: _P.args, **kwargs: _P.kwargs) -> VerifyResult:
        result = VerifyResult()
        async for response in self._receive(build(self._defaults, *args, **kwargs)):
            result = response.result
        return result

    document(method, build, returns=VerifyResult)
    return method


async def _entries(responses: AsyncGenerator[WatchResponse]) -> AsyncGenerator[Entry]:
    async with aclosing(responses):
        async for response in responses:
            for entry in response.entries:
                yield entry


class AsyncClient(
    CounterMutations,
    CounterReads,
    InventoryMutations,
    InventoryReads,
    ReservationMutations,
    ReservationReads,
    BatchMutations,
    LedgerReads,
    NamespaceReads,
    ServerReads,
    HealthReads,
    Awaited,
):
    """A connection to a Tallykeeper server, for one event loop. Close it at the end, or use it in an ``async with``.

    It has the methods of `Client`. Await those that return a response, and go through the others with ``async for``.

    Each method calls the RPC of its name. Its response is the message of `tallykeeper.v1`. The response to a mutation
    also has its ``revision`` (its number in the namespace: 1, 2, 3 …), its ``commit_time``, and ``replayed``, which is
    true if the request id had been answered before.

    If a call fails, its method raises a `TallykeeperError`. The methods list their special errors under Raises. Every
    method can also raise the general errors, such as `InvalidField`, `PermissionDenied`, `Overloaded`, `Unavailable`
    and `DeadlineExceeded`. It raises ValueError or TypeError for arguments that cannot be sent, such as a number beyond
    64 bits.

    Attributes:
        target: The server's address.
        namespace: The namespace of the calls that name none.
        credentials: The credentials for TLS; None without TLS.
        token: The API key or JWT; None without a token.

    Example:
        >>> import asyncio
        >>> async def count_visitors() -> int:
        ...     async with AsyncClient(target, namespace=namespace) as client:
        ...         await asyncio.gather(*(client.increment("visitors") for _ in range(10)))
        ...         return (await client.get_counter("visitors")).counter.value
        >>> asyncio.run(count_visitors())
        10

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
        tracer_provider: "TracerProvider | None" = None,
    ) -> None:
        """Open a channel to a server. Call this in the event loop that will use it. It connects with the first call.

        Args:
            target: The server's address, ``HOST:PORT``, or another form that gRPC knows, such as ``unix:path``.
            namespace: The namespace of the calls that name none, ``[A-Za-z0-9][A-Za-z0-9._-]{0,62}``.
            timeout_seconds: The deadline of each call that gives none, with all its retries, in seconds; more than 0.
            credentials: The credentials for TLS, such as those that `tls_credentials` reads. None means no encryption.
            token: The API key or JWT by which the server knows the caller, in printable ASCII. None means no token.
            retries: False to send each call once, and to fail at once if there is no connection.
            tracer_provider: The provider of OpenTelemetry that gets a span of each call, such as
                ``opentelemetry.trace.get_tracer_provider()``. None means no spans, and OpenTelemetry is not loaded.

        Raises:
            ValueError: The target has another form, or the token is not printable ASCII.

        """
        options = channel_options(target, retries=retries)
        self.target = target
        self.namespace = namespace
        self.credentials = credentials
        self.token = token
        self._spans = spans_of(tracer_provider, target, metadata_of(token))
        self._defaults = Defaults(namespace=namespace, timeout_seconds=timeout_seconds)
        self._closed = asyncio.Event()
        self._channel = (
            grpc.aio.secure_channel(target, credentials, options)
            if credentials
            else grpc.aio.insecure_channel(target, options)
        )

    def batch(self) -> Batch:
        """Return a batch, whose methods make mutations that share requests.

        Returns:
            The batch, to be used in an ``async with``. At its end all its calls have been answered.

        Example:
            >>> import asyncio
            >>> async def deliver(items: list[str]) -> int:
            ...     async with AsyncClient(target, namespace=namespace) as client, client.batch() as batch:
            ...         responses = await asyncio.gather(*(batch.increment_copies(item) for item in items))
            ...     return sum(response.stock_level.on_hand for response in responses)
            >>> asyncio.run(deliver(["dune", "emma", "ulysses"]))
            3

        """
        return Batch(partial(self.apply, atomic=False), self.namespace)

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
        """Return a method that sends the call of ``build``, and returns the response."""

        async def method(self: "AsyncClient", /, *args: object, **kwargs: object) -> object:
            return await self._send(build(self._defaults, *args, **kwargs))

        return method

    async def wait_until_ready(self, *, timeout_seconds: float) -> None:
        """Connect to the server.

        Args:
            timeout_seconds: The longest time to wait, in seconds.

        Raises:
            Unavailable: There is no connection after this time.

        """
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._channel.channel_ready()
        except TimeoutError as error:
            raise Unavailable(unreachable(self.target, timeout_seconds)) from error

    async def close(self) -> None:
        """Close the channel. Calls in flight are cancelled, and watches end."""
        self._closed.set()
        await self._channel.close(None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def _send(self, call: Call[ResponseT]) -> ResponseT:
        send = self._channel.unary_unary(
            call.path,
            request_serializer=type(call.request).SerializeToString,
            response_deserializer=call.response.FromString,
        )
        with self._spans.of(call) as metadata:
            try:
                return await send(call.request, timeout=call.timeout_seconds, metadata=metadata)
            except grpc.RpcError as error:
                raise self._error_of(error, call) from error

    async def _follow(self, call: Call[WatchResponse]) -> AsyncGenerator[WatchResponse]:
        """Yield a watch's responses through all its connections, until it fails permanently or the client is closed."""
        following = Following(call)
        with self._spans.of(call) as metadata:
            while not self._closed.is_set():
                cause: grpc.RpcError | None = None
                try:
                    async with self._stream(call, metadata) as stream:
                        async for response in stream:
                            following.took(response)
                            yield response
                except grpc.RpcError as error:
                    cause = error
                except asyncio.CancelledError:
                    if not self._closed.is_set():
                        raise
                if self._closed.is_set():
                    return
                failure = self._error_of(cause, call) if cause else ended(self.target)
                pause_seconds = following.pause_seconds(failure)
                if pause_seconds is None:
                    raise failure from cause
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._closed.wait(), pause_seconds)

    async def _receive(self, call: Call[ResponseT]) -> AsyncGenerator[ResponseT]:
        """Yield the responses of a stream that ends within the call's timeout."""
        with self._spans.of(call) as metadata:
            try:
                async with self._stream(call, metadata, timeout_seconds=call.timeout_seconds) as stream:
                    async for response in stream:
                        yield response
            except grpc.RpcError as error:
                raise self._error_of(error, call) from error

    @asynccontextmanager
    async def _stream(
        self, call: Call[ResponseT], metadata: Metadata, *, timeout_seconds: float | None = None
    ) -> AsyncIterator[AsyncIterator[ResponseT]]:
        begin = self._channel.unary_stream(
            call.path,
            request_serializer=type(call.request).SerializeToString,
            response_deserializer=call.response.FromString,
        )
        stream = begin(call.request, timeout=timeout_seconds, metadata=metadata)
        try:
            yield aiter(stream)
        finally:
            stream.cancel()

    def _error_of(self, error: grpc.RpcError, call: Call[Any]) -> TallykeeperError:
        return error_of(read_failure(error, target=self.target, request_id=call.request_id))
