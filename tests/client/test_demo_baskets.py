"""The second act of the demo, against a server that gives wrong answers."""

import asyncio

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty

from tallykeeper.v1.inventory_pb2 import GetStockResponse
from tallykeeper.v1.namespace_pb2 import GetNamespaceResponse
from tallykeeper_cli.demo import baskets
from tallykeeper_cli.demo.baskets import fill_baskets
from tallykeeper_cli.demo.sales import Step
from tallykeeper_cli.demo.watcher import Watcher
from tallykeeper_client import Client, Entry, TallykeeperError, WatchResponse
from tests.client.scripted_server import Refusal, ScriptedServer, Stream

EXPIRED = Stream(WatchResponse(entries=[Entry(operation="OPERATION_KIND_EXPIRE")], revision=9))


async def _play(target: str) -> list[Step]:
    with Client(target) as client:
        return await asyncio.to_thread(list, fill_baskets(client))


async def test_wrong_answers_are_reported_at_every_step(scripted: ScriptedServer) -> None:
    scripted.will_answer(*[Empty()] * 10, EXPIRED)

    steps = await _play(scripted.target)

    assert [step.as_expected for step in steps] == [False] * 6


async def test_the_wait_for_an_expiry_ends(monkeypatch: pytest.MonkeyPatch, scripted: ScriptedServer) -> None:
    monkeypatch.setattr(baskets, "_EXPIRY_SECONDS_MAX", 0.1)
    scripted.will_answer(*[GetStockResponse()] * 10, Stream())

    with pytest.raises(TimeoutError):
        await _play(scripted.target)


async def test_the_watcher_prints_every_change_before_it_ends(
    capsys: pytest.CaptureFixture[str], scripted: ScriptedServer
) -> None:
    begins, then = WatchResponse(revision=7), WatchResponse(entries=[Entry(revision=8), Entry(revision=9)], revision=9)
    scripted.will_answer(Stream(begins, then), GetNamespaceResponse(revision=9))

    def watch() -> None:
        with Client(scripted.target) as client, Watcher(client):
            pass

    await asyncio.to_thread(watch)

    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()] == [["watcher:", "8"], ["watcher:", "9"]]


async def test_a_server_without_watches_is_reported(scripted: ScriptedServer) -> None:
    scripted.will_answer(Refusal(grpc.StatusCode.UNIMPLEMENTED))

    def watch() -> None:
        with Client(scripted.target) as client, Watcher(client):
            pass

    with pytest.raises(TallykeeperError, match="does not know this call"):
        await asyncio.to_thread(watch)
