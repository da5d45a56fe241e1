"""The demo: it plays against a real server, and finds the wrong answers of a false one."""

import asyncio
import re
import time

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty

from tallykeeper_cli.main import main
from tallykeeper_client import Client
from tests.client.scripted_server import Refusal, ScriptedServer
from tests.support.server import ThreadedServer


def test_every_step_has_the_expected_answer_and_the_data_can_be_shown(
    capsys: pytest.CaptureFixture[str], server: ThreadedServer
) -> None:
    assert main(["demo", "--target", server.target]) == 0

    out = capsys.readouterr().out
    assert (
        "9 steps had the expected answer. The last answer: 10 of 50 buyers served, 40 refused, 0 copies left.\n" in out
    )
    assert "6 steps had the expected answer. The last answer: expired, available: 4.\n" in out
    words = re.findall(r"\w+", out)
    assert {"INSUFFICIENT_STOCK", "replayed", "yes"} <= set(words)
    assert "NO" not in words
    watched = re.findall(r"watcher: .*Z  (\w+)", out)
    assert watched == [*["increment_copies"] * 3, "reserve", "commit", "reserve", "expire"]
    (namespace,) = set(re.findall(r"demo-[0-9a-f]{8}", out))
    with Client(server.target, namespace=namespace) as client:
        assert client.get_counter("visitors").counter.value == 5
        assert client.get_stock("the-dispossessed").stock_level.available == 1
        assert client.get_stock("moby-dick").stock_level.on_hand == 0


def test_each_run_has_a_new_namespace(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, server: ThreadedServer
) -> None:
    monkeypatch.setenv("TALLYKEEPER_TARGET", server.target)

    assert [main(["demo"]), main(["demo"])] == [0, 0]

    assert len(set(re.findall(r"demo-[0-9a-f]{8}", capsys.readouterr().out))) == 2


@pytest.mark.parametrize("columns", [50, 80, 120])
def test_the_table_is_as_wide_as_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, server: ThreadedServer, *, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))

    assert main(["demo", "--target", server.target]) == 0

    drawn = [line.rstrip() for line in capsys.readouterr().out.splitlines() if line.startswith(("┏", "│", "└"))]
    assert {len(line) for line in drawn} == {columns}


async def test_wrong_answers_of_a_server_are_reported(
    capsys: pytest.CaptureFixture[str], scripted: ScriptedServer
) -> None:
    assert await asyncio.to_thread(main, ["demo", "--target", scripted.target]) == 1

    captured = capsys.readouterr()
    assert "had the expected answer" not in captured.out
    assert captured.err.startswith("tallykeeper: unexpected answer in step 1, 2, 3")


async def test_a_call_that_fails_ends_the_story_and_is_reported(
    capsys: pytest.CaptureFixture[str], scripted: ScriptedServer
) -> None:
    scripted.will_answer(Empty(), Refusal(grpc.StatusCode.PERMISSION_DENIED, "keep out"))

    assert await asyncio.to_thread(main, ["demo", "--target", scripted.target]) == 1

    captured = capsys.readouterr()
    assert "The first visitor" in captured.out
    assert captured.err.startswith("tallykeeper: step 2 failed with PERMISSION_DENIED: ")


def test_without_a_server_one_line_says_how_to_start_one(capsys: pytest.CaptureFixture[str], nobody: str) -> None:
    began = time.monotonic()

    assert main(["demo", "--target", nobody]) == 3

    assert time.monotonic() - began < 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        f"tallykeeper: no server answers at {nobody}; start one in another terminal with 'make run' or"
        " 'tallykeeper serve', and try again\n"
    )
