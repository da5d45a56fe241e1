"""The channel between the supervisor and a worker: questions and answers in JSON, one to a line, over a socket.

Both ends ask and answer any question. Each end learns from the channel that the other end has gone.
"""

import asyncio
import itertools
import json
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Self

MESSAGE_BYTES_MAX: Final = 16 << 20
"""The maximum size of a question or an answer. A longer one ends the channel."""

Answers = Mapping[str, Callable[[Any], Awaitable[object]]]
"""The functions that answer, by the name of the question. Each takes the question's value."""


class ControlClosedError(Exception):
    """The other end of the channel has gone."""


class ControlEnd:
    """One end of a channel. Questions may overlap, in both directions."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Use ``over`` to make an end from a socket."""
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._closed = False

    @classmethod
    async def over(cls, connection: socket.socket) -> Self:
        """Take over one end of a socket pair. It asks nothing and answers nothing until it listens."""
        return cls(*await asyncio.open_connection(sock=connection, limit=MESSAGE_BYTES_MAX))

    async def listen(self, answers: Answers) -> None:
        """Receive answers to the questions of this end, and answer those of the other end, until that end is gone."""
        try:
            async with asyncio.TaskGroup() as under_way:
                while (message := await _next_message(self._reader)) is not None:
                    if "ask" in message:
                        under_way.create_task(self._answer(message, answers[message["ask"]](message["value"])))
                    else:
                        self._take(message)
                self._end()
        finally:
            self._end()

    async def ask(self, question: str, value: object = None, *, seconds: float) -> Any:  # noqa: ANN401  # as JSON is
        """Return the answer to a question.

        :raises ControlClosedError: the other end has gone. It may have received the question.
        :raises TimeoutError: no answer came in time.
        """
        if self._closed:
            raise ControlClosedError
        number = next(self._numbers)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            self._writer.write(_line({"number": number, "ask": question, "value": value}))
            async with asyncio.timeout(seconds):
                return await answer
        finally:
            del self._waiting[number]

    def close(self) -> None:
        """Close the channel after the answers so far."""
        self._end()

    def _take(self, message: Mapping[str, Any]) -> None:
        answer = self._waiting.get(message["number"])
        if answer is not None and not answer.done():
            answer.set_result(message["answer"])

    def _end(self) -> None:
        self._closed = True
        self._writer.close()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(ControlClosedError())

    async def _answer(self, message: Mapping[str, Any], answer: Awaitable[object]) -> None:
        self._writer.write(_line({"number": message["number"], "answer": await answer}))


def _line(message: Mapping[str, object]) -> bytes:
    return json.dumps(message).encode() + b"\n"


async def _next_message(reader: asyncio.StreamReader) -> dict[str, Any] | None:
    """Return the next message; None if the other end has gone, perhaps in the middle of a message."""
    try:
        line = await reader.readline()
    except (ConnectionError, ValueError):  # ValueError: the message is too long
        return None
    return json.loads(line) if line.endswith(b"\n") else None
