"""SIGHUP: settings that are read again, settings that stay, and the log of both."""

import os
import pty
import signal
import subprocess
from pathlib import Path

import grpc
import pytest

from tallykeeper.v1.counter_pb2 import IncrementRequest
from tests.server.start import sabotage
from tests.support.client import Caller, Failure
from tests.support.server import ANY_PORTS, PATIENCE_SECONDS, TALLYKEEPER, ServerProcess, runs, wait_until

IN_FORCE = "the settings are in force"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A file of settings with the path of the data directory."""
    path = tmp_path / "tallykeeper.toml"
    path.write_text(f"data_dir = '{tmp_path}/data'\nlog_level = 'debug'\n")
    return path


def add(config: Path, *lines: str) -> None:
    config.write_text(config.read_text() + "\n".join(lines) + "\n")


def reload(server: ServerProcess, *, until: str) -> None:
    count = len(server.events(until))
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: len(server.events(until)) > count, what=until)


def increment(target: str, *, reason: str = "") -> int:
    call = Caller(target)
    try:
        return int(call(IncrementRequest(counter="v", reason=reason)).counter.value)
    finally:
        call.close()


def test_new_settings_are_in_force_and_each_worker_is_a_new_one(config: Path) -> None:
    with ServerProcess("--config", str(config), workers=2) as server:
        before = server.worker_ids
        assert increment(server.target, reason="r" * 60) == 1

        add(config, "message_bytes_max = 50")
        reload(server, until=IN_FORCE)

        with pytest.raises(Failure) as raised:
            increment(server.target, reason="r" * 60)
        assert raised.value.code == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert increment(server.target) == 2
        assert not {*before.values()} & {*server.worker_ids.values()}
        wait_until(lambda: not any(runs(process_id) for process_id in before.values()), what="the old workers are gone")
        assert not server.events("a worker ended")


def test_a_worker_that_is_lost_after_a_reload_comes_back_with_the_new_settings(config: Path) -> None:
    with ServerProcess("--config", str(config), workers=2) as server:
        add(config, "message_bytes_max = 50")
        reload(server, until=IN_FORCE)
        for process_id in server.worker_ids.values():
            os.kill(process_id, signal.SIGKILL)
        wait_until(lambda: len(server.events("the worker runs again")) == 2, what="both workers run again")

        with pytest.raises(Failure) as raised:
            increment(server.target, reason="r" * 60)

        assert raised.value.code == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_the_log_level_changes_for_all(config: Path) -> None:
    as_debug = config.read_text()
    config.write_text(as_debug.replace("debug", "info"))
    with ServerProcess("--config", str(config), workers=2) as server:
        assert not server.worker_ids

        config.write_text(as_debug)
        reload(server, until=IN_FORCE)
        talkative = server.worker_ids
        config.write_text(as_debug.replace("debug", "error"))
        server.process.send_signal(signal.SIGHUP)
        wait_until(
            lambda: not any(runs(process_id) for process_id in talkative.values()), what="all workers are replaced"
        )

    assert set(talkative) == {1, 2}
    assert server.worker_ids == talkative
    assert len(server.events(IN_FORCE)) == 1


def test_settings_that_need_a_restart_are_kept_and_named(config: Path, tmp_path: Path) -> None:
    with ServerProcess("--config", str(config), workers=2) as server:
        assert increment(server.target) == 1

        config.write_text(f"data_dir = '{tmp_path}/elsewhere'\nstore_binary = '/bin/true'\nlog_level = 'debug'\n")
        reload(server, until=IN_FORCE)

        (warning,) = server.events("these settings change only with the next start")
        assert warning["settings"] == ["store_binary", "data_dir"]
        assert increment(server.target) == 2
        assert not (tmp_path / "elsewhere").exists()


def test_a_config_that_cannot_be_used_changes_nothing_and_is_one_clear_line(config: Path) -> None:
    with ServerProcess("--config", str(config), workers=2) as server:
        before = server.worker_ids
        good = config.read_text()

        add(config, "message_bytes_max = 0")
        reload(server, until="the settings stay as they are")
        config.unlink()
        reload(server, until="the settings stay as they are")

        assert server.worker_ids == before
        assert increment(server.target) == 1
        out_of_range, missing = (event["error"] for event in server.events("the settings stay as they are"))
        assert all(part in out_of_range for part in (str(config), "message_bytes_max", "0"))
        assert all(part in missing for part in (str(config), "No such file"))

        config.write_text(good)
        reload(server, until=IN_FORCE)
        assert server.worker_ids != before


def test_a_reload_whose_first_worker_does_not_start_changes_nothing(config: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    environment = sabotage(tmp_path, f"if os.path.exists({str(broken)!r}): os._exit(7)")
    with ServerProcess("--config", str(config), workers=2, environment=environment) as server:
        before = server.worker_ids
        broken.touch()

        reload(server, until="the reload stopped because a worker does not start")

        assert increment(server.target) == 1
        assert server.worker_ids == before
        assert all(runs(process_id) for process_id in before.values())


def test_one_worker_ignores_a_reload_and_says_so(config: Path) -> None:
    with ServerProcess("--config", str(config), workers=1) as server:
        reload(server, until="settings are read again only where several workers serve: set workers, or restart")

        assert increment(server.target) == 1


@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_without_its_terminal_stops(tmp_path: Path, workers: int) -> None:
    terminal, its_end = pty.openpty()
    command: list[str | Path] = [TALLYKEEPER, "serve", *ANY_PORTS, "--workers", str(workers)]
    process = subprocess.Popen([*command, "--data-dir", tmp_path], stderr=its_end)
    os.close(its_end)
    output = b""
    while b"try next" not in output:
        output += os.read(terminal, 4_096)

    os.close(terminal)
    process.send_signal(signal.SIGHUP)

    assert process.wait(PATIENCE_SECONDS) == 0
