"""The mutations of counters on the wire."""

from typing import Final, Protocol, cast

from tallykeeper.v1 import counter_pb2
from tallykeeper_server.domain import limits
from tallykeeper_server.domain.levels import Counter
from tallykeeper_server.domain.mutations import Applied
from tallykeeper_server.rpc.messages import fill_counter
from tallykeeper_server.rpc.mutations import Body, Change, Origin
from tallykeeper_server.rpc.validation import Fields, counter_name

_CONFIGURABLE: Final = ("min", "max", "ttl")
_LEAVE: Final = "="
_CLEAR: Final = "-"


def _read_increment(request: counter_pb2.IncrementRequest, fields: Fields, _: Origin) -> Body:
    name = counter_name(request, fields)
    delta = fields.integer("delta", request.delta) if request.HasField("delta") else 1
    if not request.HasField("create"):  # as nearly always
        return (name,), (delta,)
    new = _read_new(request.create, fields.within("create."))
    return (name,), ((delta, *new) if any(value != _CLEAR for value in new) else (delta,))


def _read_new(new: counter_pb2.NewCounter, fields: Fields) -> tuple[int | str, int | str, int | str]:
    least = fields.integer("min", new.min) if new.HasField("min") else _CLEAR
    most = fields.integer("max", new.max) if new.HasField("max") else _CLEAR
    ttl_ms = fields.duration_ms("ttl", new.ttl, limits.COUNTER_TTL_MS_MAX) if new.HasField("ttl") else _CLEAR
    if new.HasField("min") and new.HasField("max") and new.min > new.max:
        fields.refuse("max", f"{new.max} is below min, {new.min}")
    return least, most, ttl_ms


def _read_set(request: counter_pb2.SetCounterRequest, fields: Fields, _: Origin) -> Body:
    name = counter_name(request, fields)
    value = fields.integer("value", request.value)
    if not value:
        fields.given("value", request)
    expected: int | str = _CLEAR
    if request.HasField("expected_value"):
        expected = fields.integer("expected_value", request.expected_value)
    return (name,), (value, expected)


def _read_configure(request: counter_pb2.ConfigureCounterRequest, fields: Fields, _: Origin) -> Body:
    name = counter_name(request, fields)
    present: dict[str, int] = {}
    if request.HasField("min"):
        present["min"] = fields.integer("min", request.min)
    if request.HasField("max"):
        present["max"] = fields.integer("max", request.max)
    if request.HasField("ttl"):
        present["ttl"] = fields.duration_ms("ttl", request.ttl, limits.COUNTER_TTL_MS_MAX)
    if "min" in present and "max" in present and present["min"] > present["max"]:
        fields.refuse("max", f"{request.max} is below min, {request.min}")
    named = fields.update_mask(request, request.update_mask, _CONFIGURABLE)
    arguments = (present.get(field, _CLEAR) if field in named else _LEAVE for field in _CONFIGURABLE)
    return (name,), tuple(arguments)


def _read_delete(request: counter_pb2.DeleteCounterRequest, fields: Fields, _: Origin) -> Body:
    return (counter_name(request, fields),), ()


class _HasCounter(Protocol):
    @property
    def counter(self) -> counter_pb2.Counter: ...


def _fill(response: _HasCounter, applied: Applied) -> None:
    fill_counter(response.counter, cast("Counter", applied.levels[0]))


INCREMENT: Final = Change("counter_increment", _read_increment, counter_pb2.IncrementResponse, _fill)
SET_COUNTER: Final = Change("counter_set", _read_set, counter_pb2.SetCounterResponse, _fill)
CONFIGURE_COUNTER: Final = Change("counter_configure", _read_configure, counter_pb2.ConfigureCounterResponse, _fill)
DELETE_COUNTER: Final = Change("counter_delete", _read_delete, counter_pb2.DeleteCounterResponse, _fill)
