"""The rules for the fields of requests. One error names all fields of a request that break a rule."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Final, Literal, Protocol, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from tallykeeper_server.domain import limits
from tallykeeper_server.domain.errors import InvalidFieldError
from tallykeeper_server.domain.levels import CounterName, ReservationName, StockName

_LABEL: Final = re.compile(limits.LABEL_PATTERN)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SHOWN_CHARACTERS_MAX: Final = 32
_INTEGER_RANGE: Final = "-(2^53-1) .. 2^53-1"
_NANOS_PER_SECOND: Final = 1_000_000_000
_MS_PER_DAY: Final = 24 * 60 * 60 * 1_000
_SECONDS_MIN: Final = -62_135_596_800
_SECONDS_MAX: Final = 253_402_300_799
"""The first and the last second that google.protobuf.Timestamp allows, in seconds since 1970."""
_REMEMBERED_MAX: Final = 8_192
"""The number of correct names of each kind that are remembered. A name takes at most 1 KB."""

Name = TypeVar("Name")


class _HasCopies(Protocol):
    """A message with the optional field ``copies``."""

    copies: int

    def HasField(self, field_name: Literal["copies"]) -> bool:  # noqa: N802  # protobuf's
        """Return whether the field is present."""


class Fields:
    """Checks the fields of a request and notes each violation of a rule. ``check`` raises all violations in one error.

    Most methods check a field and return its value, or the default if the field is empty.
    """

    __slots__ = ("_path", "_violations")

    def __init__(self, path: str = "", violations: list[tuple[str, str]] | None = None) -> None:
        """``path`` is the prefix of the fields' names in an error. Violations are noted in ``violations``."""
        self._path = path
        self._violations: list[tuple[str, str]] = [] if violations is None else violations

    def within(self, path: str) -> "Fields":
        """Return a checker of the message at a path in this one, such as ``lines[3].``. It notes violations here."""
        return Fields(self._path + path, self._violations)

    def check(self) -> None:
        """Return if no field has broken a rule.

        :raises InvalidFieldError: a field has. Nothing has happened yet.
        """
        if self._violations:
            raise InvalidFieldError(self._violations)

    @property
    def are_right(self) -> bool:
        """True if no field has broken a rule so far."""
        return not self._violations

    def refuse(self, field: str, rule: str) -> None:
        """Note that a field breaks a rule."""
        self._violations.append((self._path + field, rule))

    def namespace(self, value: str) -> str:
        """Return a namespace; ``default`` when empty."""
        return self._label("namespace", value, limits.DEFAULT_NAMESPACE)

    def location(self, value: str, field: str = "location") -> str:
        """Return a location; ``main`` when empty."""
        return self._label(field, value, limits.DEFAULT_LOCATION)

    def location_or_any(self, value: str, *, any_location: bool) -> str | None:
        """Return a location, ``main`` when empty. Return None for any location; the field must be empty then."""
        if not any_location:
            return self.location(value)
        if value:
            self.refuse("location", f"{_shown(value)} is given together with any_location; it must be empty then")
        return None

    def name(self, field: str, value: str) -> str:
        """Return the name of an item, a counter or a reservation: 1 to 128 bytes, checked as ``optional_name`` does."""
        if not value:
            self.refuse(field, "must not be empty")
        return self.optional_name(field, value)

    def optional_name(self, field: str, value: str, bytes_max: int = limits.NAME_BYTES_MAX) -> str:
        """Return a name, which may be empty. It is in Unicode NFC and has no white space at its ends.

        So two names that look alike are one name, whatever keyboard they were typed on.
        """
        if flaw := _flaw_of_text(value, bytes_max) or _flaw_of_ends(value) or _flaw_of_form(value):
            self.refuse(field, flaw)
        return value

    def prefix(self, field: str, value: str) -> str:
        """Return the beginning of a name, which may be empty. It is in Unicode NFC, and may end with white space."""
        if flaw := _flaw_of_text(value, limits.NAME_BYTES_MAX) or _flaw_of_form(value):
            self.refuse(field, flaw)
        return value

    def text(self, field: str, value: str, bytes_max: int) -> str:
        """Return a text of at most ``bytes_max`` bytes of UTF-8 without control characters."""
        if flaw := _flaw_of_text(value, bytes_max):
            self.refuse(field, flaw)
        return value

    def given(self, field: str, request: Message) -> None:
        """Check that a field is present. It has no default, so a caller who forgets it changes nothing."""
        if not request.HasField(field):
            self.refuse(field, "is absent; give it a value, which may be 0")

    def request_id(self, value: str) -> str:
        """Return a request id, which may be empty."""
        characters = limits.REQUEST_ID_CHARACTERS_MAX
        if len(value) > characters or not value.isascii() or not value.isprintable():
            self.refuse("request_id", f"{_shown(value)} must be 1 to {characters} printable ASCII characters")
        return value

    def integer(self, field: str, value: int) -> int:
        """Return a signed integer within ±(2^53-1), which every language holds exactly."""
        if not -limits.INTEGER_MAX <= value <= limits.INTEGER_MAX:
            self.refuse(field, f"{value} is out of range; {_INTEGER_RANGE} is allowed")
        return value

    def quantity(self, field: str, value: int, *, least: int) -> int:
        """Return a number of copies, from ``least`` to 2^53-1."""
        if not least <= value <= limits.INTEGER_MAX:
            self.refuse(field, f"{value} is out of range; {least} .. 2^53-1 is allowed")
        return value

    def min_revision(self, value: int) -> int:
        """Return the field ``min_revision``: 0 or more."""
        return self.quantity("min_revision", value, least=0)

    def copies(self, request: _HasCopies) -> int:
        """Return the field ``copies``: 1 or more; 1 when absent."""
        copies = request.copies  # a 0 may mean that the field is absent
        return self.quantity("copies", copies, least=1) if copies or request.HasField("copies") else 1

    def enum(self, field: str, value: int, allowed: EnumTypeWrapper) -> int:
        """Return a value of an enum, or 0."""
        if value and value not in allowed.values():
            self.refuse(field, f"{value} is not a {allowed.DESCRIPTOR.name}")
        return value

    def names(self, field: str, values: Sequence[str], most: int) -> tuple[str, ...]:
        """Return a list of at most ``most`` names, which may be empty."""
        if values:
            self.count(field, len(values), most)
        return tuple(self.name(f"{field}[{index}]", value) for index, value in enumerate(values))

    def time_ms(self, field: str, value: Timestamp) -> int:
        """Return a time in milliseconds since 1970, rounded up. It must be in the years 1 to 9999."""
        if not _SECONDS_MIN <= value.seconds <= _SECONDS_MAX or not 0 <= value.nanos < _NANOS_PER_SECOND:
            self.refuse(field, f"{value.seconds} s and {value.nanos} ns make no google.protobuf.Timestamp")
        return value.seconds * 1_000 - (-value.nanos // 1_000_000)

    def duration_ms(self, field: str, value: Duration, most_ms: int) -> int:
        """Return a length of time in milliseconds, rounded up: 1 to ``most_ms``."""
        nanos = value.seconds * _NANOS_PER_SECOND + value.nanos
        milliseconds = -(-nanos // 1_000_000)
        if value.seconds * value.nanos < 0 or abs(value.nanos) >= _NANOS_PER_SECOND:
            self.refuse(field, f"{value.seconds} s and {value.nanos} ns make no google.protobuf.Duration")
        elif not 1 <= milliseconds <= most_ms:
            self.refuse(
                field, f"{nanos / 1e9:.9g} s is out of range; 1 ms .. {most_ms / _MS_PER_DAY:.6g} days is allowed"
            )
        return milliseconds

    def page_size(self, value: int) -> int:
        """Return a page size: 100 when 0, and at most 1,000 (AIP-158)."""
        if value < 0:
            self.refuse("page_size", f"{value} is below 0; 0 or more is allowed")
        return min(value, limits.PAGE_SIZE_MAX) or limits.PAGE_SIZE_DEFAULT

    def count(self, field: str, value: int, most: int) -> None:
        """Check the number of elements of a repeated field: 1 to ``most``.

        :raises InvalidFieldError: the number is wrong. The elements are not checked then.
        """
        if not 1 <= value <= most:
            self.refuse(field, f"has {value} elements; 1 .. {most} are allowed")
            self.check()

    def update_mask(self, request: Message, mask: FieldMask, allowed: tuple[str, ...]) -> frozenset[str]:
        """Return the fields to change: those that the mask names or, if it is empty, those that are present."""
        if not mask.paths:
            present = frozenset(field for field in allowed if request.HasField(field))
            if not present:
                self.refuse("update_mask", f"names no field, and none of {_listed(allowed)} is present")
            return present
        if list(mask.paths) == ["*"]:
            return frozenset(allowed)
        for path in mask.paths:
            if path not in allowed:
                self.refuse("update_mask", f"{_shown(path)} is not one of {_listed(allowed)}")
        return frozenset(mask.paths)

    def _label(self, field: str, value: str, default: str) -> str:
        if value and not _LABEL.fullmatch(value):
            self.refuse(field, f"{_shown(value)} must match {_LABEL.pattern}")
        return value or default


def _flaw_of_text(value: str, bytes_max: int) -> str:
    if not value:
        return ""
    size_bytes = len(value) if value.isascii() else len(value.encode())
    if size_bytes > bytes_max:
        return f"{_shown(value)} has {size_bytes} bytes; at most {bytes_max} are allowed"
    if not value.isprintable() and _CONTROL.search(value):
        return f"{_shown(value)} has a control character; none is allowed"
    return ""


def _flaw_of_ends(value: str) -> str:
    if value and (value[0].isspace() or value[-1].isspace()):
        return f"{_shown(value)} begins or ends with white space; send it without"
    return ""


def _flaw_of_form(value: str) -> str:
    if unicodedata.is_normalized("NFC", value):
        return ""
    normalized = unicodedata.normalize("NFC", value)
    return f"{ascii(value)[:_SHOWN_CHARACTERS_MAX]} is not in Unicode NFC; send {_shown(normalized)}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def _shown(value: str) -> str:
    """Return a value as an error shows it: quoted, without control characters, and cut off after 32 characters."""
    shown = repr(value[:_SHOWN_CHARACTERS_MAX])
    if len(shown) <= _SHOWN_CHARACTERS_MAX and len(value) <= _SHOWN_CHARACTERS_MAX:
        return shown
    return shown[:_SHOWN_CHARACTERS_MAX] + "…"


class NamesStock(Protocol):
    """A message with the fields that name a stock level."""

    item: str
    location: str


class NamesCounter(Protocol):
    """A message with the field that names a counter."""

    counter: str


def stock_name(request: NamesStock, fields: Fields) -> StockName:
    """Return the stock level that a message names. A name that was correct lately is not checked again."""
    item, location = request.item, request.location
    try:
        return _right_stock_name(item, location)
    except InvalidFieldError:
        return _stock_name(item, location, fields)


def counter_name(request: NamesCounter, fields: Fields) -> CounterName:
    """Return the counter that a message names. A name that was correct lately is not checked again."""
    try:
        return _right_counter_name(request.counter)
    except InvalidFieldError:
        return _counter_name(request.counter, fields)


def reservation_name(value: str, fields: Fields) -> ReservationName:
    """Return the reservation that a request names."""
    return ReservationName(fields.name("reservation_id", value))


def _stock_name(item: str, location: str, fields: Fields) -> StockName:
    return StockName(fields.name("item", item), fields.location(location))


def _counter_name(counter: str, fields: Fields) -> CounterName:
    return CounterName(fields.name("counter", counter))


def _remembered(read: Callable[..., Name]) -> Callable[..., Name]:
    """Return a function that reads a name and remembers it if it is correct, and else raises InvalidFieldError."""

    @lru_cache(maxsize=_REMEMBERED_MAX)
    def read_right(*values: str) -> Name:
        fields = Fields()
        name = read(*values, fields)
        fields.check()
        return name

    return read_right


_right_stock_name: Final = _remembered(_stock_name)
_right_counter_name: Final = _remembered(_counter_name)
