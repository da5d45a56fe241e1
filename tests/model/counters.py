"""A counter, and the rules of its requests. A rule returns the new counter, None if it is gone, or a refusal."""

from dataclasses import dataclass, replace

from tallykeeper.v1 import counter_pb2
from tests.model.refusal import MAX, Refusal, refusal


@dataclass(frozen=True, slots=True)
class Counter:
    """A value, its bounds, and its expiry."""

    value: int = 0
    min: int | None = None
    max: int | None = None
    expire_at_ms: int | None = None

    @property
    def text(self) -> str:
        """The counter in the form in which it is stored."""
        extras = (self.min, self.max, self.expire_at_ms)
        shown = (self.value,) if extras == (None, None, None) else (self.value, *extras)
        return " ".join("-" if each is None else str(each) for each in shown)

    def admits(self, value: int) -> bool:
        """Return True if a value is within the bounds."""
        return (self.min is None or value >= self.min) and (self.max is None or value <= self.max)

    def message(self, name: str) -> counter_pb2.Counter:
        """Return the counter in the form of replies."""
        shown = counter_pb2.Counter(counter=name, value=self.value, min=self.min, max=self.max)
        if self.expire_at_ms is not None:
            shown.expire_time.FromMilliseconds(self.expire_at_ms)
        return shown


ZERO = Counter()


def increment(before: Counter | None, request: counter_pb2.IncrementRequest, now_ms: int) -> Counter | Refusal:
    """Add to a counter, or to a new one as configured. The range of numbers is checked before the bounds."""
    counter = before or _new(request, now_ms)
    value = counter.value + request.delta
    if abs(value) > MAX:
        return refusal("VALUE_OVERFLOW", value=counter.value, delta=request.delta)
    if not counter.admits(value):
        return refusal(
            "COUNTER_BOUND_EXCEEDED", value=counter.value, delta=request.delta, min=counter.min, max=counter.max
        )
    return replace(counter, value=value)


def _new(request: counter_pb2.IncrementRequest, now_ms: int) -> Counter:
    create = request.create
    return Counter(
        min=create.min if create.HasField("min") else None,
        max=create.max if create.HasField("max") else None,
        expire_at_ms=now_ms + create.ttl.ToMilliseconds() if create.HasField("ttl") else None,
    )


def set_counter(before: Counter | None, request: counter_pb2.SetCounterRequest, _: int) -> Counter | Refusal:
    """Set a counter. The expected value is checked before the bounds."""
    counter = before or ZERO
    if request.HasField("expected_value") and request.expected_value != counter.value:
        return refusal("VALUE_CHANGED", actual=counter.value, expected=request.expected_value)
    if not counter.admits(request.value):
        return refusal("COUNTER_BOUND_EXCEEDED", value=request.value, min=counter.min, max=counter.max)
    return replace(counter, value=request.value)


def configure_counter(
    before: Counter | None, request: counter_pb2.ConfigureCounterRequest, now_ms: int
) -> Counter | Refusal:
    """Set the fields that the mask names, and clear those of them that are absent."""
    counter = before or ZERO
    for field in request.update_mask.paths:
        present = request.HasField(field)
        match field:
            case "min":
                counter = replace(counter, min=request.min if present else None)
            case "max":
                counter = replace(counter, max=request.max if present else None)
            case "ttl":
                expire_at_ms = now_ms + request.ttl.ToMilliseconds() if present else None
                counter = replace(counter, expire_at_ms=expire_at_ms)
    if not counter.admits(counter.value):
        return refusal("COUNTER_BOUND_EXCEEDED", value=counter.value, min=counter.min, max=counter.max)
    return counter


def delete_counter(before: Counter | None, _: counter_pb2.DeleteCounterRequest, __: int) -> Refusal | None:
    """Delete a counter."""
    return None if before else refusal("COUNTER_NOT_FOUND")
