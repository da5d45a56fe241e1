"""The log of the HTTP server: every line has the log's own form, and clients that leave cause no error."""

import json
import subprocess

import pytest

from tests.http.http_client import COUNTERS, LEDGER, ends, envelope, raw, request
from tests.support.server import PATIENCE_SECONDS, ServerProcess, wait_until


@pytest.mark.parametrize("workers", [1, 2])
def test_clients_that_leave_or_send_rubbish_leave_no_error_in_the_log(own_store: str, workers: int) -> None:
    watch = envelope(b'{"afterRevision": "0"}')
    head = f"POST {LEDGER}/Watch HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/connect+json\r\n".encode()
    begun = f"POST {COUNTERS}/Increment HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n".encode()
    with ServerProcess("--store", own_store, "--log-level", "debug", workers=workers) as server:
        address = server.http_url.removeprefix("http://")
        request(address, f"{COUNTERS}/Increment", {"counter": "c"})
        for sent in (
            head + b"Content-Length: %d\r\n\r\n" % len(watch) + watch,
            b"GET /v1/watch?after_revision=0 HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET /v1/watch HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        ):
            with raw(address) as connection:
                connection.sendall(sent)
                assert b" 200 " in connection.recv(100)
        with raw(address) as connection:
            connection.sendall(b"GET /v1/watch HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
            assert b" 200 " in connection.recv(100)
            connection.sendall(b"rubbish in place of a chunk\r\n")
            ends(connection)
        for sent in (begun, b"rubbish\r\n\r\n"):
            with raw(address) as connection:
                connection.sendall(sent)
        wait_until(lambda: bool(server.events("an HTTP request was refused")), what="the rubbish is logged")
        assert request(address, "/healthz").status == 200
        server.stop()

    lines = [json.loads(line) for line in server.lines]
    assert not [
        line for line in lines if line["level"] in {"warning", "error", "critical"} or line["event"] == "stray output"
    ]


def test_the_line_for_curl_that_a_start_logs_works(own_store: str) -> None:
    with ServerProcess("--store", own_store) as server:
        prefix = "or with curl: "
        wait_until(lambda: any(prefix in line for line in server.lines), what="the line for curl is logged")
        (line,) = [json.loads(line)["event"] for line in server.lines if prefix in line]
        command = ["/bin/sh", "-c", line.removeprefix(prefix) + " --silent"]
        done = subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE_SECONDS)

    assert json.loads(done.stdout)["counter"] == {"counter": "visits", "value": "1"}
