"""The calls of CounterService: what each takes, and the request that it becomes.

Each function with `Rpc` becomes a method of the clients. A client passes its own defaults as the first argument.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Unpack

from tallykeeper.v1 import counter_pb2 as pb
from tallykeeper_client._calls.base import (
    UNCHANGED,
    Call,
    Defaults,
    MutationOptions,
    ReadOptions,
    Rpc,
    Unchanged,
    mask_of,
    mutation,
    read,
    value_or_none,
)


class CounterMutations:
    """The mutations of CounterService."""

    @Rpc
    def increment(
        defaults: Defaults,
        counter: str,
        *,
        delta: int = 1,
        create: pb.NewCounter | None = None,
        **options: Unpack[MutationOptions],
    ) -> Call[pb.IncrementResponse]:
        """Add ``delta``, -(2^53-1) .. 2^53-1, to a counter. One that does not exist counts as 0 and is created.

        ``create`` gives a counter that does not exist its bounds and its time to live, and leaves one that exists as it
        is. With the window in the counter's name, a limit for each minute or day is one call:

            client.increment(f"logins:{day}", create=NewCounter(ttl=timedelta(days=1), max=5))

        Raises `CounterBoundExceeded` if the sum is outside the counter's own bounds, and `ValueOverflow` if it is
        outside -(2^53-1) .. 2^53-1. Nothing is added or created then.
        """
        request = pb.IncrementRequest(counter=counter, delta=delta, create=create)
        return mutation(defaults, "CounterService/Increment", request, pb.IncrementResponse, **options)

    @Rpc
    def set_counter(
        defaults: Defaults,
        counter: str,
        value: int,
        *,
        expected_value: int | None = None,
        **options: Unpack[MutationOptions],
    ) -> Call[pb.SetCounterResponse]:
        """Set a counter to ``value``, if it has ``expected_value`` where one is given.

        Both are -(2^53-1) .. 2^53-1. A counter that does not exist counts as 0 and is created. Raises
        `ValueChanged` if it has another value, and `CounterBoundExceeded` if the new one is outside its bounds.
        """
        request = pb.SetCounterRequest(counter=counter, value=value, expected_value=expected_value)
        return mutation(defaults, "CounterService/SetCounter", request, pb.SetCounterResponse, **options)

    @Rpc
    def configure_counter(
        defaults: Defaults,
        counter: str,
        *,
        min: int | Unchanged | None = UNCHANGED,  # noqa: A002  # the contract's word
        max: int | Unchanged | None = UNCHANGED,  # noqa: A002  # the contract's word
        ttl: timedelta | Unchanged | None = UNCHANGED,
        **options: Unpack[MutationOptions],
    ) -> Call[pb.ConfigureCounterResponse]:
        """Set, clear (``None``) or leave (`UNCHANGED`) a counter's bounds and the time that it has to live.

        Bounds are -(2^53-1) .. 2^53-1, ``ttl`` is 1 ms to 3,650 days from now. A counter that does not
        exist is created with the value 0. Raises `CounterBoundExceeded` if its value is outside the new bounds.
        """
        request = pb.ConfigureCounterRequest(
            counter=counter,
            min=value_or_none(min),
            max=value_or_none(max),
            ttl=value_or_none(ttl),
            update_mask=mask_of(min=min, max=max, ttl=ttl),
        )
        return mutation(defaults, "CounterService/ConfigureCounter", request, pb.ConfigureCounterResponse, **options)

    @Rpc
    def delete_counter(
        defaults: Defaults, counter: str, **options: Unpack[MutationOptions]
    ) -> Call[pb.DeleteCounterResponse]:
        """Delete a counter with its bounds, and return it as it was. Raises `CounterNotFound`."""
        request = pb.DeleteCounterRequest(counter=counter)
        return mutation(defaults, "CounterService/DeleteCounter", request, pb.DeleteCounterResponse, **options)


class CounterReads:
    """The reads of CounterService."""

    @Rpc
    def get_counter(
        defaults: Defaults, counter: str, *, min_revision: int = 0, **options: Unpack[ReadOptions]
    ) -> Call[pb.GetCounterResponse]:
        """Read a counter with every change that was acknowledged before. Raises `CounterNotFound`."""
        request = pb.GetCounterRequest(counter=counter, min_revision=min_revision)
        return read(defaults, "CounterService/GetCounter", request, pb.GetCounterResponse, **options)

    @Rpc
    def batch_get_counters(
        defaults: Defaults, counters: Iterable[str], *, min_revision: int = 0, **options: Unpack[ReadOptions]
    ) -> Call[pb.BatchGetCountersResponse]:
        """Read 1 to 1,000 counters as they are at one moment, and name those that do not exist."""
        request = pb.BatchGetCountersRequest(counters=counters, min_revision=min_revision)
        return read(defaults, "CounterService/BatchGetCounters", request, pb.BatchGetCountersResponse, **options)

    @Rpc
    def list_counters(
        defaults: Defaults,
        prefix: str = "",
        *,
        page_size: int = 0,
        page_token: str = "",
        **options: Unpack[ReadOptions],
    ) -> Call[pb.ListCountersResponse]:
        """Read one page of the counters whose names begin with ``prefix``, in the order of their bytes.

        ``page_size`` is at most 1,000; 0 means 100. ``page_token`` is the ``next_page_token`` of the page before;
        that of the last page is empty. Raises `PageTokenInvalid` if the token belongs to another listing.
        """
        request = pb.ListCountersRequest(prefix=prefix, page_size=page_size, page_token=page_token)
        return read(defaults, "CounterService/ListCounters", request, pb.ListCountersResponse, **options)
