"""The method of ServerService."""

import asyncio
from typing import Final

from tallykeeper.v1 import server_pb2
from tallykeeper_server.domain.server_status import StatusSource
from tallykeeper_server.rpc.admission import Call
from tallykeeper_server.rpc.server.messages import status_response

_STORE_SHARE: Final = 0.8
"""The share of the time until the deadline that the store may take. The rest is for the answer's way to the caller."""


class ServerServicer:
    """ServerService. Its method asks the source of the state and builds the response."""

    def __init__(self, source: StatusSource) -> None:
        self._source = source

    async def GetServerStatus(
        self, request: server_pb2.GetServerStatusRequest, call: Call
    ) -> server_pb2.GetServerStatusResponse:
        """Return the state of this server."""
        del request  # it has no fields
        seconds = call.deadline - asyncio.get_running_loop().time()
        return status_response(await self._source.status(seconds=max(0.0, _STORE_SHARE * seconds)))
