"""Messages as JSON: strict reading, in which each error names its field or its place, and writing.

The mapping is protobuf's own (https://protobuf.dev/programming-guides/json/). Reading is stricter: it refuses unknown
fields, fractions, integers that JavaScript cannot hold, and a key that is there twice.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NoReturn, cast

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from tallykeeper_server.domain.errors import InvalidFieldError
from tallykeeper_server.domain.limits import INTEGER_MAX

_INT32_MAX: Final = 2**31 - 1
_RANGES: Final[Mapping[int, tuple[int, int]]] = {
    **dict.fromkeys(
        (FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64),
        (-INTEGER_MAX, INTEGER_MAX),
    ),
    FieldDescriptor.CPPTYPE_INT32: (-_INT32_MAX - 1, _INT32_MAX),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
}
_SHOWN_CHARACTERS_MAX: Final = 60
_VIOLATIONS_MAX: Final = 100
_DIGITS_MAX: Final = 20
_REAL_CHARACTERS_MAX: Final = 400
"""The length of a number with a point or an exponent up to which its value counts. A longer one is too precise."""
_WELL_KNOWN: Final = "google.protobuf."
_CONSTANT: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"|(-?Infinity|NaN)')
"""A string, or one of the words that are numbers in JavaScript and not in JSON. The quantifiers are possessive, because
a way back would take 100 bytes of memory for each character of a string."""
_DURATION: Final = re.compile(r"-?[0-9]+(\.[0-9]{1,9})?s")
"""protobuf's reader also takes spaces and underscores, and rounds a tenth decimal."""

Violations = list[tuple[str, str]]


class _KeyTwiceError(Exception):
    """An object has one key twice."""


class _ConstantError(Exception):
    """The text has NaN or an infinity, which JSON does not have."""


@dataclass(frozen=True, slots=True)
class _Number:
    """A number that is no integer, or one that is too large for every field, as its text."""

    text: str


def read(text: bytes, message_class: type[Message]) -> Message:
    """Return the message of a JSON text.

    :raises InvalidFieldError: it is no JSON, or no message of this type. The error has the line and column, or the path
        of each field that is wrong.
    """
    value = _parsed(text)
    violations: Violations = []
    _check_message(cast("Descriptor", message_class.DESCRIPTOR), value, "", violations)
    if violations:
        raise InvalidFieldError(violations[:_VIOLATIONS_MAX])
    message = message_class()
    try:
        json_format.ParseDict(cast("dict[str, Any]", value), message)
    except (json_format.ParseError, ValueError, TypeError) as error:
        raise InvalidFieldError([("", f"the body is no {message_class.DESCRIPTOR.full_name}: {error}")]) from error
    return message


def write(message: Message) -> bytes:
    """Return a message as JSON, with the fields that are 0, false or empty: a reader need not know defaults."""
    value = json_format.MessageToDict(message, always_print_fields_with_no_presence=True)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _parsed(text: bytes) -> object:
    if not text.strip():
        _refuse("the body is empty; send a JSON object, such as {}")
    try:
        decoded = text.decode()
    except UnicodeDecodeError as error:
        _refuse(f"the body is not UTF-8 at {_position(text[: error.start])}", error)
    try:
        return json.loads(
            decoded, object_pairs_hook=_object, parse_constant=_constant, parse_int=_integer, parse_float=_real
        )
    except json.JSONDecodeError as error:
        _refuse(f"the body is not JSON: {error.msg.removesuffix(' at')} at {_place_of(error)}", error)
    except _KeyTwiceError as error:
        _refuse(f"the body has the key {_shown(error.args[0])} twice in one object", error)
    except _ConstantError as error:
        found = next(match for match in _CONSTANT.finditer(decoded) if match[1])
        place = _place_of(json.JSONDecodeError("", decoded, found.start()))
        _refuse(f"the body is not JSON: {found[1]} at {place} is no number in JSON", error)
    except RecursionError as error:
        _refuse("the body is nested too deeply", error)


def _refuse(message: str, cause: Exception | None = None) -> NoReturn:
    raise InvalidFieldError([("", message)]) from cause


def _position(before: bytes) -> str:
    line = before.count(b"\n") + 1
    column = len(before) - before.rfind(b"\n")
    return f"line {line}, column {column}"


def _place_of(error: json.JSONDecodeError) -> str:
    return f"line {error.lineno}, column {error.colno}"


def _object(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _KeyTwiceError(next(name for name in names if names.count(name) > 1))
    return found


def _constant(_: str) -> NoReturn:
    raise _ConstantError


def _integer(text: str) -> int | _Number:
    """Return an integer. One with more digits than Python parses quickly is too large for every field."""
    return int(text) if len(text) <= _DIGITS_MAX else _Number(text)


def _real(text: str) -> int | _Number:
    """Return the integer that a number with a point or an exponent is, as 1e3 is, without rounding."""
    if len(text) > _REAL_CHARACTERS_MAX:
        return _Number(text)
    try:
        number = Decimal(text)
    except InvalidOperation:  # the exponent has too many digits
        return _Number(text)
    is_integer = -INTEGER_MAX <= number <= INTEGER_MAX and number == int(number)
    return int(number) if is_integer else _Number(text)


def _check_message(descriptor: Descriptor, value: object, path: str, violations: Violations) -> None:
    if descriptor.full_name.startswith(_WELL_KNOWN):
        _check_well_known(descriptor, value, path, violations)
        return
    if not isinstance(value, dict):
        violations.append((path, f"{_shown(value)} must be a JSON object"))
        return
    fields = {name: field for field in descriptor.fields for name in (field.name, field.json_name)}
    seen: dict[str, str] = {}
    for name, content in value.items():
        field = fields.get(name)
        where = f"{path}.{name}" if path else name
        if field is None:
            violations.append((_ascii(where), f"is unknown; {descriptor.name} has {_names_of(descriptor)}"))
        elif field.name in seen:
            violations.append((where, f"is the same field as {seen[field.name]}; send one of them"))
        else:
            seen[field.name] = name
            if content is not None:  # null is the same as an absent field
                _check_field(field, content, f"{path}.{field.name}" if path else field.name, violations)
        if len(violations) >= _VIOLATIONS_MAX:
            return
    _check_oneofs(descriptor, value, seen, path, violations)


def _check_oneofs(
    descriptor: Descriptor, value: Mapping[str, object], seen: Mapping[str, str], path: str, violations: Violations
) -> None:
    for oneof in descriptor.oneofs:
        chosen = [field.name for field in oneof.fields if field.name in seen and value[seen[field.name]] is not None]
        if len(chosen) > 1:
            violations.append((path, f"has {' and '.join(chosen)}; only one of them is allowed"))


def _check_well_known(descriptor: Descriptor, value: object, path: str, violations: Violations) -> None:
    if not _is_well_known(descriptor, value):
        violations.append((path, f"{_shown(value)} is no {descriptor.full_name} in JSON"))


def _is_well_known(descriptor: Descriptor, value: object) -> bool:
    if descriptor.name == "Duration" and not (isinstance(value, str) and _DURATION.fullmatch(value)):
        return False
    try:
        json_format.ParseDict(cast("Any", value), GetMessageClass(descriptor)())
    except (json_format.ParseError, ValueError, TypeError, AttributeError):
        return False
    return True


def _check_field(field: FieldDescriptor, value: object, path: str, violations: Violations) -> None:
    if not field.is_repeated:
        _check_value(field, value, path, violations)
    elif not isinstance(value, list):
        violations.append((path, f"{_shown(value)} must be a JSON array"))
    else:
        for index, element in enumerate(value):
            _check_value(field, element, f"{path}[{index}]", violations)
            if len(violations) >= _VIOLATIONS_MAX:
                return


def _check_value(field: FieldDescriptor, value: object, path: str, violations: Violations) -> None:
    if field.message_type is not None:
        _check_message(field.message_type, value, path, violations)
        return
    flaw = _flaw_of(field, value)
    if flaw:
        violations.append((path, f"{_shown(value)} {flaw}"))


def _flaw_of(field: FieldDescriptor, value: object) -> str:
    """Return the rule that a value breaks; empty if it breaks none."""
    kind = field.cpp_type
    if kind in _RANGES:
        return _flaw_of_integer(value, *_RANGES[kind])
    if kind == FieldDescriptor.CPPTYPE_STRING:
        return _flaw_of_text(value)
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return "" if isinstance(value, bool) else "must be true or false"
    if field.enum_type is not None:
        return _flaw_of_enum(field.enum_type, value)
    return ""


def _flaw_of_integer(value: object, least: int, most: int) -> str:
    if isinstance(value, str):
        digits = value.removeprefix("-")
        if not (digits.isascii() and digits.isdigit()):
            return "must be an integer"
        number: float = int(value) if len(digits) <= _DIGITS_MAX else most + 1
    elif isinstance(value, _Number):
        number = float(value.text)
    elif isinstance(value, bool) or not isinstance(value, int):
        return "must be an integer"
    else:
        number = value
    if not least <= number <= most:
        return f"is out of range; {_bound(least)} .. {_bound(most)} is allowed"
    return "must be an integer, without a fraction" if isinstance(value, _Number) else ""


def _bound(number: int) -> str:
    return {INTEGER_MAX: "2^53-1", -INTEGER_MAX: "-(2^53-1)"}.get(number, str(number))


def _flaw_of_text(value: object) -> str:
    if not isinstance(value, str):
        return "must be a JSON string"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "must be Unicode text, without half of a surrogate pair"
    return ""


def _flaw_of_enum(enum: EnumDescriptor, value: object) -> str:
    if isinstance(value, str) and value in enum.values_by_name:
        return ""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _INT32_MAX:
        return ""
    return f"is no {enum.name}; it has {', '.join(enum.values_by_name)}"


def _names_of(descriptor: Descriptor) -> str:
    return ", ".join(field.json_name for field in descriptor.fields) or "no field"


def _shown(value: object) -> str:
    # In ASCII, because half of a surrogate pair could not be sent.
    shown = value.text if isinstance(value, _Number) else json.dumps(value, default=lambda number: number.text)
    return shown if len(shown) <= _SHOWN_CHARACTERS_MAX else shown[:_SHOWN_CHARACTERS_MAX] + "…"


def _ascii(path: str) -> str:
    return path.encode("ascii", "backslashreplace").decode()[: 2 * _SHOWN_CHARACTERS_MAX]
