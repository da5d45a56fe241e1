"""The server under test of connectconformance on the HTTP port: its ConformanceService for Connect and gRPC-Web.

It reads a ServerCompatRequest from stdin, writes a ServerCompatResponse to stdout, and serves until SIGTERM. Its first
argument is the folder with the generated code of the suite's protos.
"""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Final

from tallykeeper_server.http.gateway import Gateway, rpcs_of
from tallykeeper_server.http.limits import HttpLimits
from tallykeeper_server.http.origins import Origins
from tests.conformance.connect_server import (
    MESSAGE_BYTES_MAX,
    ConformanceService,
    answer,
    question,
    suite_protos,
    tls_of,
)

_ORIGINS: Final = Origins((), only_loopback_hosts=False)


async def serve(protos: Path) -> None:
    """Do as stdin says."""
    compat, service_protos = suite_protos(protos)
    request = question(compat)
    service = service_protos.DESCRIPTOR.services_by_name["ConformanceService"]
    methods = [each for each in ConformanceService(service_protos).methods() if not each.streams_requests]
    gateway = Gateway(
        rpcs_of(methods, [service]),
        limits=HttpLimits(message_bytes_max=request.message_receive_limit or MESSAGE_BYTES_MAX),
        origins=_ORIGINS,
        admit=lambda _: None,
        explain=lambda refusal: refusal,  # the suite compares details, and knows no detail of Tallykeeper
    )
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    address = gateway.listen("127.0.0.1:0", tls=tls_of(request, alpn="http/1.1"))
    answer(compat, request, address)
    await stopped.wait()
    await gateway.stop(1.0)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
