"""RPCs as JSON: what is read, what is written, and what is refused without a change."""

import gzip
import json
import sys
import tracemalloc
from typing import Any

import pytest

from tallykeeper.v1.counter_pb2 import IncrementRequest, IncrementResponse
from tallykeeper_server.domain.errors import InvalidFieldError
from tallykeeper_server.http import json_messages
from tests.http.http_client import COUNTERS, INVENTORY, JSON, request, value_of
from tests.support.client import Caller
from tests.support.server import ThreadedServer

INCREMENT = f"{COUNTERS}/Increment"


def increment(server: ThreadedServer, namespace: str, **fields: object) -> Any:  # noqa: ANN401
    return request(server.http, INCREMENT, {"namespace": namespace, "counter": "c", **fields})


def test_a_change_is_one_request_with_json(server: ThreadedServer, namespace: str) -> None:
    answer = increment(server, namespace, delta=5)

    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["counter"] == {"counter": "c", "value": "5"}
    assert answer.json["revision"] == "1"
    assert answer.json["replayed"] is False  # fields that are false or 0 are there


def test_grpc_and_http_see_the_same(server: ThreadedServer, namespace: str, call: Caller) -> None:
    increment(server, namespace, delta=5)

    assert call(IncrementRequest(namespace=namespace, counter="c")).counter.value == 6


@pytest.mark.parametrize(("sent", "value"), [(7, 7), ("7", 7), (-3, -3), ("-3", -3), (7.0, 7), (2**53 - 1, 2**53 - 1)])
def test_integers_are_numbers_or_strings_and_come_back_as_strings(
    server: ThreadedServer, namespace: str, sent: object, value: int
) -> None:
    assert increment(server, namespace, delta=sent).json["counter"]["value"] == str(value)


@pytest.mark.parametrize("name", ["requestId", "request_id"])
def test_field_names_are_those_of_json_or_of_the_proto(server: ThreadedServer, namespace: str, name: str) -> None:
    increment(server, namespace, **{name: "once"})

    assert increment(server, namespace, **{name: "once"}).json["replayed"] is True
    assert value_of(server.http, namespace, "c") == 1


def test_null_is_an_absent_field(server: ThreadedServer, namespace: str) -> None:
    assert increment(server, namespace, delta=None, reason=None).json["counter"]["value"] == "1"


def test_the_binary_form_is_taken_and_sent_as_well(server: ThreadedServer, namespace: str) -> None:
    body = IncrementRequest(namespace=namespace, counter="c", delta=4).SerializeToString()

    answer = request(server.http, INCREMENT, body, {"Content-Type": "application/proto"})

    assert answer.headers["content-type"] == "application/proto"
    assert IncrementResponse.FromString(answer.body).counter.value == 4


def test_a_compressed_body_is_read(server: ThreadedServer, namespace: str) -> None:
    body = gzip.compress(json.dumps({"namespace": namespace, "counter": "c"}).encode())

    assert request(server.http, INCREMENT, body, {"Content-Encoding": "gzip"}).status == 200


BAD_FIELDS: list[tuple[dict[str, object], dict[str, str]]] = [
    ({"colour": 1}, {"colour": "is unknown"}),
    ({"colour": 1, "size": 2}, {"colour": "is unknown", "size": "is unknown"}),
    ({"delta": 1.5}, {"delta": "1.5 must be an integer, without a fraction"}),
    ({"delta": "1.5"}, {"delta": '"1.5" must be an integer'}),
    ({"delta": "one"}, {"delta": '"one" must be an integer'}),
    ({"delta": ""}, {"delta": '"" must be an integer'}),
    ({"delta": True}, {"delta": "true must be an integer"}),
    ({"delta": [1]}, {"delta": "[1] must be an integer"}),
    ({"delta": {}}, {"delta": "{} must be an integer"}),
    ({"delta": 2**53}, {"delta": "9007199254740992 is out of range; -(2^53-1) .. 2^53-1 is allowed"}),
    ({"delta": str(2**53)}, {"delta": "is out of range"}),
    ({"delta": -(2**53)}, {"delta": "is out of range"}),
    ({"delta": 1e300}, {"delta": "is out of range"}),
    ({"delta": "9" * 5_000}, {"delta": "is out of range"}),
    ({"counter": 5}, {"counter": "5 must be a JSON string"}),
    ({"counter": ["c"]}, {"counter": '["c"] must be a JSON string'}),
    ({"counter": "\ud800"}, {"counter": "must be Unicode text"}),
    ({"create": 1}, {"create": "1 must be a JSON object"}),
    ({"create": {"ttl": "soon"}}, {"create.ttl": '"soon" is no google.protobuf.Duration in JSON'}),
    ({"create": {"ttl": 5}}, {"create.ttl": "is no google.protobuf.Duration"}),
    ({"create": {"ttl": 1.5}}, {"create.ttl": "1.5 is no google.protobuf.Duration"}),
    ({"create": {"ttl": [1.5]}}, {"create.ttl": "is no google.protobuf.Duration"}),
    ({"create": {"ttl": " 5s"}}, {"create.ttl": '" 5s" is no google.protobuf.Duration'}),
    ({"create": {"ttl": "1_0s"}}, {"create.ttl": "is no google.protobuf.Duration"}),
    ({"create": {"ttl": "1.0000000001s"}}, {"create.ttl": "is no google.protobuf.Duration"}),
    ({"create": {"most": 5}}, {"create.most": "is unknown"}),
    ({"create": {"max": 0.5}}, {"create.max": "0.5 must be an integer"}),
    ({"requestId": "a", "request_id": "a"}, {"request_id": "is the same field as requestId"}),
]


@pytest.mark.parametrize(("fields", "violations"), BAD_FIELDS)
def test_a_bad_field_is_named_with_its_value_and_its_rule_and_changes_nothing(
    server: ThreadedServer, namespace: str, fields: dict[str, object], violations: dict[str, str]
) -> None:
    answer = increment(server, namespace, **fields)

    assert (answer.status, answer.json["code"], answer.reason) == (400, "invalid_argument", "INVALID_FIELD")
    assert answer.violations.keys() == violations.keys()
    assert all(rule in answer.violations[field] for field, rule in violations.items()), answer.violations
    assert value_of(server.http, namespace, "c") is None


COMMA_BEFORE_THE_END = (
    "the body is not JSON: Illegal trailing comma before end of object at line 2, column 16"
    if sys.version_info >= (3, 13)
    else "the body is not JSON: Expecting property name enclosed in double quotes at line 3, column 1"
)
"""The message of Python's parser, which has had words for this fault since Python 3.13."""

BAD_BODIES: list[tuple[bytes, str]] = [
    (b"", "the body is empty; send a JSON object, such as {}"),
    (b"  \n", "the body is empty"),
    (b'{"counter": }', "the body is not JSON: Expecting value at line 1, column 13"),
    (b'{\n "counter": "c",\n}', COMMA_BEFORE_THE_END),
    (b'{"counter": "c"} {}', "the body is not JSON: Extra data at line 1, column 18"),
    (b'{"counter": "c', "the body is not JSON: Unterminated string starting at line 1, column 13"),
    (b'{"counter": "\\"NaN",\n "delta": NaN}', "the body is not JSON: NaN at line 2, column 11 is no number in JSON"),
    (b'{"counter": "c", "delta": -Infinity}', "-Infinity at line 1, column 27 is no number in JSON"),
    (b'{"counter": "c",\n "counter": "d"}', 'has the key "counter" twice in one object'),
    (b'{"counter": "\xff"}', "the body is not UTF-8 at line 1, column 14"),
    (b"[" * 100_000, "nested too deeply"),
    (b"[]", "[] must be a JSON object"),
    (b"null", "null must be a JSON object"),
    (b'"text"', '"text" must be a JSON object'),
]


@pytest.mark.parametrize(("body", "rule"), BAD_BODIES)
def test_a_body_that_is_no_json_object_is_refused_with_the_place(
    server: ThreadedServer, body: bytes, rule: str
) -> None:
    answer = request(server.http, INCREMENT, body)

    assert (answer.status, answer.reason) == (400, "INVALID_FIELD")
    assert rule in answer.json["message"]
    assert not answer.json["message"].startswith(":")


@pytest.mark.parametrize(
    ("number", "rule"),
    [
        ("1.00000000000000000001", "must be an integer, without a fraction"),
        ("1e-400", "must be an integer, without a fraction"),
        ("1e-99999999999999999", "must be an integer, without a fraction"),
        ("4503599627370497.5", "must be an integer, without a fraction"),
        ("1e400", "is out of range"),
        ("-1e999999999999999", "is out of range"),
        ("123456789012345678901234567890", "is out of range"),
        (f"1.{'0' * 30}1", "must be an integer, without a fraction"),
    ],
)
def test_a_number_is_read_without_rounding_and_shown_as_it_came(
    server: ThreadedServer, namespace: str, number: str, rule: str
) -> None:
    body = f'{{"namespace": "{namespace}", "counter": "c", "delta": {number}}}'.encode()

    answer = request(server.http, INCREMENT, body)

    assert answer.violations["delta"].startswith(f"{number} {rule}")
    assert value_of(server.http, namespace, "c") is None


@pytest.mark.parametrize(
    ("number", "value"),
    [
        ("1e3", "1000"),
        ("1.0", "1"),
        ("-0.0", "0"),
        ("9007199254740991.0", str(2**53 - 1)),
        ("9007199254740991.00000000", str(2**53 - 1)),
        (f"1.{'0' * 300}", "1"),
        (f"7{'0' * 300}e-300", "7"),
    ],
)
def test_an_integer_may_have_a_point_or_an_exponent(
    server: ThreadedServer, namespace: str, number: str, value: str
) -> None:
    body = f'{{"namespace": "{namespace}", "counter": "c", "delta": {number}}}'.encode()

    assert request(server.http, INCREMENT, body).json["counter"]["value"] == value


@pytest.mark.parametrize("number", [f"1e{'9' * 300}", f"1e-{'9' * 300}", f"1.{'0' * 500}"])
def test_a_number_without_end_is_refused(server: ThreadedServer, namespace: str, number: str) -> None:
    body = f'{{"namespace": "{namespace}", "counter": "c", "delta": {number}}}'.encode()

    assert request(server.http, INCREMENT, body).violations.keys() == {"delta"}
    assert value_of(server.http, namespace, "c") is None


@pytest.mark.parametrize("character", ["a", r"\""])
def test_a_long_string_before_a_number_that_json_does_not_have_takes_little_memory(character: str) -> None:
    text = f'{{"counter": "{character * 2_000_000}", "delta": NaN}}'.encode()
    tracemalloc.start()
    try:
        with pytest.raises(InvalidFieldError, match="NaN at line 1, column"):
            json_messages.read(text, IncrementRequest)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 8 * len(text)


def test_lists_enums_and_nested_messages_are_checked_with_their_paths(server: ThreadedServer, namespace: str) -> None:
    body = {
        "namespace": namespace,
        "mode": "SOMETIMES",
        "operations": [
            {"increment": {"counter": "c"}},
            {"increment": {"counter": 1}, "setCounter": {"counter": "c"}},
            7,
            {"reserve": {"lines": {}}},
        ],
    }

    answer = request(server.http, "/tallykeeper.v1.BatchService/Apply", body)

    assert answer.violations.keys() == {
        "mode",
        "operations[1].increment.counter",
        "operations[1]",
        "operations[2]",
        "operations[3].reserve.lines",
    }
    assert "BATCH_MODE_ATOMIC" in answer.violations["mode"]
    assert "only one of them" in answer.violations["operations[1]"]
    assert "must be a JSON array" in answer.violations["operations[3].reserve.lines"]


@pytest.mark.parametrize("mode", ["BATCH_MODE_ATOMIC", 1])
def test_an_enum_is_its_name_or_its_number(server: ThreadedServer, namespace: str, mode: object) -> None:
    body = {"namespace": namespace, "mode": mode, "operations": [{"increment": {"counter": "c"}}]}

    assert request(server.http, "/tallykeeper.v1.BatchService/Apply", body).status == 200


def test_a_refusal_has_its_details_in_a_form_that_people_can_read(server: ThreadedServer, namespace: str) -> None:
    about = {"namespace": namespace, "item": "book"}
    request(server.http, f"{INVENTORY}/SetStock", {**about, "onHand": 2})

    answer = request(server.http, f"{INVENTORY}/DecrementCopies", {**about, "copies": 3})

    assert (answer.status, answer.json["code"], answer.reason) == (400, "failed_precondition", "INSUFFICIENT_STOCK")
    assert answer.detail("tallykeeper.v1.Shortages")["shortages"][0]["requested"] == "3"
    assert answer.info["metadata"]["available"] == "2"


def test_the_status_of_a_level_that_is_not_there_is_404(server: ThreadedServer, namespace: str) -> None:
    answer = request(server.http, f"{COUNTERS}/GetCounter", {"namespace": namespace, "counter": "none"})

    assert (answer.status, answer.json["code"], answer.reason) == (404, "not_found", "COUNTER_NOT_FOUND")


def test_a_json_body_may_say_its_character_set(server: ThreadedServer, namespace: str) -> None:
    body = json.dumps({"namespace": namespace, "counter": "c"}).encode()

    answer = request(server.http, INCREMENT, body, {"Content-Type": "application/json; charset=utf-8"})

    assert answer.status == 200
    assert JSON["Content-Type"] == answer.headers["content-type"]
