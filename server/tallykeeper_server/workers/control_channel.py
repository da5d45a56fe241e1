"""The line between the supervisor and a worker: questions and answers as JSON, one on a line, over a socket.

It knows how to ask and answer, and not what. Each end learns from it that the other is gone.
"""

import asyncio
import itertools
import json
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Self

MESSAGE_BYTES_MAX: Final = 16 << 20
"""The longest question or answer; one that is longer ends the line."""

Answers = Mapping[str, Callable[[Any], Awaitable[object]]]
"""What is done for a question: it gets the question's value, and returns the answer."""


class ControlClosedError(Exception):
    """The other end of the line is gone."""


class AskingEnd:
    """The end that asks, which is the supervisor's. Questions may overlap."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """``over`` makes one from a socket."""
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._closed = False
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def over(cls, connection: socket.socket) -> Self:
        """Take over one end of a socket pair."""
        return cls(*await asyncio.open_connection(sock=connection, limit=MESSAGE_BYTES_MAX))

    async def ask(self, question: str, value: object = None, *, seconds: float) -> Any:  # noqa: ANN401  # as JSON is
        """Return the answer to a question.

        :raises ControlClosedError: the other end is gone, and may or may not have heard the question.
        :raises TimeoutError: there was no answer in time.
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
        """Hang up."""
        self._reading.cancel()
        self._end()

    async def _read(self) -> None:
        while (message := await _next_message(self._reader)) is not None:
            answer = self._waiting.get(message["number"])
            if answer is not None and not answer.done():
                answer.set_result(message["answer"])
        self._end()

    def _end(self) -> None:
        self._closed = True
        self._writer.close()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(ControlClosedError())


class AnsweringEnd:
    """The end that answers, which is a worker's."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """``over`` makes one from a socket."""
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, connection: socket.socket) -> Self:
        """Take over one end of a socket pair."""
        return cls(*await asyncio.open_connection(sock=connection, limit=MESSAGE_BYTES_MAX))

    async def answer(self, answers: Answers) -> None:
        """Answer each question, while others may still be under way; return when the other end is gone."""
        async with asyncio.TaskGroup() as under_way:
            while (message := await _next_message(self._reader)) is not None:
                under_way.create_task(self._answer(message, answers[message["ask"]](message["value"])))

    def close(self) -> None:
        """Hang up, after what was said."""
        self._writer.close()

    async def _answer(self, message: Mapping[str, Any], answer: Awaitable[object]) -> None:
        self._writer.write(_line({"number": message["number"], "answer": await answer}))


def _line(message: Mapping[str, object]) -> bytes:
    return json.dumps(message).encode() + b"\n"


async def _next_message(reader: asyncio.StreamReader) -> dict[str, Any] | None:
    """Return the next message, or None if the other end is gone, maybe in the middle of one."""
    try:
        line = await reader.readline()
    except (ConnectionError, ValueError):  # ValueError: longer than a message may be
        return None
    return json.loads(line) if line.endswith(b"\n") else None
