"""Values that no field may have, by the field's name, and requests that have them.

What a field is called says what it may hold, in every request alike; so a field that is new to the contract and
is in no table here is found by the tests that go through the descriptors.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp

from tallykeeper.v1.batch_pb2 import Operation
from tallykeeper.v1.inventory_pb2 import AvailabilityLine, StockKey
from tallykeeper.v1.reservation_pb2 import StockLine
from tests.rpc.valid_requests import valid_requests
from tests.support.client import REQUEST_TYPES

MAX = 2**53 - 1
LEAST_INT64, GREATEST_INT64 = -(2**63), 2**63 - 1
CONTROL_CHARACTERS = ["a\x00b", "a\nb", "\tab", "ab\x1f", "a\x7fb", "a\x85b"]


def _texts(bytes_max: int) -> list[object]:
    return ["x" * (bytes_max + 1), "x" + "é" * (bytes_max // 2), "😀" * (bytes_max // 4 + 1), *CONTROL_CHARACTERS]


_NOT_NORMALIZED: list[object] = ["cafe\u0301", "\u212b", "\u1112\u1161\u11ab", "x\u0301\u0323"]
_NOT_A_NAME: list[object] = [" ", " a", "a ", "\u00a0a", "a\u3000", "\u2003", *_NOT_NORMALIZED]
_OUT_OF_RANGE: list[object] = [MAX + 1, -MAX - 1, LEAST_INT64, GREATEST_INT64]
_NOT_A_QUANTITY: list[object] = [-1, MAX + 1, -MAX, LEAST_INT64, GREATEST_INT64]
_NOT_A_LABEL: list[object] = [
    *CONTROL_CHARACTERS,
    "x" * 64,
    "x" * 5_000,
    "{a}",
    "a}",
    "a b",
    " ",
    "a:b",
    "a/b",
    ".a",
    "-a",
    "_a",
    "*",
    "é",
    "名",
    "😀",
    "a\n",
]
_NOT_A_MASK: list[object] = [
    FieldMask(paths=paths)
    for paths in (["counter"], ["item"], ["nothing"], [""], ["*", "*"], ["Min"], ["min.x"], ["a\x00"], ["x" * 5_000])
]
_NOT_A_DURATION: list[object] = [
    Duration(),
    Duration(seconds=-1),
    Duration(nanos=-1),
    Duration(seconds=GREATEST_INT64),
    Duration(seconds=LEAST_INT64),
    Duration(seconds=1, nanos=-1),
    Duration(seconds=-1, nanos=1),
    Duration(nanos=1_000_000_000),
    Duration(seconds=5, nanos=2**31 - 1),
]
_NOT_A_TIME: list[object] = [
    Timestamp(nanos=-1),
    Timestamp(nanos=1_000_000_000),
    Timestamp(seconds=GREATEST_INT64),
    Timestamp(seconds=LEAST_INT64),
]
_NOT_AN_ENUM: list[object] = [99, -1, 2**31 - 1]

BAD_VALUES: Mapping[str, Sequence[object]] = {
    "namespace": _NOT_A_LABEL,
    "location": _NOT_A_LABEL,
    "from_location": _NOT_A_LABEL,
    "to_location": _NOT_A_LABEL,
    "request_id": [*CONTROL_CHARACTERS, "x" * 65, "x" * 5_000, "é", "名", "😀"],
    "reason": _texts(64),
    "reference": _texts(256),
    "counter": ["", *_texts(128), *_NOT_A_NAME],
    "item": ["", *_texts(128), *_NOT_A_NAME],
    "reservation_id": ["", *_texts(128), *_NOT_A_NAME],
    "holder": [*_texts(128), *_NOT_A_NAME],
    "prefix": [*_texts(128), *_NOT_NORMALIZED],
    "item_prefix": [*_texts(128), *_NOT_NORMALIZED],
    "delta": _OUT_OF_RANGE,
    "value": _OUT_OF_RANGE,
    "expected_value": _OUT_OF_RANGE,
    "min": _OUT_OF_RANGE,
    "max": _OUT_OF_RANGE,
    "expected_on_hand": _OUT_OF_RANGE,
    "copies": [0, *_NOT_A_QUANTITY],
    "on_hand": _OUT_OF_RANGE,
    "safety_stock": _NOT_A_QUANTITY,
    "backorder_limit": _NOT_A_QUANTITY,
    "low_stock_threshold": _NOT_A_QUANTITY,
    "after_revision": _NOT_A_QUANTITY,
    "min_revision": _NOT_A_QUANTITY,
    "ttl": [*_NOT_A_DURATION, Duration(seconds=30 * 86_400, nanos=1_000_000)],
    "start_time": _NOT_A_TIME,
    "end_time": _NOT_A_TIME,
    "update_mask": _NOT_A_MASK,
    "shortage_policy": _NOT_AN_ENUM,
    "state": _NOT_AN_ENUM,
    "mode": [0, *_NOT_AN_ENUM],
    "operation": _NOT_AN_ENUM,
    "page_size": [-1, -(2**31)],
    "counters": [[], ["x"] * 1_001],
    "items": [["x"] * 1_001],
    "locations": [["x"] * 1_001],
    "reservation_ids": [["x"] * 1_001],
    "keys": [[], [StockKey(item="x")] * 1_001],
    "lines": [[], [StockLine(item="x")] * 101],
    "operations": [[]],
}
_NOT_A_LIFE_OF_A_COUNTER: list[object] = [*_NOT_A_DURATION, Duration(seconds=3_650 * 86_400, nanos=1)]

BAD_VALUES_OF: Mapping[tuple[str, str], Sequence[object]] = {
    ("CheckAvailabilityRequest", "lines"): [[], [AvailabilityLine(item="x")] * 101],
    ("CommitRequest", "lines"): [[StockLine(item="x")] * 101],
    ("ConfigureCounterRequest", "ttl"): _NOT_A_LIFE_OF_A_COUNTER,
    ("ListEntriesRequest", "counter"): [*_texts(128), *_NOT_A_NAME],
    ("ListEntriesRequest", "item"): [*_texts(128), *_NOT_A_NAME],
    ("ListEntriesRequest", "reservation_id"): [*_texts(128), *_NOT_A_NAME],
    ("ListNamespacesRequest", "prefix"): ["x" * 64, *CONTROL_CHARACTERS],
    ("ListReservationsRequest", "item"): [*_texts(128), *_NOT_A_NAME],
    ("LookupRequestRequest", "request_id"): ["", *BAD_VALUES["request_id"]],
    ("NewCounter", "ttl"): _NOT_A_LIFE_OF_A_COUNTER,
    ("ReserveRequest", "reservation_id"): [*_texts(128), *_NOT_A_NAME],
    ("WatchRequest", "counters"): [["x"] * 1_001],
}
"""The values for one type of message, where they differ from the table of all fields."""
ELEMENT_NAMES = {
    "counters": "counter",
    "items": "item",
    "locations": "location",
    "reservation_ids": "reservation_id",
}
"""Lists of texts, each with the name of a field that has the same rule as its elements."""
NOT_CHECKED_ALONE = {
    "page_token",
    "any_location",
    "include_levels",
    "newest_first",
    "allow_below_reserved",
}
"""Fields without bad values here: a page token is read last and has its own error, and a bool cannot be wrong."""


@dataclass(frozen=True, slots=True)
class BadField:
    """A field of a type of request, and values that break its rule."""

    request_type: type[Message]
    field: str
    path: str
    """The name of the field in the error."""
    values: Sequence[object]

    def __str__(self) -> str:
        return f"{self.request_type.__name__}.{self.path}"


def set_field(request: Message, field: str, value: object) -> None:
    """Set a field of any type."""
    if isinstance(value, list):
        request.ClearField(field)
        getattr(request, field).extend(value)
    elif isinstance(value, Message):
        getattr(request, field).CopyFrom(value)
    else:
        setattr(request, field, value)


def bad_fields() -> list[BadField]:
    """Return every field of every request that has a rule, with the fields in nested messages and lists."""
    return [
        BadField(request_type, field.name, path, values)
        for request_type, request in valid_requests("any").items()
        for field in request_type.DESCRIPTOR.fields
        if field.name not in NOT_CHECKED_ALONE
        for path, values in _bad_values_of(request, cast("FieldDescriptor", field))
    ]


def field_names() -> set[str]:
    """Return the names of all fields of all requests, with the fields in nested messages and lists."""
    return {
        field.name
        for request_type in REQUEST_TYPES
        for field in _fields_within(cast("Descriptor", request_type.DESCRIPTOR))
    }


def _is_ours(message_type: Descriptor) -> bool:
    return message_type.full_name.startswith("tallykeeper.")


def _fields_within(message_type: Descriptor) -> Iterator[FieldDescriptor]:
    for field in message_type.fields:
        ours = field.message_type is not None and _is_ours(field.message_type)
        if not ours or (field.is_repeated and field.containing_oneof is None):
            yield field
        if ours:
            yield from _fields_within(cast("Descriptor", field.message_type))


def _bad_values_of(message: Message, field: FieldDescriptor) -> Iterator[tuple[str, Sequence[object]]]:
    """Yield the path of each rule of a field, and values that break the rule."""
    name = field.name
    if field.message_type is not None and not field.is_repeated and _is_ours(field.message_type):
        for path, inner in _bad_messages_like(getattr(message, name)):
            yield f"{name}.{path}", inner
        return
    yield name, BAD_VALUES_OF.get((message.DESCRIPTOR.name, name), BAD_VALUES[name])
    if name in ELEMENT_NAMES:
        yield f"{name}[1]", [["x", element, "y"] for element in BAD_VALUES[ELEMENT_NAMES[name]]]
    elif field.is_repeated and field.message_type is not None:
        valid = getattr(message, name)[0]
        for path, elements in _bad_elements_of(valid):
            yield f"{name}[1].{path}", [[valid, element] for element in elements]


def _bad_elements_of(valid: Message) -> Iterator[tuple[str, Sequence[Message]]]:
    """Yield the path of each rule of the elements of a list, and elements that break the rule."""
    if not isinstance(valid, Operation):
        yield from _bad_messages_like(valid)
        return
    requests = {kind.DESCRIPTOR.full_name: request for kind, request in valid_requests("").items()}
    for operation in Operation.DESCRIPTOR.fields:
        for path, messages in _bad_messages_like(requests[cast("Descriptor", operation.message_type).full_name]):
            yield f"{operation.name}.{path}", [_with(Operation(), operation.name, message) for message in messages]


def _bad_messages_like(valid: Message) -> Iterator[tuple[str, Sequence[Message]]]:
    for field in valid.DESCRIPTOR.fields:
        if field.name not in NOT_CHECKED_ALONE:
            for path, values in _bad_values_of(valid, cast("FieldDescriptor", field)):
                yield path, [_with(valid, field.name, value) for value in values]


def _with(message: Message, field: str, value: object) -> Message:
    copy = type(message)()
    copy.CopyFrom(message)
    set_field(copy, field, value)
    return copy


@dataclass(frozen=True, slots=True)
class BrokenText:
    """A type of request, the path of a text in it, and bytes that set the text to one that is not UTF-8."""

    request_type: type[Message]
    path: str
    tail: bytes
    """The bytes to append to a valid request."""

    def __str__(self) -> str:
        return f"{self.request_type.__name__}.{self.path}"


def broken_texts() -> list[BrokenText]:
    """Return a broken text for every text in every request, with the texts in nested messages and lists."""
    return [
        BrokenText(request_type, path, tail)
        for request_type, request in valid_requests("any").items()
        for path, tail in _broken_texts_in(request)
    ]


def _broken_texts_in(message: Message) -> Iterator[tuple[str, bytes]]:
    for field in message.DESCRIPTOR.fields:
        name = f"{field.name}[{len(getattr(message, field.name))}]" if field.is_repeated else field.name
        if field.type == FieldDescriptor.TYPE_STRING:
            yield name, length_delimited(field.number, b"broken \xff text")
        elif field.message_type is not None:
            inside = (
                GetMessageClass(cast("Descriptor", field.message_type))()
                if field.is_repeated
                else getattr(message, field.name)
            )
            for path, tail in _broken_texts_in(inside):
                yield f"{name}.{path}", length_delimited(field.number, tail)


def length_delimited(field_number: int, content: bytes) -> bytes:
    """Return the bytes of a field that is a text or a message."""
    assert field_number < 16
    assert len(content) < 128
    return bytes([field_number << 3 | 2, len(content)]) + content
