"""Replies: each call gets its own, for any pieces that arrive, and none after a fault."""

import asyncio

import pytest
from hiredis import ProtocolError, ReplyError

from tallykeeper_server.store.nodes.replies import Replies


@pytest.fixture
def replies() -> Replies:
    return Replies()


async def next_of(replies: Replies, count: int = 1, timeout_seconds: float = 20.0) -> "asyncio.Task[list[object]]":
    """Return a caller that waits for a number of replies."""
    task = asyncio.create_task(replies.next(count, timeout_seconds=timeout_seconds))
    await asyncio.sleep(0)
    return task


async def test_replies_are_put_together_from_pieces(replies: Replies) -> None:
    waiting = await next_of(replies, 2)
    for piece in (b"$5\r\nhe", b"llo\r\n*2\r\n:1\r\n", b"$-1\r\n"):
        assert not waiting.done()
        replies.data_received(piece)

    assert await waiting == [b"hello", [1, None]]
    assert replies.are_clean


async def test_replies_that_came_before_they_are_awaited_are_there_at_once(replies: Replies) -> None:
    replies.data_received(b":1\r\n:2\r\n")

    assert await replies.next(2, timeout_seconds=20.0) == [1, 2]


async def test_a_refusal_is_a_reply(replies: Replies) -> None:
    replies.data_received(b"-OOM no memory\r\n:1\r\n")

    refusal, value = await replies.next(2, timeout_seconds=20.0)

    assert isinstance(refusal, ReplyError)
    assert str(refusal) == "OOM no memory"
    assert value == 1


@pytest.mark.parametrize("left_over", [b":1\r\n", b"$5\r\nhe"])
async def test_what_nobody_asked_for_makes_it_unfit_for_the_next(replies: Replies, left_over: bytes) -> None:
    assert replies.are_clean

    replies.data_received(left_over)

    assert not replies.are_clean


async def test_a_missing_reply_is_reported_after_the_timeout(replies: Replies) -> None:
    with pytest.raises(TimeoutError):
        await replies.next(1, timeout_seconds=0.01)

    assert not replies.are_clean


@pytest.mark.parametrize("error", [None, OSError("broken")])
async def test_a_waiting_call_gets_the_loss_of_the_connection(replies: Replies, error: OSError | None) -> None:
    waiting = await next_of(replies)
    replies.connection_lost(error)

    with pytest.raises(OSError, match="broken" if error else "closed"):
        await waiting
    with pytest.raises(OSError, match="broken" if error else "closed"):
        await replies.next(1, timeout_seconds=20.0)


async def test_bytes_that_are_no_reply_are_reported(replies: Replies) -> None:
    waiting = await next_of(replies)
    replies.data_received(b"HTTP/1.1 400 Bad Request\r\n")

    with pytest.raises(ProtocolError):
        await waiting


async def test_who_gave_up_does_not_hinder_what_comes(replies: Replies) -> None:
    waiting = await next_of(replies)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    replies.data_received(b":1\r\n")

    assert not replies.are_clean


async def test_replies_that_were_all_there_before_the_loss_are_returned(replies: Replies) -> None:
    waiting = await next_of(replies)
    replies.data_received(b"-ERR max number of clients reached\r\n")
    replies.connection_lost(None)

    (refusal,) = await waiting

    assert isinstance(refusal, ReplyError)
    assert not replies.are_clean
