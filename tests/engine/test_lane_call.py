"""A call in a lane: its result reaches those who await it and the callback, once."""

import asyncio

import pytest

from tallykeeper_server.engine.lane_call import LaneCall


def made() -> LaneCall[str, int]:
    return LaneCall("item", 1, 10.0, may_resend=False, waiting_since=0.0)


async def test_a_result_reaches_the_callback_at_once_and_later_ones_have_no_effect() -> None:
    call, seen = made(), list[int]()
    call.when_done(lambda done: seen.append(done.result()))

    call.resolve(1)
    call.resolve(2)
    call.fail(ValueError())
    call.cancel()

    assert seen == [1]
    assert await call == 1


async def test_a_callback_of_a_call_that_is_done_is_called_at_once() -> None:
    call, seen = made(), list[bool]()
    call.fail(ValueError("no"))

    call.when_done(lambda done: seen.append(done.done()))

    assert seen == [True]
    with pytest.raises(ValueError, match="no"):
        await call


async def test_a_callback_that_fails_keeps_the_result(caplog: pytest.LogCaptureFixture) -> None:
    call = made()
    call.when_done(lambda _: 1 // 0)  # type: ignore[arg-type]  # it returns nothing

    call.resolve(1)

    assert call.result() == 1
    assert "the callback of a call has failed" in caplog.text


async def test_whoever_awaits_a_call_and_is_cancelled_withdraws_it() -> None:
    call = made()

    async def wait() -> int:
        return await call

    waiter = asyncio.create_task(wait())
    await asyncio.sleep(0)
    waiter.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert call.done()
    with pytest.raises(asyncio.CancelledError):
        call.result()


async def test_a_result_ends_the_wait() -> None:
    call = made()

    async def wait() -> int:
        return await call

    waiter = asyncio.create_task(wait())
    await asyncio.sleep(0)
    call.resolve(7)

    assert await waiter == 7
