"""Requests that break rules of Connect and gRPC-Web: each refusal has a reason, the field, the value and the rule."""

import base64
import gzip
import json
import struct
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from tallykeeper.v1.counter_pb2 import IncrementRequest
from tests.http.http_client import COUNTERS, LEDGER, Answer, envelope, request, value_of
from tests.support.server import ThreadedServer

INCREMENT: Final = f"{COUNTERS}/Increment"
WATCH: Final = f"{LEDGER}/Watch"
STREAM: Final = "application/connect+json"
WEB: Final = "application/grpc-web+proto"
_END_OF_TRAILERS: Final = 0x80


class Refusal(NamedTuple):
    """An error as one of the protocols sends it."""

    code: str
    reason: str
    domain: str
    facts: Mapping[str, str]


def of_json(answer: Answer) -> Refusal:
    """Return the error in a JSON body."""
    return _refusal(answer.json["code"], answer.info)


def of_stream(answer: Answer) -> Refusal:
    """Return the error at the end of a Connect stream, whose details are in base64."""
    assert answer.status == 200
    flags, size = struct.unpack(">BI", answer.body[:5])
    assert (flags, size) == (2, len(answer.body) - 5)
    error = json.loads(answer.body[5:])["error"]
    (detail,) = [each for each in error["details"] if each["type"] == "google.rpc.ErrorInfo"]
    return _of_info(error["code"], ErrorInfo.FromString(_bytes(detail["value"])))


def of_web(answer: Answer) -> Refusal:
    """Return the error in the trailers of gRPC-Web, which are the headers if there is no body."""
    trailers = dict(answer.headers)
    if answer.body:
        assert answer.body[0] == _END_OF_TRAILERS
        trailers |= dict(line.split(": ", 1) for line in answer.body[5:].decode().strip().split("\r\n"))
    status = Status.FromString(_bytes(trailers["grpc-status-details-bin"]))
    assert trailers["grpc-status"] == str(status.code)
    info = ErrorInfo()
    assert status.details[0].Unpack(info)
    return _of_info(trailers["grpc-status"], info)


def _refusal(code: str, info: Any) -> Refusal:  # noqa: ANN401  # JSON
    return Refusal(code, info["reason"], info["domain"], info.get("metadata", {}))


def _of_info(code: str, info: ErrorInfo) -> Refusal:
    return Refusal(code, info.reason, info.domain, dict(info.metadata))


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4))


def increment(server: ThreadedServer, namespace: str, headers: Mapping[str, str]) -> Answer:
    """Increment as JSON, with further headers."""
    return request(server.http, INCREMENT, {"namespace": namespace, "counter": "c"}, headers)


def watch(server: ThreadedServer, namespace: str, headers: Mapping[str, str]) -> Answer:
    """Watch as a Connect stream, with further headers."""
    body = envelope(json.dumps({"namespace": namespace}).encode())
    return request(server.http, WATCH, body, {"Content-Type": STREAM, **headers})


def web(server: ThreadedServer, namespace: str, headers: Mapping[str, str]) -> Answer:
    """Increment over gRPC-Web, with further headers."""
    body = envelope(IncrementRequest(namespace=namespace, counter="c").SerializeToString())
    return request(server.http, INCREMENT, body, {"Content-Type": WEB, **headers})


CONNECT_FLAWS: Final = [
    ("Connect-Protocol-Version", "2", "must be 1"),
    ("Connect-Timeout-Ms", "soon", "must be 1 to 10 digits"),
    ("Connect-Timeout-Ms", "-1", "must be 1 to 10 digits"),
    ("Connect-Timeout-Ms", "12345678901", "must be 1 to 10 digits"),
]
WEB_FLAWS: Final = [
    ("Grpc-Timeout", "5", "1 to 8 digits and H, M, S, m, u or n"),
    ("Grpc-Timeout", "5s", "1 to 8 digits"),
    ("Grpc-Timeout", "123456789S", "1 to 8 digits"),
    ("Grpc-Timeout", "", "1 to 8 digits"),
]


@pytest.mark.parametrize(("header", "value", "rule"), CONNECT_FLAWS)
def test_a_wrong_header_of_connect_is_named(
    server: ThreadedServer, namespace: str, header: str, value: str, rule: str
) -> None:
    answer = increment(server, namespace, {header: value})

    found = of_json(answer)
    assert answer.status == 400
    assert found[:3] == ("invalid_argument", "INVALID_HEADER", "tallykeeper.io")
    assert (found.facts["field"], found.facts["value"]) == (header, value)
    assert rule in found.facts["rule"]
    assert found.facts["rule"] in answer.json["message"]
    assert of_stream(watch(server, namespace, {header: value})) == found
    assert value_of(server.http, namespace, "c") is None


@pytest.mark.parametrize(("header", "value", "rule"), WEB_FLAWS)
def test_a_wrong_header_of_grpc_web_is_named(
    server: ThreadedServer, namespace: str, header: str, value: str, rule: str
) -> None:
    found = of_web(web(server, namespace, {header: value}))

    assert found[:3] == ("3", "INVALID_HEADER", "tallykeeper.io")
    assert (found.facts["field"], found.facts["value"]) == (header, value)
    assert rule in found.facts["rule"]
    assert value_of(server.http, namespace, "c") is None


def test_a_compression_that_the_server_does_not_know_is_named(server: ThreadedServer, namespace: str) -> None:
    answers = {
        "Content-Encoding": of_json(increment(server, namespace, {"Content-Encoding": "br"})),
        "Connect-Content-Encoding": of_stream(watch(server, namespace, {"Connect-Content-Encoding": "br"})),
        "Grpc-Encoding": of_web(web(server, namespace, {"Grpc-Encoding": "br"})),
    }

    assert {found.reason for found in answers.values()} == {"UNSUPPORTED_COMPRESSION"}
    assert [found.code for found in answers.values()] == ["unimplemented", "unimplemented", "12"]
    assert [dict(found.facts) for found in answers.values()] == [
        {"field": header, "value": "br", "rule": "must be gzip or identity"} for header in answers
    ]
    assert value_of(server.http, namespace, "c") is None


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Connect-Timeout-Ms": ""}, 200),
        ({"Connect-Timeout-Ms": "9999999999"}, 200),
        ({"Connect-Protocol-Version": "1"}, 200),
        ({"Content-Encoding": "identity"}, 200),
        ({"Content-Encoding": ""}, 200),
        ({"Content-Type": "Application/JSON ; charset=utf-8"}, 200),
        ({"Grpc-Timeout": "never", "Grpc-Encoding": "br"}, 200),  # headers of another protocol
    ],
)
def test_what_is_right_is_taken(server: ThreadedServer, namespace: str, headers: dict[str, str], status: int) -> None:
    assert increment(server, namespace, headers).status == status


@pytest.mark.parametrize("content_type", ["application/grpc-web", "application/grpc-web+proto; charset=utf-8"])
def test_grpc_web_may_have_parameters_in_its_content_type(
    server: ThreadedServer, namespace: str, content_type: str
) -> None:
    answer = web(server, namespace, {"Content-Type": content_type})

    assert b"grpc-status: 0" in answer.body
    assert value_of(server.http, namespace, "c") == 1


BROKEN_BODIES: Final = {
    "flags": (b"\xf0\0\0\0\0", "invalid envelope flags", "0xf000000000"),
    "cut off": (b"\0\0\0\0\x09{}", "promised 9 bytes in enveloped message, got 2 bytes", "0x0000000009"),
    "no whole head": (b"\0\0\0", "incomplete envelope", "0x000000"),
    "nothing": (b"", "unary request has zero messages", "0x"),
    "two": (envelope(b"{}") * 2, "unary request has multiple messages", "0x0000000002"),
    "compressed": (b"\x01" + envelope(gzip.compress(b"{}"))[1:], "without compression support", "0x01000000"),
}


@pytest.mark.parametrize("flaw", BROKEN_BODIES)
def test_a_body_that_is_not_one_envelope_is_described(server: ThreadedServer, flaw: str) -> None:
    body, rule, value = BROKEN_BODIES[flaw]

    found = of_stream(request(server.http, WATCH, body, {"Content-Type": STREAM}))
    on_web = of_web(request(server.http, INCREMENT, body, {"Content-Type": "application/grpc-web+json"}))

    assert {found.reason, on_web.reason} == {"INVALID_BODY"}
    assert found.domain == "tallykeeper.io"
    assert found.facts["field"] == "body"
    assert found.facts["value"].startswith(value)
    assert rule in found.facts["rule"]
    assert on_web.facts == found.facts


def test_a_message_in_a_stream_that_is_too_large_says_so(server: ThreadedServer) -> None:
    body = envelope(b'{"namespace": "%s"}' % (b"x" * (5 << 20)))

    found = of_stream(request(server.http, WATCH, body, {"Content-Type": STREAM}))
    on_web = of_web(request(server.http, INCREMENT, body, {"Content-Type": "application/grpc-web+json"}))

    assert (found.code, found.reason, on_web.reason) == ("resource_exhausted", "REQUEST_TOO_LARGE", "REQUEST_TOO_LARGE")
    assert found.facts["limit"] == str(4 << 20)


@pytest.mark.parametrize("depth", [50, 300, 900, 990, 5_000])
def test_a_value_that_is_nested_deeply_is_refused_with_a_reason(server: ThreadedServer, depth: int) -> None:
    body = b'{"counter": "c", "delta": %s%s}' % (b"[" * depth, b"]" * depth)

    answer = request(server.http, INCREMENT, body)

    assert (answer.status, answer.reason) == (400, "INVALID_FIELD")


def test_a_deadline_that_has_passed_has_its_reason(server: ThreadedServer, namespace: str) -> None:
    answers = [
        of_json(increment(server, namespace, {"Connect-Timeout-Ms": "0"})),
        of_stream(watch(server, namespace, {"Connect-Timeout-Ms": "0"})),
        of_web(web(server, namespace, {"Grpc-Timeout": "0n"})),
    ]

    assert {found.reason for found in answers} == {"DEADLINE_EXCEEDED"}


@pytest.mark.parametrize(
    ("path", "method", "content_type", "status", "reason"),
    [
        ("/nothing", "POST", WEB, 404, "UNKNOWN_PATH"),
        (INCREMENT, "PUT", WEB, 405, "METHOD_NOT_ALLOWED"),
        (INCREMENT, "POST", "application/grpc-web-text", 415, "UNSUPPORTED_CONTENT_TYPE"),
    ],
)
def test_grpc_web_sees_the_reason_of_a_status_of_http(
    server: ThreadedServer, path: str, method: str, content_type: str, *, status: int, reason: str
) -> None:
    answer = request(server.http, path, b"", {"Content-Type": content_type}, method)

    assert (answer.status, answer.body, of_web(answer).reason) == (status, b"", reason)


def test_what_http_alone_refuses_names_the_field_the_value_and_the_rule(server: ThreadedServer) -> None:
    answers = [
        request(server.http, INCREMENT, method="PUT"),
        request(server.http, INCREMENT, b"", {"Content-Type": "text/plain"}),
        request(server.http, "/%zz"),
        request(server.http, "/nothing"),
        request(server.http, "/healthz", headers={"Origin": "https://evil.example"}),
        request(server.http, "/healthz", headers={"Host": "evil.example"}),
        request(server.http, INCREMENT, {}, {"X-Name": "ä"}),
        request(server.http, INCREMENT, b"no gzip", {"Content-Encoding": "gzip"}),
    ]

    assert [(info["metadata"]["field"], info["metadata"]["value"]) for info in (each.info for each in answers)] == [
        ("method", "PUT"),
        ("Content-Type", "text/plain"),
        ("path", "%zz"),
        ("path", "/nothing"),
        ("Origin", "https://evil.example"),
        ("Host", "evil.example"),
        ("x-name", "ä"),
        ("body", f"0x{b'no gzip'.hex()}"),
    ]
    assert all(each.info["metadata"]["rule"] for each in answers)
