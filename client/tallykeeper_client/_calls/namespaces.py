"""The calls of NamespaceService: for each method, a function that builds its request.

The clients turn each function with `Rpc` into a method. A client passes its own defaults as the first argument.
"""

from typing import Unpack

from tallykeeper.v1 import namespace_pb2 as pb
from tallykeeper_client._calls.base import Call, Defaults, ReadOptions, Rpc, look, read


class NamespaceReads:
    """The reads of NamespaceService."""

    @Rpc
    def list_namespaces(
        defaults: Defaults,
        prefix: str = "",
        *,
        page_size: int = 0,
        page_token: str = "",
        timeout_seconds: float | None = None,
    ) -> Call[pb.ListNamespacesResponse]:
        """Read one page of the namespaces that were ever changed, in the order of their names' bytes.

        Args:
            prefix: The beginning of the namespaces' names, at most 63 characters. An empty text means all namespaces.
            page_size: The maximum number on the page. 0 means 100, and more than 1,000 means 1,000.
            page_token: The ``next_page_token`` of the page before, from a call with the same arguments. An empty text
                asks for the first page.
            timeout_seconds: The deadline of the call with all its retries, in seconds; more than 0. None means that of
                the client.

        Returns:
            The ``namespaces`` of the page. ``next_page_token`` is empty on the last page. A page may be short or empty
            and not be the last.

        Raises:
            PageTokenInvalid: The token belongs to another listing.

        Example:
            >>> revision = client.increment("visitors").revision
            >>> [found.counter_count for found in client.iterate_namespaces(namespace)]
            [1]

        """
        request = pb.ListNamespacesRequest(prefix=prefix, page_size=page_size, page_token=page_token)
        return look(
            defaults,
            "NamespaceService/ListNamespaces",
            request,
            pb.ListNamespacesResponse,
            timeout_seconds=timeout_seconds,
        )

    @Rpc
    def get_namespace(defaults: Defaults, **options: Unpack[ReadOptions]) -> Call[pb.GetNamespaceResponse]:
        """Read the numbers of levels, counters and reservations in a namespace, and the settings that hold for it.

        Args:
            **options: See `ReadOptions`.

        Returns:
            The ``namespace``. A namespace that was never changed has revision 0 and holds nothing.

        Example:
            >>> revision = client.increment("visitors").revision
            >>> client.get_namespace().namespace.counter_count
            1

        """
        request = pb.GetNamespaceRequest()
        return read(defaults, "NamespaceService/GetNamespace", request, pb.GetNamespaceResponse, **options)
