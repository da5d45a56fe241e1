"""The changes that the console can make when it was started with ``--allow-changes``.

Each form keeps its request id while the outcome is unknown and its values stay the same, so that a repeated click
counts once. The page makes no `Actions` in a console that only reads, so no form of it can change anything.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, TypeAlias

import grpc

from tallykeeper_client import AsyncClient, MutationOptions, TallykeeperError, fresh_request_id

Values: TypeAlias = Mapping[str, str]
"""The texts of a form's fields, by their names."""

REASON: Final = "console"
"""The reason of a change that names no other, for the ledger."""

NUMBER_MAX: Final = 2**53 - 1
_INDEFINITE: Final = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.UNKNOWN,
    }
)
"""The codes after which a change may have been made."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a form: its name, its label, and the text that it begins with."""

    name: str
    label: str
    start: str = ""


@dataclass(frozen=True, slots=True)
class Action:
    """A change that a form offers: the button's text, the fields, and the call. The call returns its revision."""

    label: str
    fields: tuple[Field, ...]
    call: Callable[[Values, MutationOptions], Awaitable[int]]


@dataclass(slots=True)
class Attempt:
    """One filled form, with the request id of its values."""

    _values: Values = field(default_factory=dict)
    _request_id: str = ""

    def request_id(self, values: Values) -> str:
        """Return the id of these values: the same one while they stay the same."""
        if not self._request_id or values != self._values:
            self._values, self._request_id = dict(values), fresh_request_id()
        return self._request_id

    def finish(self) -> None:
        """Note that the outcome is known: the same values are then another change."""
        self._request_id = ""


def integer(values: Values, name: str, *, minimum: int = -NUMBER_MAX) -> int:
    """Return the number in a field. Raises ValueError, which names the field and the value, if there is none."""
    text = values[name].strip()
    try:
        number = int(text)
    except ValueError:
        number = NUMBER_MAX + 1
    if not minimum <= number <= NUMBER_MAX:
        message = f"{name} = {text or 'nothing'} is not an integer from {minimum} to {NUMBER_MAX}"
        raise ValueError(message)
    return number


class Actions:
    """The changes of one namespace."""

    def __init__(self, client: AsyncClient, namespace: str) -> None:
        self._client = client
        self._namespace = namespace

    async def run(self, action: Action, values: Values, attempt: Attempt) -> int:
        """Make a change and return its revision. Raises ValueError for a bad field, and TallykeeperError."""
        options = MutationOptions(
            namespace=self._namespace,
            request_id=attempt.request_id(values),
            reason=values.get("reason", "").strip() or REASON,
            reference=values.get("reference", "").strip(),
        )
        try:
            revision = await action.call(values, options)
        except TallykeeperError as error:
            if error.code not in _INDEFINITE:
                attempt.finish()
            raise
        attempt.finish()
        return revision

    def of_stock(self, item: str, location: str) -> tuple[Action, ...]:
        """Return the changes of a stock level."""

        async def add(values: Values, options: MutationOptions) -> int:
            copies = integer(values, "copies", minimum=1)
            return (await self._client.increment_copies(item, location=location, copies=copies, **options)).revision

        async def take(values: Values, options: MutationOptions) -> int:
            copies = integer(values, "copies", minimum=1)
            return (await self._client.decrement_copies(item, location=location, copies=copies, **options)).revision

        async def count(values: Values, options: MutationOptions) -> int:
            on_hand = integer(values, "on hand")
            return (await self._client.set_stock(item, on_hand, location=location, **options)).revision

        return (
            Action("Add copies", (Field("copies", "Copies", "1"),), add),
            Action("Take copies", (Field("copies", "Copies", "1"),), take),
            Action("Set on hand", (Field("on hand", "On hand"),), count),
        )

    def of_counter(self, counter: str) -> tuple[Action, ...]:
        """Return the changes of a counter."""

        async def increment(values: Values, options: MutationOptions) -> int:
            return (await self._client.increment(counter, delta=integer(values, "change"), **options)).revision

        async def set_value(values: Values, options: MutationOptions) -> int:
            return (await self._client.set_counter(counter, integer(values, "value"), **options)).revision

        return (
            Action("Add", (Field("change", "Change", "1"),), increment),
            Action("Set value", (Field("value", "Value"),), set_value),
        )

    def of_reservation(self, reservation_id: str) -> tuple[Action, ...]:
        """Return the changes of an open reservation."""

        async def commit(_: Values, options: MutationOptions) -> int:
            return (await self._client.commit(reservation_id, **options)).revision

        async def release(_: Values, options: MutationOptions) -> int:
            return (await self._client.release(reservation_id, **options)).revision

        async def extend(values: Values, options: MutationOptions) -> int:
            ttl = timedelta(minutes=integer(values, "minutes", minimum=1))
            return (await self._client.extend(reservation_id, ttl=ttl, **options)).revision

        return (
            Action("Commit", (), commit),
            Action("Release", (), release),
            Action("Extend", (Field("minutes", "Minutes from now", "15"),), extend),
        )
