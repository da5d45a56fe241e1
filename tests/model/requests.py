"""Random valid requests: few names and few locations, so that they meet; numbers small, or at the edges."""

from typing import Any, Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from hypothesis import strategies as st

from tallykeeper.v1 import counter_pb2, inventory_pb2
from tests.model.refusal import MAX

COUNTERS: Final = ("visits", "visitors", "é:{a}")
ITEMS: Final = ("dune", "dune: {名}")
LOCATIONS: Final = ("main", "annex")

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
request_ids = st.sampled_from((*[""] * 6, "r1", "r2", "r3", "r4"))


def _message(message_type: type[Message], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Message]:
    """Messages of a mutation's type; a field that is drawn as None is absent."""
    common = {
        "request_id": request_ids,
        "reason": st.sampled_from(("", "", "sale")),
        "reference": st.sampled_from(("", "", "order 1")),
    }
    drawn = st.fixed_dictionaries(common | fields)
    return drawn.map(
        lambda values: message_type(**{name: value for name, value in values.items() if value is not None})
    )


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


def _in_order(message: Any) -> Any:  # noqa: ANN401  # either of the two messages that have a mask
    """Give the lesser bound and the greater one their places."""
    if isinstance(message, counter_pb2.ConfigureCounterRequest) and message.HasField("min") and message.HasField("max"):
        message.min, message.max = sorted((message.min, message.max))
    return message


def _names_any(message: Any, configurable: list[str]) -> bool:  # noqa: ANN401  # as above
    return bool(message.update_mask.paths) or any(message.HasField(name) for name in configurable)


counter_mutations: Final = st.one_of(
    _message(counter_pb2.IncrementRequest, counter=counter_names, delta=_maybe(integers)),
    _message(counter_pb2.SetCounterRequest, counter=counter_names, value=integers, expected_value=_maybe(integers)),
    _configuration(
        counter_pb2.ConfigureCounterRequest,
        {"min": integers, "max": integers, "expire_after": lives},
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
        on_hand=counts,
        expected_on_hand=_maybe(integers),
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
"""Small changes of one level and one counter: they bring about what changes at random seldom do."""
mutations: Final = counter_mutations | stock_mutations | trades

_stock_keys = st.builds(inventory_pb2.StockKey, item=items, location=locations)
reads: Final = st.one_of(
    st.builds(counter_pb2.GetCounterRequest, counter=counter_names),
    st.builds(counter_pb2.BatchGetCountersRequest, counters=st.lists(counter_names, min_size=1, max_size=4)),
    st.builds(inventory_pb2.GetStockRequest, item=items, location=locations),
    st.builds(inventory_pb2.BatchGetStockRequest, keys=st.lists(_stock_keys, min_size=1, max_size=4)),
    st.builds(inventory_pb2.GetItemRequest, item=items),
)
