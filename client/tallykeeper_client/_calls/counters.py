"""The calls of CounterService: for each method, a function that builds its request.

The clients turn each function with `Rpc` into a method. A client passes its own defaults as the first argument.
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
        """Add a number to a counter. A counter that does not exist counts as 0 and is created.

        A limit for each day is one call: put the day into the counter's name, and the limit into ``create``.

        Args:
            counter: The counter's name, 1 to 128 bytes of UTF-8 without control characters.
            delta: The number to add, -(2^53-1) .. 2^53-1. A negative number subtracts.
            create: The bounds and the time to live of a new counter. A counter that exists keeps its own.
            **options: See `MutationOptions`.

        Returns:
            The ``counter`` after the change.

        Raises:
            CounterBoundExceeded: The sum is outside the counter's bounds. Nothing was added or created.
            ValueOverflow: The sum is outside -(2^53-1) .. 2^53-1. Nothing was added or created.

        Example:
            >>> client.increment("visitors", delta=4).counter.value
            4
            >>> from datetime import timedelta
            >>> five_a_day = NewCounter(ttl=timedelta(days=1), max=5)
            >>> client.increment("logins:2026-05-01", create=five_a_day).counter.max
            5

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
        """Set a counter to a value. A counter that does not exist counts as 0 and is created.

        Args:
            counter: The counter's name, 1 to 128 bytes of UTF-8 without control characters.
            value: The new value, -(2^53-1) .. 2^53-1.
            expected_value: The value that the counter must have now, -(2^53-1) .. 2^53-1. None means any value.
            **options: See `MutationOptions`.

        Returns:
            The ``counter`` after the change.

        Raises:
            ValueChanged: The counter does not have the expected value. Nothing was changed.
            CounterBoundExceeded: The new value is outside the counter's bounds. Nothing was changed.

        Example:
            >>> client.set_counter("tickets", 100).counter.value
            100
            >>> client.set_counter("tickets", 99, expected_value=100).counter.value
            99

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
        """Set or clear a counter's bounds and its time to live.

        A counter that does not exist is created with the value 0. None clears a setting. `UNCHANGED` leaves it as it
        is.

        Args:
            counter: The counter's name, 1 to 128 bytes of UTF-8 without control characters.
            min: The least value that the counter may take, -(2^53-1) .. 2^53-1.
            max: The greatest value that the counter may take, -(2^53-1) .. 2^53-1; not below ``min``.
            ttl: The time to live from now, 1 ms to 3,650 days. Later changes of the counter do not prolong it.
            **options: See `MutationOptions`.

        Returns:
            The ``counter`` after the change.

        Raises:
            CounterBoundExceeded: The counter's value is outside the new bounds. Nothing was changed.

        Example:
            >>> client.configure_counter("tickets", min=0, max=100).counter.max
            100
            >>> client.configure_counter("tickets", max=None).counter.HasField("max")
            False

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
        """Delete a counter with its bounds.

        Args:
            counter: The counter's name, 1 to 128 bytes of UTF-8 without control characters.
            **options: See `MutationOptions`.

        Returns:
            The ``counter`` before it was deleted.

        Raises:
            CounterNotFound: The counter does not exist.

        """
        request = pb.DeleteCounterRequest(counter=counter)
        return mutation(defaults, "CounterService/DeleteCounter", request, pb.DeleteCounterResponse, **options)


class CounterReads:
    """The reads of CounterService."""

    @Rpc
    def get_counter(
        defaults: Defaults, counter: str, *, min_revision: int = 0, **options: Unpack[ReadOptions]
    ) -> Call[pb.GetCounterResponse]:
        """Read a counter, with every change that was acknowledged before this call.

        Args:
            counter: The counter's name, 1 to 128 bytes of UTF-8 without control characters.
            min_revision: The least revision at which the response must be true, such as the revision of your last
                change. 0 means any.
            **options: See `ReadOptions`.

        Returns:
            The ``counter``, and the ``revision`` at which it is so.

        Raises:
            CounterNotFound: The counter does not exist.
            RevisionAhead: The namespace has not reached ``min_revision``, so the store has lost changes.

        Example:
            >>> added = client.increment("visitors")
            >>> client.get_counter("visitors", min_revision=added.revision).counter.value
            1

        """
        request = pb.GetCounterRequest(counter=counter, min_revision=min_revision)
        return read(defaults, "CounterService/GetCounter", request, pb.GetCounterResponse, **options)

    @Rpc
    def batch_get_counters(
        defaults: Defaults, counters: Iterable[str], *, min_revision: int = 0, **options: Unpack[ReadOptions]
    ) -> Call[pb.BatchGetCountersResponse]:
        """Read counters as they are at one moment.

        Args:
            counters: The counters' names, 1 to 1,000.
            min_revision: The least revision at which the response must be true, such as the revision of your last
                change. 0 means any.
            **options: See `ReadOptions`.

        Returns:
            The ``counters`` that exist, in the order of the names, and in ``missing`` the names of those that do not.

        Raises:
            RevisionAhead: The namespace has not reached ``min_revision``, so the store has lost changes.

        """
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
        """Read one page of the counters, in the order of their names' bytes.

        Args:
            prefix: The beginning of the counters' names, at most 128 bytes of UTF-8. An empty text means all counters.
            page_size: The maximum number on the page. 0 means 100, and more than 1,000 means 1,000.
            page_token: The ``next_page_token`` of the page before, from a call with the same arguments. An empty text
                asks for the first page.
            **options: See `ReadOptions`.

        Returns:
            The ``counters`` of the page, and the ``revision`` at which they are so. ``next_page_token`` is empty on the
            last page. A page may be short or empty and not be the last.

        Raises:
            PageTokenInvalid: The token belongs to another listing.

        Example:
            >>> for page in ("page:about", "page:home"):
            ...     revision = client.increment(page).revision
            >>> [counter.counter for counter in client.list_counters("page:").counters]
            ['page:about', 'page:home']
            >>> sum(counter.value for counter in client.iterate_counters("page:"))
            2

        """
        request = pb.ListCountersRequest(prefix=prefix, page_size=page_size, page_token=page_token)
        return read(defaults, "CounterService/ListCounters", request, pb.ListCountersResponse, **options)
