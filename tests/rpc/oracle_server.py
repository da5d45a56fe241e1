"""The oracle's server: grpc.aio's, in a separate process. It gives each call the outcome that its request holds.

Usage: python -m tests.rpc.oracle_server. It prints its port, and serves until its standard input ends.
"""

import asyncio
import pickle
import sys
from collections.abc import AsyncGenerator

from tallykeeper_server.transport.call import Call
from tallykeeper_server.transport.methods import Method, direct, response_stream
from tallykeeper_server.transport.status import StatusError
from tests.support.client import METHODS
from tests.support.grpc_aio_server import aio_servers


def packed(responses: list[bytes], error: StatusError | None) -> bytes:
    """Return the bytes of a request that holds an outcome."""
    return pickle.dumps((responses, None if error is None else (int(error.code), error.message, error.trailers)))


def _unpacked(raw: bytes) -> tuple[list[bytes], StatusError | None]:
    responses, error = pickle.loads(raw)  # noqa: S301  # the test that has started this process sends them
    return responses, None if error is None else StatusError(*error)


def _answer(raw: bytes, call: Call) -> None:
    responses, error = _unpacked(raw)
    if error is None:
        call.reply(responses[0])
    else:
        call.fail(error)


async def _stream(raw: bytes, _: Call) -> AsyncGenerator[bytes, None]:
    responses, error = _unpacked(raw)
    for response in responses:
        yield response
    if error is not None:
        raise error


def _methods() -> list[Method]:
    return [
        response_stream(path, _stream) if method.server_streaming else direct(path, _answer)
        for method in METHODS.values()
        for path in [f"/{method.containing_service.full_name}/{method.name}"]
    ]


async def main() -> None:
    """Serve until standard input is closed."""
    (server,) = aio_servers(_methods(), options=[("grpc.max_receive_message_length", -1)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(None)


if __name__ == "__main__":
    asyncio.run(main())
