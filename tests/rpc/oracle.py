"""The oracle: a client sees no difference between the transport and gRPC's own Python server.

The handlers run once, behind the transport. What each replied, failed with or streamed is kept under an id that the
client sends. A second call brings that outcome to methods behind grpc.aio's server, which give it back. So the
comparison covers all that lies between the handlers and the client: code, message, trailers, initial metadata and
responses.
"""

import subprocess
import sys
import uuid
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, cast

import grpc
import pytest

from tallykeeper_server.app import server
from tallykeeper_server.transport.call import Call
from tallykeeper_server.transport.methods import Method, direct, response_stream
from tallykeeper_server.transport.status import StatusError
from tests.rpc.oracle_server import packed
from tests.support.client import OWN_CONNECTION
from tests.support.server import PATIENCE_SECONDS

_ID: Final = "x-oracle-id"
_KEPT_MAX: Final = 10_000


@dataclass(slots=True)
class Outcome:
    """The outcome of a call: its responses, and the error if it failed."""

    responses: list[bytes] = field(default_factory=list)
    error: StatusError | None = None
    has_ended: bool = False


class Outcomes:
    """The outcomes of calls by their ids; the oldest are forgotten."""

    def __init__(self) -> None:
        self._outcomes: OrderedDict[str, Outcome] = OrderedDict()

    def record(self, method: Method) -> Method:
        """Return a method that keeps its outcomes here."""
        if method.streams_responses:
            return response_stream(method.path, self._recorded_stream(method.handler))
        return direct(
            method.path, lambda raw, call: method.handler(raw, cast("Call", _RecordedCall(call, self._begin(call))))
        )

    def _recorded_stream(self, handler: Callable[..., Any]) -> Callable[[bytes, Call], AsyncGenerator[bytes, None]]:
        async def stream(raw: bytes, call: Call) -> AsyncGenerator[bytes, None]:
            outcome = self._begin(call)
            try:
                async for response in handler(raw, call):
                    outcome.responses.append(response)
                    yield response
            except StatusError as error:
                outcome.error = error
                outcome.has_ended = True
                raise
            outcome.has_ended = True

        return stream

    def _begin(self, call: Call) -> Outcome:
        outcome = Outcome()
        for number in call.values(_ID.encode()):
            self._outcomes[number] = outcome
            if len(self._outcomes) > _KEPT_MAX:
                self._outcomes.popitem(last=False)
        return outcome

    def of(self, number: str) -> Outcome | None:
        """Return the outcome of a call that has ended by itself; None if no handler began, or its caller left."""
        outcome = self._outcomes.get(number)
        return outcome if outcome is not None and outcome.has_ended else None


class _RecordedCall:
    """A call of the transport that keeps its answer."""

    def __init__(self, call: Call, outcome: Outcome) -> None:
        self._call = call
        self._outcome = outcome

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # any attribute of a call
        return getattr(self._call, name)

    def reply(self, message: bytes) -> None:
        self._outcome.responses.append(message)
        self._outcome.has_ended = not self._call.done
        self._call.reply(message)

    def fail(self, error: StatusError) -> None:
        self._outcome.error = error
        self._outcome.has_ended = not self._call.done
        self._call.fail(error)


OUTCOMES: Final = Outcomes()


@contextmanager
def recording() -> Iterator[None]:
    """Let servers that are made within this context keep outcomes."""
    with pytest.MonkeyPatch.context() as patch:
        make: Callable[..., Iterable[Method]] = vars(server)["service_methods"]
        patch.setattr(server, "service_methods", lambda *args, **named: [*map(OUTCOMES.record, make(*args, **named))])
        yield


class Oracle:
    """A server of grpc.aio in a separate process, so that it does not wait for the test's threads."""

    def __init__(self) -> None:
        self.compared = 0
        """The number of calls that were compared."""
        command = [sys.executable, "-m", "tests.rpc.oracle_server"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        # gRPC refuses, at random, some calls with trailers near its limit. This channel's limit is far from them.
        limits = {"max_receive_message_length": -1, "max_metadata_size": 1 << 16, "absolute_max_metadata_size": 1 << 16}
        options = (*OWN_CONNECTION, *((f"grpc.{name}", limit) for name, limit in limits.items()))
        self._channel: Any = grpc.insecure_channel(f"127.0.0.1:{self._process.stdout.readline().strip()}", options)

    def close(self) -> None:
        """End the process of the server."""
        self._channel.close()
        self._process.communicate(timeout=PATIENCE_SECONDS)

    def compare(self, path: str, number: str, seen: Any, *, streams: bool) -> None:  # noqa: ANN401  # a call of gRPC's
        """Check that the outcome of a finished call equals that of gRPC's own server.

        A call that never reached its handler has no outcome, and is not compared.
        """
        outcome = OUTCOMES.of(number)
        if outcome is None:
            return
        raw = packed(outcome.responses, outcome.error)
        if streams:
            again = self._channel.unary_stream(path)(raw, timeout=PATIENCE_SECONDS)
            responses = _drained(again)
        else:
            again = self._channel.unary_unary(path).future(raw, timeout=PATIENCE_SECONDS)
            again.exception()
            responses = [] if again.exception() else [again.result()]
        assert _described(seen) == _described(again), path
        assert responses == (outcome.responses if streams or outcome.error is None else []), path
        self.compared += 1


def _drained(call: Any) -> list[bytes]:  # noqa: ANN401  # grpc's types know no bytes
    responses: list[bytes] = []
    with suppress(grpc.RpcError):  # the error is the call itself
        responses.extend(call)
    return responses


def _described(call: Any) -> dict[str, object]:  # noqa: ANN401  # grpc's types know no bytes
    return {
        "code": call.code(),
        "message": call.details(),
        "trailers": sorted(call.trailing_metadata()),
        "initial": sorted(call.initial_metadata()),
    }


class ComparingChannel:
    """A channel to the transport. Each call that ends by itself is compared with the oracle's."""

    def __init__(self, channel: Any, oracle: Oracle) -> None:  # noqa: ANN401  # grpc's types tell nothing of bytes
        self._channel = channel
        self._oracle = oracle

    def unary_unary(self, path: str, *, response_deserializer: Callable[[bytes], Any]) -> Callable[..., Any]:
        """Return a function that calls a method and compares the call."""
        make = self._channel.unary_unary(path)

        def call(raw: bytes, *, timeout: float | None = None, metadata: Any = ()) -> Any:  # noqa: ANN401  # gRPC's call
            number = uuid.uuid4().hex
            made = make.future(raw, timeout=timeout, metadata=(*metadata, (_ID, number)))
            error = made.exception()
            self._oracle.compare(path, number, made, streams=False)
            if error is not None:
                raise error
            return response_deserializer(made.result())

        return call

    def unary_stream(self, path: str, *, response_deserializer: Callable[[bytes], Any]) -> Callable[..., Any]:
        """Return a function that calls a method with a stream of responses."""
        make = self._channel.unary_stream(path)

        def call(raw: bytes, *, timeout: float | None = None, metadata: Any = ()) -> "_ComparedStream":  # noqa: ANN401
            number = uuid.uuid4().hex
            made = make(raw, timeout=timeout, metadata=(*metadata, (_ID, number)))
            return _ComparedStream(
                made, response_deserializer, lambda: self._oracle.compare(path, number, made, streams=True)
            )

        return call

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()


class _ComparedStream:
    """Responses that are compared once their call has ended by itself."""

    def __init__(self, call: Any, deserialize: Callable[[bytes], Any], compare: Callable[[], None]) -> None:  # noqa: ANN401
        self._call = call
        self._deserialize = deserialize
        self._compare = compare

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:  # noqa: ANN401  # a message
        try:
            return self._deserialize(next(self._call))
        except (StopIteration, grpc.RpcError):
            self._compare()
            raise

    def cancel(self) -> None:
        """Leave the call."""
        self._call.cancel()
