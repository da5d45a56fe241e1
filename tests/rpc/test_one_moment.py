"""Reads of several levels: each answer shows one moment, whatever changes between two commands."""

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from google.protobuf.message import Message

from tallykeeper.v1.counter_pb2 import BatchGetCountersRequest, GetCounterRequest
from tallykeeper.v1.inventory_pb2 import BatchGetStockRequest, GetStockRequest, StockKey
from tallykeeper.v1.reservation_pb2 import GetReservationRequest
from tallykeeper_server.store import keys
from tallykeeper_server.store.nodes.commands import Command
from tallykeeper_server.store.nodes.one_node import OneNode
from tallykeeper_server.store.nodes.routes import Group, GroupReplies
from tests.support.client import Caller
from tests.support.slot_moves import READINGS, Reading, beginning, in_namespace, whole_step

BY_NAME = (
    GetCounterRequest(counter="meter-0"),
    BatchGetCountersRequest(counters=["meter-0", "twin"]),
    GetStockRequest(item="anchor"),
    BatchGetStockRequest(keys=[StockKey(item="anchor"), StockKey(item="coin-0")]),
    GetReservationRequest(reservation_id="for-kim-0"),
)


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch, call: Caller, namespace: str) -> Iterator[list[Command]]:
    """The commands with which the server reads in the namespace. All copies move before and after each command."""
    sent: list[Command] = []
    steps = itertools.count(1)
    ask = OneNode.ask

    async def ask_one_by_one(routes: OneNode, groups: Sequence[Group]) -> list[GroupReplies]:
        return [await replies_to(routes, key, commands) for key, commands in groups]

    async def replies_to(routes: OneNode, key: str, commands: Sequence[Command]) -> GroupReplies:
        replies: list[Any] = []
        for command in commands:
            replies += (await ask(routes, [(key, [command])]))[0]  # type: ignore[arg-type]  # the store is there
            if key == keys.prefix(namespace) and command != ("TIME",):  # TIME reads no level
                sent.append(command)
                await asyncio.to_thread(call, whole_step(namespace, next(steps)))
        return replies

    call(beginning(namespace))
    monkeypatch.setattr(OneNode, "ask", ask_one_by_one)
    yield sent
    monkeypatch.undo()


@pytest.mark.parametrize("reading", READINGS, ids=lambda reading: reading.name)
def test_an_answer_is_true_though_everything_moves_between_two_commands(
    call: Caller, commands: list[Command], namespace: str, reading: Reading
) -> None:
    answer = call(in_namespace(reading.request, namespace))

    assert reading.is_true(answer), answer
    assert commands


@pytest.mark.parametrize("query", BY_NAME, ids=lambda query: type(query).__name__)
def test_what_is_read_by_name_is_read_by_one_command(
    call: Caller, commands: list[Command], namespace: str, query: Message
) -> None:
    call(in_namespace(query, namespace))

    assert len([command for command in commands if command[0] != "EVAL"]) == 1  # as after a NOSCRIPT
