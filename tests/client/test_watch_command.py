"""``tallykeeper watch`` and ``tallykeeper completion``: their output and their end."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from tallykeeper.v1.ledger_pb2 import WatchRequest
from tallykeeper_cli.main import main
from tallykeeper_client import Counter, Entry, StockLevel, WatchResponse
from tests.client.command_run import run
from tests.client.scripted_server import Refusal, ScriptedServer, Stream
from tests.client.trailers import trailers
from tests.support.ledger import stock_line

SALE = Entry(
    revision=17,
    commit_time=Timestamp(seconds=1_780_000_000),
    operation="OPERATION_KIND_DECREMENT_COPIES",
    reason="sale",
    reference="order-1",
    lines=[stock_line("dune", on_hand_change=-2, after=StockLevel(on_hand=3))],
)
SALE_LINE = "17  2026-05-28T20:26:40Z  decrement_copies  dune@main: on_hand -2 = 3  sale  order-1"
TRIMMED = Refusal(
    grpc.StatusCode.OUT_OF_RANGE, "in words", trailers("REVISION_TRIMMED", {"after_revision": "1", "oldest": "9"})
)


@asynccontextmanager
async def _watching(scripted: ScriptedServer, *arguments: str) -> AsyncIterator[Process]:
    """Run ``tallykeeper watch`` in its own process, and check that it ends."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tallykeeper_cli", "watch", "--target", scripted.target, *arguments,
        stdout=PIPE, stderr=PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _line(process: Process) -> str:
    assert process.stdout
    return (await asyncio.wait_for(process.stdout.readline(), timeout=20)).decode().rstrip("\n")


async def _interrupted(process: Process) -> int | None:
    """Press Ctrl-C until the process ends, because Python loses an interrupt that falls into a callback."""
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        with suppress(TimeoutError):
            return await asyncio.wait_for(process.wait(), timeout=10)
    return None


async def test_each_change_is_printed_at_once_until_an_interrupt(scripted: ScriptedServer) -> None:
    scripted.will_answer(
        Stream(WatchResponse(entries=[SALE], revision=17), then=Refusal(grpc.StatusCode.UNAVAILABLE)),
        Stream(WatchResponse(entries=[Entry(revision=18)], revision=18)),
    )
    async with _watching(scripted) as process:
        assert await _line(process) == SALE_LINE
        assert (await _line(process)).startswith("18")

        assert await _interrupted(process) == 130
        assert process.stderr
        assert await process.stderr.read() in (b"", b"\n")


async def test_a_reader_that_leaves_ends_the_watch_without_output(scripted: ScriptedServer) -> None:
    many = [Stream(WatchResponse(entries=[SALE] * 5000, revision=17)) for _ in range(2)]
    scripted.will_answer(*many)
    read, write = os.pipe()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tallykeeper_cli", "watch", "--target", scripted.target, stdout=write, stderr=PIPE
    )
    os.close(write)
    await asyncio.to_thread(os.read, read, 10)
    os.close(read)

    _, errors = await asyncio.wait_for(process.communicate(), timeout=20)

    assert errors == b""
    assert process.returncode == 0


async def test_a_watch_sends_its_filters_and_ends_with_a_permanent_error(
    capsys: pytest.CaptureFixture[str], scripted: ScriptedServer
) -> None:
    scripted.will_answer(TRIMMED)
    names = "--item dune --item emma --counter c --reservation r --location annex --after-revision 1"

    assert await run(scripted, "watch", *names.split()) == 1

    assert WatchRequest.FromString(scripted.asked[0].body) == WatchRequest(
        namespace="default",
        items=["dune", "emma"],
        counters=["c"],
        reservation_ids=["r"],
        locations=["annex"],
        after_revision=1,
    )
    assert capsys.readouterr().err == "tallykeeper: in words [REVISION_TRIMMED]\n"


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "json"])
async def test_levels_come_first_with_the_option(
    capsys: pytest.CaptureFixture[str], scripted: ScriptedServer, *, form: tuple[str, ...]
) -> None:
    levels = WatchResponse(
        revision=16,
        stock_levels=[StockLevel(item="dune", location="main", on_hand=5)],
        counters=[Counter(counter="visitors", value=7)],
    )
    scripted.will_answer(Stream(levels, WatchResponse(entries=[SALE], revision=17), then=TRIMMED))

    await run(scripted, "watch", "--levels", *form)

    out = capsys.readouterr().out.splitlines()
    if form:
        assert [min(json.loads(line)) for line in out] == ["available", "counter", "commit_time"]
    else:
        assert [line.split()[0] for line in out] == ["item", "dune", "counter", "visitors", "17"]


@pytest.mark.parametrize(("shell", "word"), [("bash", "complete "), ("zsh", "compdef"), ("fish", "complete ")])
def test_completion_prints_code_for_the_shell(capsys: pytest.CaptureFixture[str], shell: str, word: str) -> None:
    assert main(["completion", shell]) == 0

    script = capsys.readouterr().out
    assert "_TALLYKEEPER_COMPLETE" in script
    assert word in script


def test_commands_are_completed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("_TALLYKEEPER_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "tallykeeper stock im")
    monkeypatch.setenv("COMP_CWORD", "2")

    with pytest.raises(SystemExit):
        main([])

    assert capsys.readouterr().out == "plain,import\n"
