"""The way into an RPC that streams responses, and out of it. The other RPCs are in `dispatch`."""

import asyncio
import math
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from time import perf_counter
from typing import Any, Protocol

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from tallykeeper_server.rpc.admission import Admission, Call, Context
from tallykeeper_server.rpc.calls.failures import code_of_abandoned, failure_of
from tallykeeper_server.rpc.statuses import status_of


class StreamMeter(Protocol):
    """The part of a call's meter that a stream needs."""

    def succeeded(self, began_at: float) -> None:
        """Record the end of a stream without an error. ``began_at`` is a time of ``perf_counter``."""

    def failed(self, began_at: float, code: str, reason: str = "") -> None:
        """Record the end of a stream that failed with a gRPC code, and with the reason in its error."""


def streaming(
    method: MethodDescriptor,
    admission: Admission,
    call: Callable[[Any, Call], AsyncGenerator[Message, None]],
    meter: StreamMeter,
) -> Callable[[bytes, Context], AsyncGenerator[bytes, None]]:
    """Return the handler of a method that streams responses. ``call`` generates them."""
    loop = asyncio.get_running_loop()

    async def stream(raw: bytes, context: Context) -> AsyncGenerator[bytes, None]:
        began_at = perf_counter()
        try:
            request, caller = admission.enter(raw, context)
            guard = admission.guard(context, request, caller)
            async with aclosing(call(request, Call(math.inf, caller))) as responses:
                async for response in responses:
                    guard.check()
                    yield response.SerializeToString()
        except Exception as error:  # noqa: BLE001  # every defect becomes a status
            failure = failure_of(method, error)
        except (asyncio.CancelledError, GeneratorExit):
            meter.failed(began_at, code_of_abandoned(context, loop.time()))
            raise
        else:
            meter.succeeded(began_at)
            return
        status = status_of(failure)
        meter.failed(began_at, status.code.name, failure.reason)
        raise status

    return stream
