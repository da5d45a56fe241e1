"""The log of a defect: it helps to find the defect, and has nothing that callers sent."""

import logging
import subprocess
from pathlib import Path

import grpc
import pytest
import redis
import structlog

from tallykeeper.v1.counter_pb2 import IncrementRequest
from tallykeeper_server.runtime.logs import TransportLines
from tallykeeper_server.store.embedded.valkey import find_binary
from tests.support.client import Caller, Failure
from tests.support.server import PATIENCE_SECONDS, TALLYKEEPER, store_process, wait_until


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_defect_is_logged_with_its_trace_and_without_the_request(tmp_path: Path, log_format: str) -> None:
    address = f"unix:{tmp_path}/tallykeeper.sock"
    log = tmp_path / "log"
    with store_process(find_binary(None), tmp_path) as url, log.open("w") as stderr:
        with redis.Redis.from_url(url) as store:
            store.set("tk:{default}:counter:private", "rubbish")
        command: list[str | Path]
        command = [
            TALLYKEEPER,
            "serve",
            "--listen",
            address,
            "--http-listen",
            "",
            "--store",
            url,
            "--log-format",
            log_format,
        ]
        with subprocess.Popen(command, stderr=stderr) as process:
            try:
                wait_until(lambda: "try next" in log.read_text(), what="the server serves")
                call = Caller(address)
                with pytest.raises(Failure) as raised:
                    call(IncrementRequest(counter="private"))
                call.close()
            finally:
                process.terminate()
                process.wait(PATIENCE_SECONDS)

    text = log.read_text()
    assert raised.value.code == grpc.StatusCode.INTERNAL
    assert "rubbish" not in raised.value.message
    assert "Traceback (most recent call last)" in text
    assert "Increment" in text
    assert "private" not in text


def test_a_line_that_cannot_be_formatted_stops_nobody(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise SystemError

    monkeypatch.setattr(structlog, "get_logger", fail)
    record = logging.LogRecord("transport", logging.ERROR, "file.py", 1, "a defect", None, None)

    TransportLines().handle(record)

    assert "SystemError" in capsys.readouterr().err
