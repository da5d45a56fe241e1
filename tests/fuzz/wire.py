"""Bytes that are nearly a message, as a broken, an old or a hostile client writes them."""

import random
from typing import Final

VARINT, FIXED64, DELIMITED, GROUP, END_GROUP, FIXED32 = 0, 1, 2, 3, 4, 5
_FIELD_NUMBER_MAX: Final = 2**29 - 1
_NESTING: Final = (1, 50, 99, 101, 5_000)
"""Depths of nested messages. The greatest depth that protobuf reads is 100."""


def varint(number: int) -> bytes:
    """Return an unsigned number as protobuf writes it."""
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def delimited(field_number: int, content: bytes) -> bytes:
    """Return a field as protobuf writes texts and messages."""
    return varint(field_number << 3 | DELIMITED) + varint(len(content)) + content


def spoilt(dice: random.Random, raw: bytes, field_count: int) -> bytes:
    """Return a message of ``field_count`` fields with a fault, which is one of many kinds."""
    return dice.choice(_WAYS)(dice, raw, field_count)


def _cut_off(dice: random.Random, raw: bytes, _: int) -> bytes:
    return raw[: dice.randrange(len(raw) + 1)]


def _flipped(dice: random.Random, raw: bytes, _: int) -> bytes:
    changed = bytearray(raw)
    for _ in range(dice.randint(1, 8) if changed else 0):
        changed[dice.randrange(len(changed))] = dice.randrange(256)
    return bytes(changed)


def _shuffled(dice: random.Random, raw: bytes, _: int) -> bytes:
    at = dice.randrange(len(raw) + 1)
    return raw[at:] + raw[:at]


def _twice(_: random.Random, raw: bytes, __: int) -> bytes:
    return raw + raw


def _with_field_of_any_type(dice: random.Random, raw: bytes, field_count: int) -> bytes:
    number = dice.choice((dice.randint(1, field_count + 1), dice.randint(1, _FIELD_NUMBER_MAX), _FIELD_NUMBER_MAX))
    content = dice.randbytes(dice.choice((0, 1, 3, 8, 200)))
    head = varint(number << 3 | dice.choice((VARINT, FIXED64, DELIMITED, GROUP, END_GROUP, FIXED32, 6, 7)))
    return raw + head + (varint(len(content)) + content if dice.random() < 0.5 else content)


def _with_broken_text(dice: random.Random, raw: bytes, field_count: int) -> bytes:
    text = dice.choice((b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"a\x80b", b"\xe5\x90"))
    return raw + delimited(dice.randint(1, field_count), text)


def _with_nesting(dice: random.Random, raw: bytes, field_count: int) -> bytes:
    number, depth = dice.randint(1, field_count + 1), dice.choice(_NESTING)
    if dice.random() < 0.5:
        return raw + varint(number << 3 | GROUP) * depth + varint(number << 3 | END_GROUP) * depth
    content = b""
    for _ in range(min(depth, 200)):
        content = delimited(number, content)
    return raw + content


def _with_endless_number(dice: random.Random, raw: bytes, field_count: int) -> bytes:
    return raw + varint(dice.randint(1, field_count) << 3) + b"\xff" * dice.choice((9, 10, 11, 50)) + b"\x01"


def _with_false_length(dice: random.Random, raw: bytes, field_count: int) -> bytes:
    length = dice.choice((1, 2**31 - 1, 2**31, 2**32, 2**63, 2**64 - 1))
    return raw + varint(dice.randint(1, field_count) << 3 | DELIMITED) + varint(length)


def _noise(dice: random.Random, _: bytes, __: int) -> bytes:
    return dice.randbytes(dice.choice((1, 2, 10, 100, 5_000)))


_WAYS: Final = (
    _cut_off,
    _flipped,
    _shuffled,
    _twice,
    _with_field_of_any_type,
    _with_broken_text,
    _with_nesting,
    _with_endless_number,
    _with_false_length,
    _noise,
)
