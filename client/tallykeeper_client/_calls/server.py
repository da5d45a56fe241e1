"""The call of ServerService.

Each function with `Rpc` becomes a method of the clients. A client passes its own defaults as the first argument.
"""

from tallykeeper.v1 import server_pb2 as pb
from tallykeeper_client._calls.base import Call, Defaults, Rpc, look


class ServerReads:
    """The read of ServerService."""

    @Rpc
    def get_server_status(
        defaults: Defaults, *, timeout_seconds: float | None = None
    ) -> Call[pb.GetServerStatusResponse]:
        """Read the state of the server, the state of its store, and the limits that are near.

        Args:
            timeout_seconds: The deadline of the call with all its retries, in seconds; more than 0. None means that of
                the client.

        Returns:
            The ``server``, the ``store``, the ``promises`` and the ``limits``. If the store is away, ``store.fault``
            has the reason, and no promise is kept.

        Raises:
            PermissionDenied: The caller lacks the role read in all namespaces.

        Example:
            >>> status = client.get_server_status()
            >>> [promise.kept for promise in status.promises]
            [True]

        """
        return look(
            defaults,
            "ServerService/GetServerStatus",
            pb.GetServerStatusRequest(),
            pb.GetServerStatusResponse,
            timeout_seconds=timeout_seconds,
        )
