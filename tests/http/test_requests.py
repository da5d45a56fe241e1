"""Requests that are not for this server: each is refused with its status, a reason, and no change."""

import gzip

import pytest

from tests.http.http_client import COUNTERS, JSON, LEDGER, raw, request, value_of
from tests.support.server import ThreadedServer

INCREMENT = f"{COUNTERS}/Increment"


@pytest.mark.parametrize("path", ["/", "/nothing", INCREMENT + "/", INCREMENT.lower(), "/v1", "/healthz/x"])
def test_an_unknown_path_is_404(server: ThreadedServer, path: str) -> None:
    answer = request(server.http, path, {})

    assert (answer.status, answer.json["code"], answer.reason) == (404, "unimplemented", "UNKNOWN_PATH")
    assert answer.info["metadata"]["value"] == path


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD"])
def test_another_method_is_405_and_says_which_are_allowed(server: ThreadedServer, method: str) -> None:
    answer = request(server.http, INCREMENT, method=method)

    assert (answer.status, answer.headers["allow"]) == (405, "POST, OPTIONS")
    assert method == "HEAD" or answer.reason == "METHOD_NOT_ALLOWED"


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        *((path, "GET, HEAD, OPTIONS") for path in ("/healthz", "/readyz", "/metrics", "/openapi.json")),
        ("/v1/watch", "GET, OPTIONS"),
    ],
)
def test_a_page_takes_get_and_no_post(server: ThreadedServer, path: str, allowed: str) -> None:
    answer = request(server.http, path, {})

    assert (answer.status, answer.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/xml", "application/connect+json", "application/grpc", "application/grpc+proto", ""],
)
def test_another_content_type_is_415_and_says_which_are_taken(
    server: ThreadedServer, namespace: str, content_type: str
) -> None:
    body = b'{"namespace": "%s", "counter": "c"}' % namespace.encode()

    answer = request(server.http, INCREMENT, body, {"Content-Type": content_type})

    assert (answer.status, answer.reason) == (415, "UNSUPPORTED_CONTENT_TYPE")
    assert "application/json" in answer.headers["accept-post"]
    assert value_of(server.http, namespace, "c") is None


def test_a_stream_takes_the_content_type_of_streams(server: ThreadedServer) -> None:
    answer = request(server.http, f"{LEDGER}/Watch", b"{}", JSON)

    assert answer.status == 415
    assert "application/connect+json" in answer.headers["accept-post"]


@pytest.mark.parametrize("path", ["/%", "/%z1", f"{INCREMENT}%2", "/v1/watch?namespace=%zz", "/healthz?%"])
def test_bad_percent_encoding_is_400_and_says_where(server: ThreadedServer, path: str) -> None:
    answer = request(server.http, path)

    assert (answer.status, answer.reason) == (400, "INVALID_ENCODING")
    assert f"at character {path.partition('?')[2].find('%') + 1 or path.find('%') + 1}" in answer.json["message"]


@pytest.mark.parametrize("path", ["/%ff", "/v1/watch?namespace=%ff"])
def test_a_path_and_a_query_are_utf_8(server: ThreadedServer, path: str) -> None:
    answer = request(server.http, path)

    assert answer.status == 400
    assert "not UTF-8" in answer.json["message"]


def test_a_header_beyond_ascii_is_400(server: ThreadedServer) -> None:
    answer = request(server.http, INCREMENT, {}, {"X-Name": "ä"})

    assert (answer.status, answer.reason) == (400, "INVALID_ENCODING")
    assert "x-name" in answer.json["message"]


@pytest.mark.parametrize("key", ["first", '"first"'])
def test_the_idempotency_key_is_the_request_id(server: ThreadedServer, namespace: str, key: str) -> None:
    body = {"namespace": namespace, "counter": "c"}
    answers = [request(server.http, INCREMENT, body, {"Idempotency-Key": key}).json for _ in range(3)]

    assert [answer["replayed"] for answer in answers] == [False, True, True]
    assert value_of(server.http, namespace, "c") == 1
    looked_up = request(server.http, f"{LEDGER}/LookupRequest", {"namespace": namespace, "requestId": "first"})
    assert looked_up.json["outcome"] == "REQUEST_OUTCOME_APPLIED"


def test_the_same_id_may_be_in_header_and_body(server: ThreadedServer, namespace: str) -> None:
    body = {"namespace": namespace, "counter": "c", "requestId": "same"}

    assert request(server.http, INCREMENT, body, {"Idempotency-Key": "same"}).status == 200


@pytest.mark.parametrize("key", ["other", "", '""'])
def test_two_different_ids_and_an_empty_one_are_refused(server: ThreadedServer, namespace: str, key: str) -> None:
    body = {"namespace": namespace, "counter": "c", "requestId": "mine"}

    answer = request(server.http, INCREMENT, body, {"Idempotency-Key": key})

    assert (answer.status, answer.reason, set(answer.violations)) == (400, "INVALID_FIELD", {"request_id"})
    assert value_of(server.http, namespace, "c") is None


@pytest.mark.parametrize("key", ["", '""'])
def test_an_empty_key_is_no_request_without_an_id(server: ThreadedServer, namespace: str, key: str) -> None:
    """A variable that is not set in a shell gives an empty key."""
    answer = request(server.http, INCREMENT, {"namespace": namespace, "counter": "c"}, {"Idempotency-Key": key})

    assert (answer.status, set(answer.violations)) == (400, {"request_id"})
    assert value_of(server.http, namespace, "c") is None


def test_two_keys_are_refused(server: ThreadedServer, namespace: str) -> None:
    body = b'{"namespace": "%s", "counter": "c"}' % namespace.encode()
    head = f"POST {INCREMENT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
    head += f"Idempotency-Key: a\r\nIdempotency-Key: b\r\nContent-Length: {len(body)}\r\n\r\n"
    with raw(server.http) as connection:
        connection.sendall(head.encode() + body)
        received = b"".join(iter(lambda: connection.recv(65_536), b""))

    assert received.startswith(b"HTTP/1.1 400 ")
    assert value_of(server.http, namespace, "c") is None


def test_a_read_ignores_the_idempotency_key(server: ThreadedServer, namespace: str) -> None:
    body = {"namespace": namespace, "requestId": "looked-up"}

    answer = request(server.http, f"{LEDGER}/LookupRequest", body, {"Idempotency-Key": "another"})

    assert answer.status == 200


def large_body(namespace: str) -> bytes:
    return b'{"namespace": "%s", "counter": "c", "reason": "%s"}' % (namespace.encode(), b"x" * (5 << 20))


def test_a_body_that_is_too_large_is_413(server: ThreadedServer, namespace: str) -> None:
    answer = request(server.http, INCREMENT, large_body(namespace))

    assert (answer.status, answer.json["code"], answer.reason) == (413, "resource_exhausted", "REQUEST_TOO_LARGE")
    assert value_of(server.http, namespace, "c") is None


def test_a_client_that_is_still_sending_sees_why_it_was_refused(server: ThreadedServer) -> None:
    answer = request(server.http, INCREMENT, b"x" * (12 << 20), {"Content-Type": "text/plain"})

    assert answer.status == 415


def test_a_small_body_that_is_too_large_when_decompressed_is_413(server: ThreadedServer, namespace: str) -> None:
    body = gzip.compress(large_body(namespace))
    assert len(body) < 10_000

    answer = request(server.http, INCREMENT, body, {"Content-Encoding": "gzip"})

    assert (answer.status, answer.reason) == (413, "REQUEST_TOO_LARGE")


@pytest.mark.parametrize("body", [b"no gzip at all", gzip.compress(b"{}", mtime=0)[:-4], b"\x1f\x8b"])
def test_a_broken_compressed_body_is_400(server: ThreadedServer, body: bytes) -> None:
    answer = request(server.http, INCREMENT, body, {"Content-Encoding": "gzip"})

    assert (answer.status, answer.json["code"], answer.reason) == (400, "invalid_argument", "INVALID_ENCODING")


def test_grpc_web_gets_its_errors_in_its_own_form(server: ThreadedServer) -> None:
    body = b"\0\0\0\0\2\x18\x01"  # a request without its counter

    answer = request(server.http, INCREMENT, body, {"Content-Type": "application/grpc-web+proto"})

    assert answer.status == 200
    assert b"grpc-status: 3" in answer.body
    assert b"grpc-status-details-bin: " in answer.body


def test_a_deadline_comes_with_connect_timeout_ms(server: ThreadedServer, namespace: str) -> None:
    body = {"namespace": namespace, "counter": "c"}

    answer = request(server.http, INCREMENT, body, {"Connect-Timeout-Ms": "0"})

    assert (answer.status, answer.json["code"]) == (504, "deadline_exceeded")
