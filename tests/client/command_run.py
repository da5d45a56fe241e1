"""Runs the command line against a server that a test scripts."""

import asyncio
import json
from dataclasses import dataclass

import pytest
from google.protobuf.message import Message

from tallykeeper_cli.main import main
from tests.client.scripted_server import ScriptedServer, Stream


@dataclass(frozen=True)
class Case:
    """A command line, its request, the server's answer, and the printed lines."""

    arguments: str
    request: Message
    response: Message | Stream
    printed: tuple[str, ...]
    exit_code: int = 0

    def __str__(self) -> str:
        return "-".join(self.arguments.split()[:2])


async def run(server: ScriptedServer | str, *arguments: str) -> int:
    """Run a command on a server in this event loop, and return its exit code."""
    target = server if isinstance(server, str) else server.target
    return await asyncio.to_thread(main, [*arguments, "--target", target])


async def check(case: Case, scripted: ScriptedServer, capsys: pytest.CaptureFixture[str]) -> None:
    """Fail if a command sends another request or prints other lines."""
    scripted.will_answer(case.response)

    assert await run(scripted, *case.arguments.split()) == case.exit_code

    (asked,) = scripted.asked
    assert type(case.request).FromString(asked.body) == case.request
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.splitlines() == list(case.printed)


async def check_json(case: Case, scripted: ScriptedServer, capsys: pytest.CaptureFixture[str]) -> None:
    """Fail if a command with ``--json`` prints anything except JSON objects, each on its line."""
    scripted.will_answer(case.response)

    assert await run(scripted, *case.arguments.split(), "--json") == case.exit_code

    lines = capsys.readouterr().out.splitlines()
    assert lines
    assert all(isinstance(json.loads(line), dict) for line in lines)
