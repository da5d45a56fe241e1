"""Numbers, times and lengths of time, as the pages write them."""

from datetime import UTC, datetime
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

MINUS: Final = "\N{MINUS SIGN}"
NONE: Final = "\N{EN DASH}"
"""The text that is shown if a value is not set."""

_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def number(value: int) -> str:
    """Write an integer with a comma between groups of three digits."""
    return f"{value:,}".replace("-", MINUS)


def optional(value: int, *, present: bool) -> str:
    """Write an integer, or a dash if it is not set."""
    return number(value) if present else NONE


def signed(change: int) -> str:
    """Write a change with its sign, as in ``+3``; nothing if it is 0."""
    return f"{change:+,}".replace("-", MINUS) if change else ""


def trend(change: int) -> str:
    """Write a change with an arrow and its sign, so that its direction needs no color; nothing if it is 0."""
    if not change:
        return ""
    return f"{'▲' if change > 0 else '▼'} {signed(change)}"


def length(seconds: float) -> str:
    """Write a length of time in its two largest units, as in ``4 min 10 s``. Less than a second is ``0 s``."""
    left = max(int(seconds), 0)
    for index, (unit, name) in enumerate(_UNITS):
        if left >= unit:
            text = f"{left // unit} {name}"
            rest = left % unit
            if index + 1 < len(_UNITS) and rest >= _UNITS[index + 1][0]:
                text += f" {rest // _UNITS[index + 1][0]} {_UNITS[index + 1][1]}"
            return text
    return "0 s"


def duration(value: Duration) -> str:
    """Write a duration of the contract."""
    return length(value.seconds)


def milliseconds(seconds: float) -> str:
    """Write a short time in milliseconds with one decimal, as in ``1.4 ms``."""
    return f"{seconds * 1_000:,.1f} ms"


def moment(time: Timestamp) -> str:
    """Write a time in UTC to the second; a dash if it is absent."""
    return f"{datetime.fromtimestamp(time.seconds, UTC):%Y-%m-%d %H:%M:%S}" if time.seconds else NONE


def clock(time: float) -> str:
    """Write the time of day in UTC of some seconds since 1970."""
    return f"{datetime.fromtimestamp(time, UTC):%H:%M:%S}"


def seconds_of(time: Timestamp) -> float:
    """Return a time in seconds since 1970."""
    return time.seconds + time.nanos / 1_000_000_000
