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

from tallykeeper.v1.inventory_pb2 import StockKey
from tests.calling import REQUEST_TYPES
from tests.rpc.valid_requests import valid_requests

MAX = 2**53 - 1
LEAST_INT64, GREATEST_INT64 = -(2**63), 2**63 - 1
CONTROL_CHARACTERS = ["a\x00b", "a\nb", "\tab", "ab\x1f", "a\x7fb", "a\x85b"]


def _texts(bytes_max: int) -> list[object]:
    return ["x" * (bytes_max + 1), "x" + "é" * (bytes_max // 2), "😀" * (bytes_max // 4 + 1), *CONTROL_CHARACTERS]


_OUT_OF_RANGE: list[object] = [MAX + 1, -MAX - 1, LEAST_INT64, GREATEST_INT64]
_NOT_A_QUANTITY: list[object] = [-1, MAX + 1, -MAX, LEAST_INT64, GREATEST_INT64]
_NOT_A_PLACE: list[object] = [
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
_NOT_A_LIFE: list[object] = [
    Duration(),
    Duration(seconds=-1),
    Duration(nanos=-1),
    Duration(seconds=3_650 * 86_400, nanos=1),
    Duration(seconds=GREATEST_INT64),
    Duration(seconds=LEAST_INT64),
    Duration(seconds=1, nanos=-1),
    Duration(seconds=-1, nanos=1),
    Duration(nanos=1_000_000_000),
    Duration(seconds=5, nanos=2**31 - 1),
]

BAD_VALUES: Mapping[str, Sequence[object]] = {
    "namespace": _NOT_A_PLACE,
    "location": _NOT_A_PLACE,
    "request_id": [*CONTROL_CHARACTERS, "x" * 65, "x" * 5_000, "é", "名", "😀"],
    "reason": _texts(64),
    "reference": _texts(256),
    "counter": ["", *_texts(128)],
    "item": ["", *_texts(128)],
    "prefix": _texts(128),
    "item_prefix": _texts(128),
    "delta": _OUT_OF_RANGE,
    "value": _OUT_OF_RANGE,
    "expected_value": _OUT_OF_RANGE,
    "min": _OUT_OF_RANGE,
    "max": _OUT_OF_RANGE,
    "expected_on_hand": _OUT_OF_RANGE,
    "copies": [0, *_NOT_A_QUANTITY],
    "on_hand": _NOT_A_QUANTITY,
    "safety_stock": _NOT_A_QUANTITY,
    "backorder_limit": _NOT_A_QUANTITY,
    "low_stock_threshold": _NOT_A_QUANTITY,
    "expire_after": _NOT_A_LIFE,
    "update_mask": _NOT_A_MASK,
    "shortage_policy": [3, -1, 2**31 - 1],
    "page_size": [-1, 1_001, -(2**31), 2**31 - 1],
    "counters": [[], ["x"] * 1_001],
    "keys": [[], [StockKey(item="x")] * 1_001],
}
ELEMENT_NAMES = {"counters": "counter"}
"""Lists of texts, and the name of the field that may hold what each of their elements may."""
NOT_CHECKED_ALONE = {"page_token"}
"""A page token is read when all else is right, and has an error of its own."""


@dataclass(frozen=True, slots=True)
class BadField:
    """A field of a type of request, and the values for it that break a rule."""

    request_type: type[Message]
    field: str
    path: str
    """What the error calls it by."""
    values: Sequence[object]

    def __str__(self) -> str:
        return f"{self.request_type.__name__}.{self.path}"


def set_field(request: Message, field: str, value: object) -> None:
    """Set a field of whatever type."""
    if isinstance(value, list):
        request.ClearField(field)
        getattr(request, field).extend(value)
    elif isinstance(value, Message):
        getattr(request, field).CopyFrom(value)
    else:
        setattr(request, field, value)


def bad_fields() -> list[BadField]:
    """Return every field of every request that has a rule of its own."""
    return [
        bad
        for request_type in REQUEST_TYPES
        for field in request_type.DESCRIPTOR.fields
        if field.name not in NOT_CHECKED_ALONE
        for bad in _bad_fields_of(request_type, cast("FieldDescriptor", field))
    ]


def _bad_fields_of(request_type: type[Message], field: FieldDescriptor) -> Iterator[BadField]:
    yield BadField(request_type, field.name, field.name, BAD_VALUES[field.name])
    if field.name in ELEMENT_NAMES:
        elements = BAD_VALUES[ELEMENT_NAMES[field.name]]
        yield BadField(request_type, field.name, f"{field.name}[1]", [["x", element, "y"] for element in elements])
    elif field.is_repeated and field.message_type is not None:
        for inner in field.message_type.fields:
            lists = [[StockKey(item="x"), _key_with(inner.name, value)] for value in BAD_VALUES[inner.name]]
            yield BadField(request_type, field.name, f"{field.name}[1].{inner.name}", lists)


def _key_with(field: str, value: object) -> StockKey:
    key = StockKey(item="x")
    set_field(key, field, value)
    return key


@dataclass(frozen=True, slots=True)
class BrokenText:
    """A type of request, the path of a text in it, and bytes that put a text there that is not UTF-8."""

    request_type: type[Message]
    path: str
    tail: bytes
    """What to append to a valid request."""

    def __str__(self) -> str:
        return f"{self.request_type.__name__}.{self.path}"


def broken_texts() -> list[BrokenText]:
    """Return one for every text in every request, those within messages and lists too."""
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
    """Return a field as protobuf writes texts and messages."""
    assert field_number < 16
    assert len(content) < 128
    return bytes([field_number << 3 | 2, len(content)]) + content
