"""Clients that are slow, or many: each has a limit, and others are served all the while."""

from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPResponse

import pytest

from tallykeeper_server.settings import Settings
from tests.http.http_client import COUNTERS, answer_of, ends, raw, request, value_of
from tests.support.server import PATIENCE_SECONDS, ThreadedServer, wait_until

HEAD = f"POST {COUNTERS}/Increment HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n".encode()


@pytest.fixture(scope="module")
def impatient(store_url: str) -> Iterator[ThreadedServer]:
    settings = Settings(
        listen="127.0.0.1:0",
        store=store_url,
        http_header_seconds=0.3,
        http_body_seconds=0.3,
        http_idle_seconds=1.0,
        stalled_seconds=0.5,
        http_header_bytes_max=4 << 10,
    )
    with ThreadedServer(settings) as server:
        yield server


def test_a_connection_without_a_request_is_ended(impatient: ThreadedServer) -> None:
    with raw(impatient.http) as connection:
        assert ends(connection) == b""


def test_a_header_that_comes_byte_by_byte_is_ended(impatient: ThreadedServer) -> None:
    with raw(impatient.http) as connection:
        connection.settimeout(0.05)
        sent = bytearray()

        def drip() -> bool:
            try:
                connection.send(b"a")
                sent.append(1)
                return connection.recv(1) == b""
            except TimeoutError:
                return False
            except OSError:
                return True

        connection.sendall(HEAD)
        wait_until(drip, what="the connection is ended")
        assert len(sent) > 1


def test_the_header_of_a_second_request_has_the_same_limit(impatient: ThreadedServer) -> None:
    with raw(impatient.http) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        received = b""
        while not received.endswith(b"ok\n"):
            received += connection.recv(65_536)
        connection.sendall(b"GET /healthz HTTP/1.1\r\n")
        assert ends(connection) == b""


def test_an_idle_connection_is_closed(impatient: ThreadedServer) -> None:
    with raw(impatient.http) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert ends(connection).endswith(b"ok\n")


def test_headers_without_end_are_refused(impatient: ThreadedServer) -> None:
    with raw(impatient.http) as connection:
        connection.sendall(HEAD + b"x: " + b"a" * (8 << 10))
        assert b" 400 " in ends(connection)


def test_a_body_that_does_not_end_is_408_and_changes_nothing(impatient: ThreadedServer, namespace: str) -> None:
    body = b'{"namespace": "%s", "counter": "c"}' % namespace.encode()
    with raw(impatient.http) as connection:
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % (len(body) + 1) + body)
        received = ends(connection)

    assert received.startswith(b"HTTP/1.1 408 ")
    assert b"REQUEST_TOO_SLOW" in received
    assert value_of(impatient.http, namespace, "c") is None


def test_a_body_that_is_cut_off_changes_nothing(impatient: ThreadedServer, namespace: str) -> None:
    body = b'{"namespace": "%s", "counter": "c"}' % namespace.encode()
    with raw(impatient.http) as connection:
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % (len(body) + 1) + body)

    assert request(impatient.http, "/healthz").status == 200
    assert value_of(impatient.http, namespace, "c") is None


def test_a_client_that_reads_nothing_is_ended(impatient: ThreadedServer) -> None:
    page = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with raw(impatient.http) as connection:
        connection.settimeout(0.05)

        def ask_and_read_nothing() -> bool:
            try:
                connection.sendall(page)
            except TimeoutError:
                return False  # the server reads no more of it
            except OSError:
                return True
            return False

        wait_until(ask_and_read_nothing, what="the connection is ended")


def test_slow_clients_do_not_keep_others_from_being_served(impatient: ThreadedServer, namespace: str) -> None:
    with ExitStack() as stack:
        for begun in (b"", HEAD, HEAD + b"Content-Length: 9\r\n\r\n{") * 50:
            stack.enter_context(raw(impatient.http)).sendall(begun)
        body = {"namespace": namespace, "counter": "c"}
        assert request(impatient.http, f"{COUNTERS}/Increment", body).status == 200


@pytest.mark.parametrize("limit", ["http_connections_max", "http_connections_per_address_max"])
def test_connections_beyond_the_limit_are_closed_until_there_is_room(store_url: str, limit: str) -> None:
    settings = Settings(listen="127.0.0.1:0", store=store_url, **{limit: 3})  # type: ignore[arg-type]  # by name
    with ThreadedServer(settings) as server:
        with ExitStack() as stack:
            held = [stack.enter_context(raw(server.http)) for _ in range(3)]
            for connection in held:
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert b" 200 " in connection.recv(65_536)
            with raw(server.http) as further:
                assert ends(further) == b""
        wait_until(lambda: serves(server), what="there is room again")


def serves(server: ThreadedServer) -> bool:
    try:
        return request(server.http, "/healthz").status == 200
    except OSError:
        return False


@pytest.mark.parametrize(
    "sent",
    [
        b"rubbish that is no request\r\n\r\n",
        "GET /v1/watch?items=caf\u00e9 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(),
        b"GET / HTTP/1.1\r\n\r\n",
        HEAD + b"Content-Length: many\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nrubbish\r\n",
    ],
)
def test_what_is_no_http_is_refused_with_a_reason(impatient: ThreadedServer, sent: bytes) -> None:
    with raw(impatient.http) as connection:
        connection.settimeout(PATIENCE_SECONDS)
        connection.sendall(sent)
        response = HTTPResponse(connection)
        response.begin()
        answer = answer_of(response)
        assert not ends(connection)

    assert (answer.status, answer.reason) == (400, "INVALID_HTTP")
    assert "percent-encoded" in answer.info["metadata"]["rule"]
