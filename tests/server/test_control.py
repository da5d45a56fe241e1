"""The control channel between the supervisor and a worker."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tallykeeper_server.workers.control_channel import (
    MESSAGE_BYTES_MAX,
    Answers,
    ControlClosedError,
    ControlEnd,
)
from tests.support.server import PATIENCE_SECONDS


@asynccontextmanager
async def channel(answers: Answers) -> AsyncIterator[tuple[ControlEnd, ControlEnd, asyncio.Task[None]]]:
    ours, theirs = socket.socketpair()
    asking, answering = await ControlEnd.over(ours), await ControlEnd.over(theirs)
    task = asyncio.create_task(answering.listen(answers))
    listening = asyncio.create_task(asking.listen({"echo": echo}))
    yield asking, answering, task
    asking.close()
    await asyncio.wait([task, listening])
    answering.close()


async def echo(value: object) -> object:
    return value


@pytest.mark.parametrize("value", [None, 0, True, "", "two\nlines", "ß€😀", [1, {"a": None}], "x" * 1_000_000])
async def test_an_answer_is_the_same_after_json(value: object) -> None:
    async with channel({"echo": echo}) as (asking, _, _):
        assert await asking.ask("echo", value, seconds=PATIENCE_SECONDS) == value


async def test_questions_overlap_and_each_gets_its_own_answer() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(value: object) -> object:
        begun.set()
        await go_on.wait()
        return value

    async with channel({"echo": echo, "slow": slow}) as (asking, _, _):
        first = asyncio.create_task(asking.ask("slow", 1, seconds=PATIENCE_SECONDS))
        await begun.wait()

        assert await asking.ask("echo", 2, seconds=PATIENCE_SECONDS) == 2
        assert not first.done()
        go_on.set()
        assert await first == 1


async def test_both_ends_ask_at_the_same_time() -> None:
    async with channel({"echo": echo}) as (one, other, _):
        answers = await asyncio.gather(
            one.ask("echo", 1, seconds=PATIENCE_SECONDS), other.ask("echo", 2, seconds=PATIENCE_SECONDS)
        )

    assert list(answers) == [1, 2]


async def test_an_answer_that_comes_too_late_is_not_taken_for_another() -> None:
    go_on = asyncio.Event()

    async def slow(value: object) -> object:
        await go_on.wait()
        return value

    async with channel({"echo": echo, "slow": slow}) as (asking, _, _):
        with pytest.raises(TimeoutError):
            await asking.ask("slow", 1, seconds=0.01)
        go_on.set()
        assert await asking.ask("echo", 2, seconds=PATIENCE_SECONDS) == 2


async def test_each_end_learns_that_the_other_is_gone() -> None:
    async def never(_: object) -> object:
        return await asyncio.get_running_loop().create_future()

    async with channel({"never": never}) as (asking, answering, task):
        open_question = asyncio.create_task(asking.ask("never", seconds=PATIENCE_SECONDS))
        await asyncio.sleep(0)
        answering.close()
        with pytest.raises(ControlClosedError):
            await open_question
        with pytest.raises(ControlClosedError):
            await asking.ask("never", seconds=PATIENCE_SECONDS)
        task.cancel()

    async with channel({"echo": echo}) as (asking, _, task):
        asking.close()
        await asyncio.wait_for(task, PATIENCE_SECONDS)


async def test_a_message_beyond_the_limit_ends_the_channel() -> None:
    async with channel({"echo": echo}) as (asking, answering, task):
        question = asyncio.create_task(asking.ask("echo", "x" * MESSAGE_BYTES_MAX, seconds=PATIENCE_SECONDS))
        await asyncio.wait_for(task, PATIENCE_SECONDS)
        answering.close()
        with pytest.raises(ControlClosedError):
            await question
