"""Streams over HTTP: Watch and VerifyNamespace as Connect streams, and Watch as server-sent events."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPResponse
from typing import Any
from urllib.parse import urlencode

import pytest

from tallykeeper_server.settings import Settings
from tests.http.http_client import COUNTERS, LEDGER, answer_of, connect, envelope, request, stream
from tests.support.server import ThreadedServer

CONNECT_JSON = {"Content-Type": "application/connect+json"}


def increment(server: ThreadedServer, namespace: str, counter: str = "c") -> None:
    body = {"namespace": namespace, "counter": counter}
    assert request(server.http, f"{COUNTERS}/Increment", body).status == 200


@contextmanager
def open_stream(server: ThreadedServer, method: str, body: object) -> Iterator[HTTPResponse]:
    with closing(connect(server.http)) as connection:
        connection.request("POST", f"{LEDGER}/{method}", envelope(json.dumps(body).encode()), CONNECT_JSON)
        with connection.getresponse() as response:
            yield response


def events_of(response: HTTPResponse) -> Iterator[dict[str, str]]:
    """Yield server-sent events as their fields."""
    event: dict[str, str] = {}
    while line := response.readline().decode():
        if line == "\n":
            yield event
            event = {}
        else:
            name, _, value = line.rstrip("\n").partition(": ")
            event[name] = value


@contextmanager
def open_events(
    server: ThreadedServer, headers: dict[str, str] | None = None, **query: object
) -> Iterator[HTTPResponse]:
    with closing(connect(server.http)) as connection:
        connection.request("GET", f"/v1/watch?{urlencode(query, doseq=True)}", headers=headers or {})
        with connection.getresponse() as response:
            yield response


def test_watch_is_a_connect_stream(server: ThreadedServer, namespace: str) -> None:
    increment(server, namespace)
    with open_stream(server, "Watch", {"namespace": namespace, "afterRevision": 0}) as response:
        messages = stream(response)
        first = next(messages)
        increment(server, namespace)
        entries = [*first["entries"]]
        while len(entries) < 2:
            entries += next(messages)["entries"]

    assert [entry["revision"] for entry in entries] == ["1", "2"]


def test_a_watch_that_cannot_begin_ends_its_stream_with_the_reason(server: ThreadedServer, namespace: str) -> None:
    with open_stream(server, "Watch", {"namespace": namespace, "afterRevision": 99}) as response:
        (end,) = stream(response)

    assert end["error"]["code"] == "out_of_range"
    (info,) = (each["debug"] for each in end["error"]["details"] if each["type"] == "google.rpc.ErrorInfo")
    assert info["reason"] == "REVISION_AHEAD"
    assert info["metadata"]["after_revision"] == "99"


def test_verify_namespace_is_a_connect_stream_that_ends_with_the_result(server: ThreadedServer, namespace: str) -> None:
    increment(server, namespace)
    with open_stream(server, "VerifyNamespace", {"namespace": namespace}) as response:
        *messages, end = stream(response)

    assert messages[-1]["result"]["clean"] is True
    assert end == {}


def test_events_have_the_revision_as_id_and_the_response_as_data(server: ThreadedServer, namespace: str) -> None:
    increment(server, namespace)
    with open_events(server, namespace=namespace, after_revision=0) as response:
        event = next(events_of(response))

    assert response.headers["Content-Type"].startswith("text/event-stream")
    assert (event["retry"], event["id"]) == ("1000", "1")
    assert json.loads(event["data"])["entries"][0]["revision"] == "1"


def test_events_resume_after_the_last_event_id(server: ThreadedServer, namespace: str) -> None:
    for _ in range(3):
        increment(server, namespace)
    with open_events(server, {"Last-Event-ID": "1"}, namespace=namespace, include_levels="true") as response:
        found: list[Any] = []
        for event in events_of(response):
            found += json.loads(event["data"])["entries"]
            if event["id"] == "3":
                break

    assert [entry["revision"] for entry in found] == ["2", "3"]


def test_a_bookmark_is_a_separate_event_with_an_id(store_url: str, namespace: str) -> None:
    settings = Settings(listen="127.0.0.1:0", store=store_url, bookmark_seconds=0.05)
    with ThreadedServer(settings) as server:
        increment(server, namespace)
        with open_events(server, namespace=namespace) as response:
            events = events_of(response)
            event = next(each for each in events if each.get("event") == "bookmark")

    assert event["id"] == "1"


def test_events_are_filtered_by_the_parameters(server: ThreadedServer, namespace: str) -> None:
    for counter in ("a", "b", "c,d"):
        increment(server, namespace, counter)
    with open_events(server, namespace=namespace, counters=["a", "c,d"], after_revision=0) as response:
        found: list[str] = []
        for event in events_of(response):
            entries = json.loads(event["data"])["entries"]
            found += [entry["lines"][0]["counter"]["counter"] for entry in entries]
            if len(found) == 2:
                break

    assert found == ["a", "c,d"]


@pytest.mark.parametrize(
    ("query", "headers", "field"),
    [
        ("colour=red", {}, "colour"),
        ("namespace=a&namespace=b", {}, "namespace"),
        ("after_revision=soon", {}, "after_revision"),
        ("after_revision=-1", {}, "after_revision"),
        ("after_revision=" + "9" * 30, {}, "after_revision"),
        ("include_levels=yes", {}, "include_levels"),
        ("namespace=%20", {}, "namespace"),
        ("", {"Last-Event-ID": "x"}, "Last-Event-ID"),
    ],
)
def test_a_bad_parameter_is_named(server: ThreadedServer, query: str, headers: dict[str, str], field: str) -> None:
    answer = request(server.http, f"/v1/watch?{query}", None, headers)

    assert (answer.status, answer.reason, set(answer.violations)) == (400, "INVALID_FIELD", {field})


def test_events_that_cannot_begin_are_an_error_with_its_status(server: ThreadedServer, namespace: str) -> None:
    with open_events(server, namespace=namespace, after_revision=99) as response:
        answer = answer_of(response)

    assert (answer.status, answer.reason) == (400, "REVISION_AHEAD")


def test_a_server_that_stops_says_so_on_every_stream(store_url: str, namespace: str) -> None:
    body = {"namespace": namespace, "afterRevision": 0}
    with ExitStack() as streams:
        with ThreadedServer(Settings(listen="127.0.0.1:0", store=store_url)) as server:
            increment(server, namespace)
            following = events_of(streams.enter_context(open_events(server, namespace=namespace, after_revision=0)))
            next(following)
            messages = stream(streams.enter_context(open_stream(server, "Watch", body)))
            next(messages)
        *_, failure = following
        *_, end = messages

    assert failure["event"] == "failure"
    assert json.loads(failure["data"])["code"] == "unavailable"
    assert "id" not in failure
    assert end["error"]["code"] == "unavailable"
