"""The body of a mutation, with its defaults written out. Equal bodies are equal messages."""

from typing import Any, Final, cast

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from tallykeeper.v1 import batch_pb2
from tallykeeper.v1.inventory_pb2 import ShortagePolicy
from tallykeeper.v1.reservation_pb2 import StockLine
from tests.model.holds import summed

CLEARED: Final = ("min", "max", "ttl")
"""The fields that are cleared if the mask names them and the request does not have them."""
ZEROED: Final = ("safety_stock", "backorder_limit", "low_stock_threshold")
"""The fields that are set to 0 if the mask names them and the request does not have them."""
LOCATIONS: Final = ("location", "from_location", "to_location")
TTL: Final = Duration(seconds=15 * 60)


def body_of(request: Message) -> Message:
    """Return a request without the fields outside its body, and with all its defaults."""
    body = type(request)()
    body.CopyFrom(request)
    body.ClearField("namespace")
    body.ClearField("request_id")
    if isinstance(body, batch_pb2.ApplyRequest):
        for operation in body.operations:
            inner = operation_of(operation)
            inner.CopyFrom(body_of(inner))
        return body
    _spell_out(body)
    return body


def operation_of(operation: batch_pb2.Operation) -> Any:  # noqa: ANN401  # the request of any mutation
    """Return the request of a batch's operation."""
    return getattr(operation, operation.WhichOneof("operation") or "")


_FROM: Final = "from_location"


def names_of(body: Message) -> dict[str, str]:
    """Return the fields that an error has about the level that a request names."""
    names = {name: str(getattr(body, name)) for name in ("counter", "item", "location") if hasattr(body, name)}
    return names | ({"location": str(getattr(body, _FROM))} if hasattr(body, _FROM) else {})


def _spell_out(body: Any) -> None:  # noqa: ANN401  # any mutation
    fields = body.DESCRIPTOR.fields_by_name
    for name in LOCATIONS:
        if name in fields:
            setattr(body, name, getattr(body, name) or "main")
    for amount in ("delta", "copies"):
        if amount in fields and not body.HasField(amount):
            setattr(body, amount, 1)
    if "create" in fields and not body.create.ByteSize():
        body.ClearField("create")
    if "shortage_policy" in fields:
        body.shortage_policy = body.shortage_policy or ShortagePolicy.SHORTAGE_POLICY_REJECT
    if "update_mask" in fields:
        _spell_out_mask(body)
    elif "ttl" in fields and not body.HasField("ttl"):
        body.ttl.CopyFrom(TTL)
    if "lines" in fields:
        _spell_out_lines(body)


def _spell_out_lines(body: Any) -> None:  # noqa: ANN401  # either of the two messages that have lines
    for line in body.lines:
        _spell_out(line)
    lines = [
        StockLine(item=key.item, location=key.location, copies=copies) for key, copies in summed(body.lines).items()
    ]
    body.ClearField("lines")
    body.lines.extend(lines)


def _spell_out_mask(body: Any) -> None:  # noqa: ANN401  # either of the two messages that have a mask
    configurable = [name for name in cast("Message", body).DESCRIPTOR.fields_by_name if name in (*CLEARED, *ZEROED)]
    named = [
        name
        for name in configurable
        if name in body.update_mask.paths
        or list(body.update_mask.paths) == ["*"]
        or (not body.update_mask.paths and body.HasField(name))
    ]
    for name in configurable:
        if name not in named:
            body.ClearField(name)
        elif name in ZEROED:
            setattr(body, name, getattr(body, name))
    body.update_mask.paths[:] = named
