"""The log stays JSON, line by line, whatever a library, the interpreter or a peer writes beside it."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import structlog

from tallykeeper_server.runtime.logs import configure_logs
from tallykeeper_server.runtime.stray_output import StrayLines
from tests.fuzz.frames import GO_AWAY, PREFACE, SETTINGS, frame
from tests.support.server import ServerProcess, wait_until

FORGED = b'forged\n{"event": "forged"}\n\x1b[31m\xff'
SABOTAGE = """
import os, sys, threading, time, warnings
def noise():
    while not os.path.exists({go!r}):
        time.sleep(0.01)
    os.write(2, {forged!r} + b"\\n")
    print("on stdout", flush=True)
    warnings.warn("a warning")
    raise RuntimeError("in a thread")
if "serve" in sys.orig_argv or "tallykeeper_server.workers.worker" in sys.orig_argv:
    threading.Thread(target=noise, daemon=True).start()
"""


@pytest.fixture(params=[1, 2])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServerProcess]:
    """A server in whose processes a thread makes noise as soon as a file exists."""
    code = SABOTAGE.format(go=str(tmp_path / "go"), forged=FORGED)
    (tmp_path / "sitecustomize.py").write_text(code)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    data = str(tmp_path / "data")
    with ServerProcess("--data-dir", data, workers=request.param, environment=environment) as running:
        yield running


def events(server: ServerProcess) -> list[dict[str, Any]]:
    """Return all lines of the log. Each must be an object with an event."""
    parsed = [json.loads(line) for line in list(server.lines)]
    assert all(isinstance(line, dict) and line["event"] != "forged" for line in parsed)
    return parsed


@pytest.mark.long
def test_bytes_of_a_peer_never_reach_the_log(server: ServerProcess) -> None:
    farewell = frame(GO_AWAY, bytes(7) + b"\x02" + FORGED)
    for data in (PREFACE + frame(SETTINGS) + farewell, FORGED * 10):
        read_all(server, data)

    server.stop()

    assert [event for event in events(server) if "forged" in str(event)] == []


@pytest.mark.long
def test_a_flood_of_bad_connections_leaves_few_lines_and_their_number(server: ServerProcess) -> None:
    sent = 0

    def unlogged() -> bool:
        nonlocal sent
        sent += 100
        with ExitStack() as stack:
            connections = [stack.enter_context(server.connect()) for _ in range(100)]
            for connection in connections:
                connection.sendall(FORGED * 10)
        return any("unlogged" in event for event in ended())

    def ended() -> list[dict[str, Any]]:
        return [event for event in events(server) if "was ended" in event["event"]]

    wait_until(unlogged, what="the log says how many lines it left out")

    assert len(ended()) < sent
    assert {event["level"] for event in ended()} == {"info"}


def read_all(server: ServerProcess, data: bytes) -> None:
    """Send bytes on a new connection, and read until the server closes it."""
    with server.connect() as connection:
        connection.sendall(data)
        while connection.recv(1_024):
            pass


@pytest.mark.long
def test_a_restart_of_the_store_leaves_the_log_in_order(server: ServerProcess) -> None:
    (child,) = (
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and _is_store_of(entry, server.process.pid)
    )
    os.kill(child, signal.SIGKILL)

    wait_until(lambda: bool(server.events("the store runs again")), what="the store runs again")
    server.stop()

    assert events(server)


def _is_store_of(entry: Path, parent: int) -> bool:
    try:
        command, status = (entry / "cmdline").read_bytes(), (entry / "stat").read_text()
    except OSError:
        return False
    return b"valkey-server" in command and int(status.rpartition(")")[2].split()[1]) == parent


@pytest.mark.long
def test_output_of_python_and_libraries_is_logged_in_lines_of_json(server: ServerProcess, tmp_path: Path) -> None:
    (tmp_path / "go").touch()

    wait_until(lambda: bool(server.events("an exception ends a thread")), what="the thread's end is logged")
    wait_until(lambda: "on stdout" in {event.get("line") for event in events(server)}, what="stdout is logged")
    server.stop()

    (report, *_) = server.events("an exception ends a thread")
    assert "RuntimeError: in a thread" in report["exception"]
    warnings = [event for event in events(server) if event["event"] == "a library reports"]
    assert any("a warning" in event["message"] for event in warnings)
    lines = {event["line"] for event in server.events("stray output")}
    assert {"forged", '{"event": "forged"}', "\x1b[31m\\xff"} <= lines


def test_a_defect_that_ends_the_server_is_a_line_of_the_log(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nif 'serve' in sys.orig_argv:\n"
        "    import tallykeeper_server.app.server\n"
        "    def broken(*_):\n        raise RuntimeError('broken')\n"
        "    tallykeeper_server.app.server.serve = broken\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    server = ServerProcess("--data-dir", str(tmp_path / "data"), environment=environment)

    assert server.process.wait(30) == 1
    server.stop()

    (line,) = events(server)
    assert line["event"] == "a defect ends the server"
    assert "RuntimeError: broken" in line["exception"]


def test_stray_lines_are_joined_and_cut_if_they_have_no_end() -> None:
    lines = StrayLines()

    assert list(lines.take(b"one\ntw")) == ["one"]
    assert list(lines.take(b"o\n\n\xff\n")) == ["two", "\\xff"]
    assert [len(line) for line in lines.take(b"x" * 10_000)] == [4_096, 4_096, 1_808]
    assert list(lines.take(b"last")) == []
    assert list(lines.take(b"")) == ["last"]


def test_text_on_a_terminal_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(level="info", log_format="text")

    structlog.get_logger().info("an event", line="a\x1b[31m\nb\u2028")

    written = capsys.readouterr().err
    assert "a\\x1b[31m\\nb\\u2028" in written
    assert written.count("\n") == 1
