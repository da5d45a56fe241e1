"""A server that stops, and workers that are replaced: no request that has begun is lost."""

import threading
from contextlib import ExitStack
from http.client import HTTPException
from itertools import count

import pytest
import redis

from tallykeeper_server.http.connections import Connections
from tallykeeper_server.settings import Settings
from tests.http.http_client import COUNTERS, JSON, answer_of, connect, raw, request, value_of
from tests.server.start import run_serve
from tests.support.server import PATIENCE_SECONDS, ServerProcess, ThreadedServer, wait_until

INCREMENT = f"{COUNTERS}/Increment"


@pytest.mark.long
def test_requests_are_answered_while_workers_are_replaced(own_store: str) -> None:
    """Each thread has its own connection, and opens it again after a response that closes it."""
    stop, failures, done = threading.Event(), [], count()

    with ServerProcess("--store", own_store, "--log-level", "debug", workers=2) as server:
        address = server.http_url.removeprefix("http://")

        def call_again_and_again(thread: int) -> None:
            connection = connect(address)
            number = 0
            while not stop.is_set():
                number += 1
                body = b'{"counter": "c", "requestId": "%d-%d"}' % (thread, number)
                try:
                    connection.request("POST", INCREMENT, body, JSON)
                    answer = answer_of(connection.getresponse())
                except (OSError, HTTPException) as error:
                    failures.append(repr(error))
                    return
                if answer.status != 200:
                    failures.append(str(answer))
                    return
                next(done)
            connection.close()

        threads = [threading.Thread(target=call_again_and_again, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for reload in (1, 2):
            server.process.send_signal(1)
            wait_until(
                lambda reload=reload: len(server.events("the settings are in force")) == reload,  # type: ignore[misc]
                what="the workers are replaced",
            )
        stop.set()
        for thread in threads:
            thread.join(PATIENCE_SECONDS)

        assert not failures
        assert value_of(address, "default", "c") == next(done) > 0


def test_a_stopping_server_answers_one_more_request_on_each_connection(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, waits = Connections.emptied, list[float]()

    async def emptied(connections: Connections, timeout_seconds: float) -> None:
        """Wait as long as the test needs, and note how long the server would."""
        waits.append(timeout_seconds)
        await whole(connections, PATIENCE_SECONDS)

    monkeypatch.setattr(Connections, "emptied", emptied)
    with ExitStack() as stack:
        running = stack.enter_context(ThreadedServer(Settings(listen="127.0.0.1:0", store=store_url)))
        connection = connect(running.http)
        connection.request("GET", "/healthz")
        assert "connection" not in answer_of(connection.getresponse()).headers
        stopping = threading.Thread(target=stack.close)
        stopping.start()
        wait_until(lambda: is_closed(running.http), what="the server accepts no more connections")
        sockets = set()
        answer = None
        while answer is None or "connection" not in answer.headers:
            sockets.add(connection.sock)
            connection.request("GET", "/healthz")
            answer = answer_of(connection.getresponse())
        connection.close()
        stopping.join(PATIENCE_SECONDS)

    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert len(sockets) == 1  # it is the connection of before
    assert waits == [1.0]  # docs/http.md: a connection that is idle for a second is closed


def test_an_event_stream_of_a_stopping_server_ends_so_that_a_browser_connects_again(
    store_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Connections.emptied
    monkeypatch.setattr(Connections, "emptied", lambda each, _: whole(each, PATIENCE_SECONDS))
    watch = f"/v1/watch?namespace={namespace}&after_revision=0"
    with ExitStack() as stack:
        running = stack.enter_context(ThreadedServer(Settings(listen="127.0.0.1:0", store=store_url)))
        idle, following = connect(running.http), connect(running.http)
        idle.request("GET", "/healthz")
        answer_of(idle.getresponse())
        following.request("GET", watch)
        response = following.getresponse()
        response.readline()
        stopping = threading.Thread(target=stack.close)
        stopping.start()
        response.read()  # its end: the server stops
        following.close()
        idle.request("GET", watch)
        answer = answer_of(idle.getresponse())
        idle.close()
        stopping.join(PATIENCE_SECONDS)

    assert answer.status == 200
    assert answer.body.startswith(b"retry: 1000\nevent: failure\n")
    assert b"SHUTTING_DOWN" in answer.body


def test_a_stopping_server_answers_the_request_in_flight(own_store: str) -> None:
    store = redis.Redis.from_url(own_store)
    with ServerProcess("--store", own_store) as server:
        address = server.http_url.removeprefix("http://")
        request(address, INCREMENT, {"counter": "c"})
        store.client_pause(1_500, all=False)
        answers: list[int] = []
        waiting = threading.Thread(target=lambda: answers.append(request(address, INCREMENT, {"counter": "c"}).status))
        waiting.start()
        wait_until(lambda: in_flight(store), what="the change waits for the store")
        server.process.terminate()
        waiting.join(PATIENCE_SECONDS)

    assert answers == [200]


def is_closed(address: str) -> bool:
    try:
        with raw(address):
            return False
    except ConnectionRefusedError:
        return True


def in_flight(store: object) -> bool:
    return any(client.get("flags", "").count("b") or client["cmd"] == "fcall" for client in store.client_list())  # type: ignore[attr-defined]


def test_a_taken_address_is_one_clear_line(own_store: str) -> None:
    with ServerProcess("--store", own_store) as server:
        address = server.http_url.removeprefix("http://")
        finished = run_serve("--listen", "127.0.0.1:0", "--http-listen", address, "--store", own_store)

    assert finished.returncode == 1
    assert finished.stderr.startswith(
        f"tallykeeper: cannot listen on {address}: Address already in use; set http_listen"
    )


def test_without_an_address_there_is_no_http(own_store: str) -> None:
    with ServerProcess("--store", own_store, "--http-listen", "") as server:
        assert "http" not in server.events("serving")[0]
