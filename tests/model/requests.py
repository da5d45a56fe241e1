"""Random valid mutations. Names and locations are few, so that mutations meet. Numbers are small or extreme."""

from typing import Any, Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from hypothesis import strategies as st

from tallykeeper.v1 import batch_pb2, counter_pb2, inventory_pb2, reservation_pb2
from tests.model.refusal import MAX

COUNTERS: Final = ("visits", "visitors", "é:{a}")
ITEMS: Final = ("dune", "dune: {名}")
LOCATIONS: Final = ("main", "annex")
RESERVATIONS: Final = ("a", "b", "c", "d", "e", "f", "é:{g}")
HOLDERS: Final = ("", "kim", "é {h}")
REQUEST_IDS: Final = ("r1", "r2", "r3", "r4")
REFERENCES: Final = ("", "", "order 1")

counter_names = st.sampled_from(COUNTERS)
items = st.sampled_from(ITEMS)
locations = st.sampled_from(("", *LOCATIONS))
small_integers = st.integers(-6, 6)
small_counts = st.integers(0, 6)
integers = small_integers | small_integers | st.sampled_from((MAX, MAX - 1, -MAX, 1 - MAX, 2**52))
few = st.integers(0, 2)
few_copies = st.integers(1, 3)
a_little = st.integers(-1, 2)
small_copies = st.integers(1, 6)
copies = small_copies | small_copies | st.sampled_from((MAX, MAX - 1, 2**52))
counts = small_counts | small_counts | st.sampled_from((MAX, MAX - 1))
lives = st.sampled_from((Duration(seconds=3_600), Duration(seconds=86_400, nanos=500_000_000)))
ttls = st.sampled_from(
    (None, Duration(seconds=600), Duration(seconds=3_600, nanos=7_000_000), Duration(seconds=86_400))
)
request_ids = st.sampled_from((*[""] * 12, *REQUEST_IDS))


def _message(message_type: type[Message], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Message]:
    """Return a strategy for messages of a mutation's type. A field that is drawn as None is absent.

    The strategy shows itself as ``IncrementRequest()``, without its fields, because Hypothesis warns of a strategy that
    shows itself with more than 30,000 characters, and batches contain all other mutations.
    """
    common = {
        "request_id": request_ids,
        "reason": st.sampled_from(("", "", "sale")),
        "reference": st.sampled_from(REFERENCES),
    }
    drawn = st.fixed_dictionaries(common | fields)

    def message(draw: st.DrawFn) -> Message:
        return message_type(**{name: value for name, value in draw(drawn).items() if value is not None})

    message.__name__ = message_type.__name__
    return st.composite(message)()


def _maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.none() | values


def _configuration(
    message_type: type[Message], configurable: dict[str, st.SearchStrategy[Any]], **names: st.SearchStrategy[str]
) -> st.SearchStrategy[Message]:
    masks = st.lists(st.sampled_from(sorted(configurable)), unique=True) | st.just(["*"])
    maybe = {name: _maybe(values) for name, values in configurable.items()}
    mask = masks.map(lambda paths: FieldMask(paths=paths))
    drawn = _message(message_type, **names, **maybe, update_mask=mask)
    return drawn.map(_in_order).filter(lambda message: _names_any(message, sorted(configurable)))


def _in_order(message: Any) -> Any:  # noqa: ANN401  # any message that may have bounds
    """Exchange the bounds if the lower bound is above the upper bound."""
    if (
        isinstance(message, counter_pb2.ConfigureCounterRequest | counter_pb2.NewCounter)
        and message.HasField("min")
        and message.HasField("max")
    ):
        message.min, message.max = sorted((message.min, message.max))
    return message


def _names_any(message: Any, configurable: list[str]) -> bool:  # noqa: ANN401  # a request of any RPC
    return bool(message.update_mask.paths) or any(message.HasField(name) for name in configurable)


new_counters: Final = st.builds(
    counter_pb2.NewCounter, ttl=st.none() | lives, min=_maybe(integers), max=_maybe(integers)
).map(_in_order)
counter_mutations: Final = st.one_of(
    _message(counter_pb2.IncrementRequest, counter=counter_names, delta=_maybe(integers), create=_maybe(new_counters)),
    _message(counter_pb2.SetCounterRequest, counter=counter_names, value=integers, expected_value=_maybe(integers)),
    _configuration(
        counter_pb2.ConfigureCounterRequest,
        {"min": integers, "max": integers, "ttl": lives},
        counter=counter_names,
    ),
    _message(counter_pb2.DeleteCounterRequest, counter=counter_names),
)
stock_mutations: Final = st.one_of(
    _message(
        inventory_pb2.DecrementCopiesRequest,
        item=items,
        location=locations,
        copies=_maybe(copies),
        shortage_policy=st.sampled_from((0, 1, 2)),
    ),
    _message(inventory_pb2.IncrementCopiesRequest, item=items, location=locations, copies=_maybe(copies)),
    _message(
        inventory_pb2.SetStockRequest,
        item=items,
        location=locations,
        on_hand=counts | counts | integers,
        expected_on_hand=_maybe(integers),
        allow_below_reserved=st.booleans(),
    ),
    _configuration(
        inventory_pb2.ConfigureStockRequest,
        {"safety_stock": counts, "backorder_limit": counts, "low_stock_threshold": counts},
        item=items,
        location=locations,
    ),
    _message(inventory_pb2.DeleteStockRequest, item=items, location=locations),
)
trades: Final = st.one_of(
    _message(
        inventory_pb2.DecrementCopiesRequest,
        item=st.just("dune"),
        copies=few_copies,
        shortage_policy=st.sampled_from((0, 1, 2)),
    ),
    _message(inventory_pb2.IncrementCopiesRequest, item=st.just("dune"), copies=few_copies),
    _message(inventory_pb2.SetStockRequest, item=st.just("dune"), on_hand=few),
    _message(inventory_pb2.ConfigureStockRequest, item=st.just("dune"), backorder_limit=few),
    _message(inventory_pb2.ConfigureStockRequest, item=st.just("dune"), safety_stock=few),
    _message(inventory_pb2.DeleteStockRequest, item=st.just("dune")),
    _message(counter_pb2.IncrementRequest, counter=st.just("visits"), delta=a_little),
    _message(counter_pb2.SetCounterRequest, counter=st.just("visits"), value=a_little | st.just(MAX)),
    _message(counter_pb2.ConfigureCounterRequest, counter=st.just("visits"), max=a_little),
)
"""Small changes of one level and one counter. They lead to states that random changes seldom reach."""
_moves: Final = st.tuples(st.sampled_from(LOCATIONS), st.booleans()).flatmap(
    lambda drawn: _message(
        inventory_pb2.MoveCopiesRequest,
        item=items,
        from_location=st.just(drawn[0]),
        to_location=st.just("main" if drawn[0] == "annex" else "annex"),
        copies=_maybe(few_copies if drawn[1] else copies),
    )
)
lines: Final = st.lists(
    st.builds(reservation_pb2.StockLine, item=items, location=locations, copies=st.none() | few_copies | few_copies),
    min_size=1,
    max_size=4,
)
big_line: Final = st.builds(
    reservation_pb2.StockLine, item=items, location=locations, copies=st.sampled_from((MAX, MAX - 1, 2**52))
).map(lambda line: [line])
"""A single line, because the sum of two could leave the range of numbers."""
reserves: Final = _message(
    reservation_pb2.ReserveRequest,
    reservation_id=st.sampled_from((*[""] * 7, *RESERVATIONS)),
    lines=lines | lines | lines | big_line,
    ttl=ttls,
    holder=st.sampled_from(HOLDERS),
)
_ids = st.sampled_from(RESERVATIONS)
resolutions: Final = st.one_of(
    _message(reservation_pb2.CommitRequest, reservation_id=_ids),
    _message(reservation_pb2.CommitRequest, reservation_id=_ids, lines=lines),
    _message(reservation_pb2.ReleaseRequest, reservation_id=_ids),
    _message(reservation_pb2.ExtendRequest, reservation_id=_ids, ttl=ttls),
)
_of_dune = st.lists(
    st.builds(reservation_pb2.StockLine, item=st.just("dune"), copies=few_copies), min_size=1, max_size=1
)
held_trades: Final = st.one_of(
    _message(inventory_pb2.IncrementCopiesRequest, item=st.just("dune"), copies=small_copies),
    _message(reservation_pb2.ReserveRequest, reservation_id=_ids, lines=_of_dune),
    _message(reservation_pb2.ReserveRequest, lines=_of_dune, ttl=ttls),
    _message(reservation_pb2.CommitRequest, reservation_id=_ids),
    _message(reservation_pb2.CommitRequest, reservation_id=_ids, lines=_of_dune),
    _message(reservation_pb2.ReleaseRequest, reservation_id=_ids),
    _message(reservation_pb2.ExtendRequest, reservation_id=_ids, ttl=ttls),
    _message(inventory_pb2.DecrementCopiesRequest, item=st.just("dune"), copies=few_copies),
    _message(inventory_pb2.MoveCopiesRequest, item=st.just("dune"), to_location=st.just("annex"), copies=few_copies),
    _message(
        inventory_pb2.SetStockRequest, item=st.just("dune"), on_hand=few | a_little, allow_below_reserved=st.booleans()
    ),
    _message(inventory_pb2.ConfigureStockRequest, item=st.just("dune"), low_stock_threshold=few),
)
"""Small changes of one level and few reservations."""
single_mutations: Final = st.one_of(
    counter_mutations, stock_mutations, trades, _moves, reserves, resolutions, held_trades, held_trades
)

_OPERATION_NAMES: Final = {
    field.message_type.full_name: field.name
    for field in batch_pb2.Operation.DESCRIPTOR.fields
    if field.message_type is not None
}


def operation(request: Any) -> batch_pb2.Operation:  # noqa: ANN401  # any mutation
    """Return a mutation as an operation of a batch."""
    inner = type(request).FromString(request.SerializeToString())
    inner.ClearField("namespace")
    inner.ClearField("request_id")
    named: dict[str, Any] = {_OPERATION_NAMES[request.DESCRIPTOR.full_name]: inner}
    return batch_pb2.Operation(**named)


batches: Final = _message(
    batch_pb2.ApplyRequest,
    operations=st.lists(single_mutations.map(operation), min_size=1, max_size=5)
    | st.lists(held_trades.map(operation), min_size=1, max_size=8),
    mode=st.sampled_from((batch_pb2.BATCH_MODE_ATOMIC, batch_pb2.BATCH_MODE_INDEPENDENT)),
)
moves: Final = _moves
mutations: Final = single_mutations | batches
