"""Watches: their entries, their reconnections, and their end."""

import asyncio
import time
from contextlib import aclosing

import grpc
import pytest

from tallykeeper.v1.ledger_pb2 import WatchRequest
from tallykeeper_client import (
    AsyncClient,
    Client,
    Entry,
    InternalError,
    InvalidField,
    RevisionAhead,
    RevisionTrimmed,
    StockLevel,
    TallykeeperError,
    TooManyWatches,
    Unavailable,
    WatchResponse,
)
from tallykeeper_client._calls.base import Defaults
from tallykeeper_client._calls.ledger import watch_responses
from tallykeeper_client._status_details import Failure
from tallykeeper_client._watch_retry import BACKOFF_SECONDS_MAX, BACKOFF_SECONDS_MIN, Following, ended
from tallykeeper_client.errors import Overloaded
from tests.client.connection import Connect
from tests.client.scripted_server import Refusal, ScriptedServer, Stream
from tests.client.trailers import trailers

Code = grpc.StatusCode


def _entries(*revisions: int, through: int | None = None) -> WatchResponse:
    return WatchResponse(
        entries=[Entry(revision=revision) for revision in revisions],
        revision=revisions[-1] if through is None else through,
    )


def _bookmark(revision: int) -> WatchResponse:
    return WatchResponse(revision=revision)


async def _revisions(client: AsyncClient, count: int, *, after_revision: int | None = None) -> list[int]:
    """Watch until ``count`` entries have come."""
    seen: list[int] = []
    async with aclosing(client.watch(after_revision=after_revision)) as entries:
        async for entry in entries:
            seen.append(entry.revision)
            if len(seen) == count:
                break
    return seen


def _requests(scripted: ScriptedServer) -> list[WatchRequest]:
    return [WatchRequest.FromString(asked.body) for asked in scripted.asked]


async def test_entries_come_in_order_without_bookmarks(connect: Connect, scripted: ScriptedServer) -> None:
    scripted.will_answer(Stream(_bookmark(4), _entries(5, 6), _bookmark(9), _entries(10)))
    client = await connect(scripted.target, namespace="shop")

    assert await _revisions(client, 3) == [5, 6, 10]

    assert _requests(scripted) == [WatchRequest(namespace="shop")]


async def test_a_watch_that_is_cut_off_begins_after_its_last_revision(
    connect: Connect, scripted: ScriptedServer
) -> None:
    scripted.will_answer(
        Stream(_bookmark(4), _entries(5), _bookmark(8), then=Refusal(Code.UNAVAILABLE)),
        Refusal(Code.UNAVAILABLE),
        Stream(_bookmark(8), _entries(9)),
    )
    client = await connect(scripted.target)

    assert await _revisions(client, 2) == [5, 9]

    assert [request.after_revision for request in _requests(scripted)] == [0, 8, 8]
    assert not _requests(scripted)[0].HasField("after_revision")


async def test_a_watch_without_a_revision_keeps_that_of_its_first_response(
    connect: Connect, scripted: ScriptedServer
) -> None:
    scripted.will_answer(Stream(_bookmark(0), then=Refusal(Code.UNAVAILABLE)), Stream(_entries(1)))
    client = await connect(scripted.target)

    assert await _revisions(client, 1) == [1]

    again = _requests(scripted)[1]
    assert again.HasField("after_revision")
    assert again.after_revision == 0


async def test_a_watch_begins_after_the_given_revision(connect: Connect, scripted: ScriptedServer) -> None:
    scripted.will_answer(Refusal(Code.UNAVAILABLE), Stream(_entries(1)))
    client = await connect(scripted.target)

    assert await _revisions(client, 1, after_revision=0) == [1]

    assert all(request.HasField("after_revision") for request in _requests(scripted))


@pytest.mark.parametrize(
    "cut",
    [
        Stream(_entries(1), then=Refusal(Code.UNAVAILABLE)),
        Stream(_entries(1), then=Refusal(Code.UNAVAILABLE, trailers=trailers("SHUTTING_DOWN", {"revision": "1"}))),
        Stream(_entries(1), then=Refusal(Code.CANCELLED)),
        Stream(_entries(1), then=Refusal(Code.DEADLINE_EXCEEDED)),
        Stream(_entries(1), then=Refusal(Code.INTERNAL, "Received RST_STREAM with error code 2")),
        Stream(_entries(1), then=Refusal(Code.UNKNOWN, "Stream removed")),
        Stream(
            _entries(1), then=Refusal(Code.RESOURCE_EXHAUSTED, trailers=trailers("WATCHER_TOO_SLOW", {"revision": "1"}))
        ),
        Stream(_entries(1), ends=True),
    ],
    ids=["unavailable", "shutting down", "cancelled", "deadline", "reset", "removed", "too slow", "ended"],
)
async def test_a_watch_survives_a_passing_error(connect: Connect, scripted: ScriptedServer, *, cut: Stream) -> None:
    scripted.will_answer(cut, Stream(_entries(2)))
    client = await connect(scripted.target)

    assert await _revisions(client, 2) == [1, 2]

    assert _requests(scripted)[1].after_revision == 1


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (
            Refusal(Code.OUT_OF_RANGE, trailers=trailers("REVISION_TRIMMED", {"after_revision": "1", "oldest": "7"})),
            RevisionTrimmed,
        ),
        (
            Refusal(Code.OUT_OF_RANGE, trailers=trailers("REVISION_AHEAD", {"after_revision": "1", "revision": "0"})),
            RevisionAhead,
        ),
        (Refusal(Code.INVALID_ARGUMENT, trailers=trailers("INVALID_FIELD")), InvalidField),
        (Refusal(Code.INTERNAL, trailers=trailers("INTERNAL")), InternalError),
        (Refusal(Code.PERMISSION_DENIED), TallykeeperError),
    ],
    ids=["trimmed", "ahead", "invalid", "internal", "denied"],
)
async def test_a_permanent_error_ends_a_watch(
    connect: Connect, scripted: ScriptedServer, *, refusal: Refusal, kind: type[TallykeeperError]
) -> None:
    scripted.will_answer(Stream(_entries(1), then=Refusal(Code.UNAVAILABLE)), refusal)
    client = await connect(scripted.target)

    with pytest.raises(TallykeeperError) as caught:
        await _revisions(client, 2)

    assert type(caught.value) is kind
    assert isinstance(caught.value.__cause__, grpc.RpcError)


async def test_levels_are_requested_until_they_have_come(connect: Connect, scripted: ScriptedServer) -> None:
    levels = WatchResponse(revision=3, stock_levels=[StockLevel(item="dune", on_hand=2)])
    scripted.will_answer(Refusal(Code.UNAVAILABLE), Stream(levels, then=Refusal(Code.UNAVAILABLE)), Stream(_entries(4)))
    client = await connect(scripted.target)

    async with aclosing(client.watch_responses(include_levels=True)) as responses:
        assert [await anext(responses), await anext(responses)] == [levels, _entries(4)]

    asked = [(request.include_levels, request.HasField("after_revision")) for request in _requests(scripted)]
    assert asked == [(True, False), (True, False), (False, True)]


async def test_closing_the_iterator_ends_the_stream(connect: Connect, scripted: ScriptedServer) -> None:
    stream = Stream(_entries(1))
    scripted.will_answer(stream)
    client = await connect(scripted.target)

    assert await _revisions(client, 1) == [1]

    await asyncio.wait_for(stream.was_left.wait(), timeout=10)
    assert len(scripted.asked) == 1


async def test_a_blocking_watch_that_is_dropped_ends_its_stream(scripted: ScriptedServer) -> None:
    stream = Stream(_entries(1))
    scripted.will_answer(stream)
    with Client(scripted.target) as client:
        assert (await asyncio.to_thread(next, client.watch())).revision == 1

        await asyncio.wait_for(stream.was_left.wait(), timeout=10)


@pytest.mark.parametrize("answer", [Stream(), Refusal(Code.UNAVAILABLE)], ids=["waiting", "between attempts"])
async def test_closing_a_blocking_client_ends_its_watches(
    scripted: ScriptedServer, *, answer: Stream | Refusal
) -> None:
    scripted.will_answer(*[answer] * 9)
    client = Client(scripted.target)
    watching = asyncio.ensure_future(asyncio.to_thread(list, client.watch()))
    await asyncio.wait_for(scripted.was_asked.wait(), timeout=10)

    client.close()

    assert await asyncio.wait_for(watching, timeout=10) == []


@pytest.mark.parametrize("answer", [Stream(), Refusal(Code.UNAVAILABLE)], ids=["waiting", "between attempts"])
async def test_closing_an_asyncio_client_ends_its_watches(
    scripted: ScriptedServer, *, answer: Stream | Refusal
) -> None:
    scripted.will_answer(*[answer] * 9)
    client = AsyncClient(scripted.target)

    async def watch() -> list[Entry]:
        return [entry async for entry in client.watch()]

    watching = asyncio.create_task(watch())
    await asyncio.wait_for(scripted.was_asked.wait(), timeout=10)

    await client.close()

    assert await asyncio.wait_for(watching, timeout=10) == []


async def test_cancelling_a_task_that_watches_cancels_it(scripted: ScriptedServer) -> None:
    stream = Stream()
    scripted.will_answer(stream)
    async with AsyncClient(scripted.target) as client:
        watching = asyncio.ensure_future(anext(client.watch()))
        await asyncio.wait_for(scripted.was_asked.wait(), timeout=10)

        watching.cancel()

        with pytest.raises(asyncio.CancelledError):
            await watching
        await asyncio.wait_for(stream.was_left.wait(), timeout=10)


async def test_a_watch_survives_a_server_that_goes_away(connect: Connect, scripted: ScriptedServer) -> None:
    scripted.will_answer(Stream(_entries(1)), Stream(_entries(2)))
    client = await connect(scripted.target)
    async with aclosing(client.watch()) as entries:
        assert (await anext(entries)).revision == 1

        await scripted.stop()
        await scripted.start()

        assert (await anext(entries)).revision == 2
    assert _requests(scripted)[1].after_revision == 1


async def test_a_watch_gives_up_if_no_server_answers_in_time(connect: Connect, nobody: str) -> None:
    client = await connect(nobody)
    began = time.monotonic()

    with pytest.raises(Unavailable, match=f"no Tallykeeper server answers at {nobody}"):
        await anext(client.watch(timeout_seconds=0.5))

    assert time.monotonic() - began < 5


def _following(*, timeout_seconds: float = 10.0, draw: float = 1.0, now: float = 0.0) -> Following:
    call = watch_responses(Defaults(namespace="shop", timeout_seconds=timeout_seconds))
    return Following(call, clock=lambda: now, draw=lambda: draw)


def test_the_pauses_grow_to_a_limit_and_begin_again_after_a_response() -> None:
    following = _following()
    following.took(_bookmark(1))

    pauses = [following.pause_seconds(ended("there")) for _ in range(9)]
    following.took(_bookmark(2))

    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, BACKOFF_SECONDS_MAX, BACKOFF_SECONDS_MAX, BACKOFF_SECONDS_MAX]
    assert following.pause_seconds(ended("there")) == BACKOFF_SECONDS_MIN


def test_a_pause_is_between_half_and_the_whole_of_its_length() -> None:
    assert _following(draw=0.0).pause_seconds(ended("there")) == BACKOFF_SECONDS_MIN / 2
    assert _following(draw=1.0).pause_seconds(ended("there")) == BACKOFF_SECONDS_MIN


def test_a_watch_obeys_the_retry_delay_of_the_server() -> None:
    busy = Failure(code=Code.RESOURCE_EXHAUSTED, reason="OVERLOADED", message="", retry_after_seconds=3.0)

    assert _following().pause_seconds(Overloaded(busy)) == 3.0


def test_only_a_watch_that_has_begun_waits_for_room() -> None:
    full = TooManyWatches(Failure(code=Code.RESOURCE_EXHAUSTED, reason="TOO_MANY_WATCHES", message=""))
    begun, new = _following(timeout_seconds=0.05), _following(timeout_seconds=0.05)
    begun.took(_bookmark(1))

    assert begun.pause_seconds(full) is not None
    assert new.pause_seconds(full) is None
