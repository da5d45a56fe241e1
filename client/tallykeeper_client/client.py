"""The client for code that waits: every call blocks its thread until the answer is there."""

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Concatenate, ParamSpec, Self, Unpack

import grpc

from tallykeeper.v1.counter_pb2 import Counter
from tallykeeper.v1.inventory_pb2 import StockLevel
from tallykeeper_client import counter_calls, inventory_calls
from tallykeeper_client.call import Call, Defaults, ReadOptions, ResponseT, document
from tallykeeper_client.channel import CHANNEL_OPTIONS, TIMEOUT_SECONDS_DEFAULT
from tallykeeper_client.errors import Unavailable, error_of
from tallykeeper_client.failure import read_failure, unreachable

_P = ParamSpec("_P")


def _method(
    build: Callable[Concatenate[Defaults, _P], Call[ResponseT]],
) -> "Callable[Concatenate[Client, _P], ResponseT]":
    """Make a method that sends what ``build`` builds, and returns the response."""

    def method(self: "Client", /, *args: _P.args, **kwargs: _P.kwargs) -> ResponseT:
        return self._send(build(self._defaults, *args, **kwargs))

    document(method, build)
    return method


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
    ) -> None:
        """Open a channel to ``target``, as in ``127.0.0.1:50051``, which connects with the first call.

        ``namespace`` and ``timeout_seconds`` (more than 0) hold for every call that names no other. Without
        ``credentials`` the channel is not encrypted.
        """
        self.target = target
        self.namespace = namespace
        self._defaults = Defaults(namespace=namespace, timeout_seconds=timeout_seconds)
        self._channel = (
            grpc.secure_channel(target, credentials, CHANNEL_OPTIONS)
            if credentials
            else grpc.insecure_channel(target, CHANNEL_OPTIONS)
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
    configure_stock = _method(inventory_calls.configure_stock)
    delete_stock = _method(inventory_calls.delete_stock)
    get_stock = _method(inventory_calls.get_stock)
    batch_get_stock = _method(inventory_calls.batch_get_stock)
    get_item = _method(inventory_calls.get_item)
    list_stock = _method(inventory_calls.list_stock)

    def iterate_counters(
        self, prefix: str = "", *, page_size: int = 0, **options: Unpack[ReadOptions]
    ) -> Iterator[Counter]:
        """Go through all counters whose names begin with ``prefix``, asking for one page after another.

        ``page_size`` and the options are those of `list_counters`, the timeout that of each page.
        """
        page_token, more = "", True
        while more:
            page = self.list_counters(prefix, page_size=page_size, page_token=page_token, **options)
            yield from page.counters
            page_token = page.next_page_token
            more = bool(page_token)

    def iterate_stock(
        self,
        item_prefix: str = "",
        *,
        location: str = "",
        page_size: int = 0,
        **options: Unpack[ReadOptions],
    ) -> Iterator[StockLevel]:
        """Go through all levels of a location whose items begin with ``item_prefix``, page after page.

        ``page_size`` and the options are those of `list_stock`, the timeout that of each page.
        """
        page_token, more = "", True
        while more:
            page = self.list_stock(
                item_prefix, location=location, page_size=page_size, page_token=page_token, **options
            )
            yield from page.stock_levels
            page_token = page.next_page_token
            more = bool(page_token)

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
        """Close the channel; calls that are under way are cancelled."""
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
            return send(call.request, timeout=call.timeout_seconds)
        except grpc.RpcError as error:
            failure = read_failure(error, target=self.target, request_id=call.request_id)
            raise error_of(failure) from error
