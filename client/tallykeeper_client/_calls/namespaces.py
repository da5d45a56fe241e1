"""The calls of NamespaceService: what each takes, and the request that it becomes.

Each function with `Rpc` becomes a method of the clients. A client passes its own defaults as the first argument.
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
        """Read one page of the namespaces that were ever changed and begin with ``prefix``, in order of their bytes.

        ``page_size`` is at most 1,000; 0 means 100. ``page_token`` is the ``next_page_token`` of the page before;
        that of the last page is empty. Raises `PageTokenInvalid` if the token belongs to another listing.
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
        """Tell what a namespace holds and how it is kept. One that was never changed has revision 0."""
        request = pb.GetNamespaceRequest()
        return read(defaults, "NamespaceService/GetNamespace", request, pb.GetNamespaceResponse, **options)
