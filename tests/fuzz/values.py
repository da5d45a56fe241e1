"""Values for a field, by its type and its name: good, bad and extreme."""

import random
from collections.abc import Sequence
from typing import Any, Final, cast

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from tests.rpc.bad_values import BAD_VALUES, ELEMENT_NAMES

_DEPTH_MAX: Final = 4
_INT64: Final = (0, 1, 2, 3, 10, -1, -3, 2**31, 2**53 - 1, 1 - 2**53, 2**53, -(2**53), 2**63 - 1, -(2**63))
_INT32: Final = (0, 1, 2, 3, 10, 100, 1_000, 1_001, -1, 999_999_999, 2**31 - 1, -(2**31))
_NAMES: Final = ("visits", "dune", "emma", "held", "basket", "名前", "😀", "a b", "{tk}", "%s", "x" * 128)
_PLACES: Final = ("main", "annex", "0", "x" * 63)
_GOOD_TEXTS: Final = {
    "namespace": (),  # the namespaces of the round, see Namespaces
    "location": _PLACES,
    "from_location": _PLACES,
    "to_location": _PLACES,
    "request_id": ("r1", "r2", "r3", "held", "~" * 64),
    "paths": ("*", "min", "max", "ttl", "safety_stock", "backorder_limit", "low_stock_threshold", "x.y"),
}
_HOSTILE_TEXTS: Final = (
    "\x00",
    "\x01\x1e\t\n",
    "\u202e\ufeff",
    "\U0010ffff",
    "'; FLUSHALL --",
    "../../etc",
    "}:{",
    "*",
    "x" * 5_000,
    "é" * 70_000,
)
_SIZES: Final = (0, 1, 1, 2, 3, 20)
_LARGE_SIZES: Final = (100, 101, 1_000, 1_001, 3_000)


class Values:
    """Draws values for fields."""

    def __init__(self, dice: random.Random, namespaces: Sequence[str]) -> None:
        """Take ``namespaces``, the values of texts with that name, in addition to invalid values."""
        self.dice = dice
        self._namespaces = namespaces
        self.page_tokens: list[str] = []
        """Tokens from the server, to be sent again, unchanged and changed."""

    def fill(self, message: Message, fields_max: int, depth: int = 0) -> None:
        """Set or clear some fields of a message."""
        fields = cast("list[FieldDescriptor]", list(message.DESCRIPTOR.fields))
        for field in self.dice.sample(fields, min(len(fields), self.dice.randint(1, fields_max))):
            if self.dice.random() < 1 / 8:
                message.ClearField(field.name)
            elif field.is_repeated:
                self._fill_list(message, field, depth)
            elif field.message_type is None:
                setattr(message, field.name, self._scalar(field))
            else:
                self._fill_within(getattr(message, field.name), depth)

    def _fill_list(self, message: Message, field: FieldDescriptor, depth: int) -> None:
        values: Any = getattr(message, field.name)
        large = not depth and self.dice.random() < 1 / 100
        size = self.dice.choice(_LARGE_SIZES if large else _SIZES)
        if field.message_type is None:
            values.extend(self._scalar(field) for _ in range(size))
            return
        element = GetMessageClass(field.message_type)
        some = [element() for _ in range(min(size, 3))]
        for each in some:
            self._fill_within(each, depth)
        values.extend(self.dice.choice(some) for _ in range(size))

    def _fill_within(self, message: Message, depth: int) -> None:
        message.SetInParent()
        if depth < _DEPTH_MAX:
            self.fill(message, 4, depth + 1)

    def _scalar(self, field: FieldDescriptor) -> object:
        if field.type == FieldDescriptor.TYPE_STRING:
            return self._text(ELEMENT_NAMES.get(field.name, field.name))
        if field.type == FieldDescriptor.TYPE_BOOL:
            return self.dice.random() < 1 / 2
        if field.type == FieldDescriptor.TYPE_ENUM:
            return self.dice.choice((0, 1, 2, 3, 4, 99, -1, 2**31 - 1, -(2**31)))
        return self.dice.choice(_INT32 if field.type == FieldDescriptor.TYPE_INT32 else _INT64)

    def _text(self, name: str) -> str:
        if name == "page_token" and self.page_tokens:
            return self._page_token()
        if name == "namespace" and self.dice.random() < 3 / 4:
            return self.dice.choice(self._namespaces)
        if self.dice.random() < 2 / 3:
            return self.dice.choice(_GOOD_TEXTS.get(name) or _NAMES)
        bad = [value for value in BAD_VALUES.get(name, ()) if isinstance(value, str)]
        return self.dice.choice(bad) if bad and self.dice.random() < 3 / 4 else self.dice.choice(_HOSTILE_TEXTS)

    def _page_token(self) -> str:
        token = self.dice.choice(self.page_tokens)
        changed = self.dice.choice((token, token, token[:-1], token[4:], token + "A", token.swapcase(), token * 2))
        at = self.dice.randrange(len(changed) + 1)
        return changed if self.dice.random() < 2 / 3 else changed[:at] + "_" + changed[at + 1 :]
