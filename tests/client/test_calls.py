"""The RPC and the request of each method of both clients."""

import inspect
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast, get_args

import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from tallykeeper.v1 import (
    batch_pb2,
    counter_pb2,
    inventory_pb2,
    ledger_pb2,
    namespace_pb2,
    reservation_pb2,
    server_pb2,
)
from tallykeeper_client import (
    UNCHANGED,
    AsyncClient,
    Client,
    OperationKind,
    ReservationState,
    ShortagePolicy,
    StockKey,
    StockLine,
)
from tallykeeper_client._calls import ledger, pages
from tallykeeper_client._calls.base import Call, Defaults
from tallykeeper_client._calls.batches import BatchMutations
from tallykeeper_client._calls.counters import CounterMutations, CounterReads
from tallykeeper_client._calls.inventory import InventoryMutations, InventoryReads
from tallykeeper_client._calls.ledger import LedgerReads
from tallykeeper_client._calls.namespaces import NamespaceReads
from tallykeeper_client._calls.reservations import ReservationMutations, ReservationReads
from tallykeeper_client._calls.server import ServerReads

DEFAULTS = Defaults(namespace="shop", timeout_seconds=3.0, new_request_id=lambda: "fresh")
RPCS = [
    method
    for file in (counter_pb2, inventory_pb2, reservation_pb2, batch_pb2, ledger_pb2, namespace_pb2, server_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
UNARY_RPCS = [rpc for rpc in RPCS if not rpc.server_streaming]
BUILDERS = (
    CounterMutations,
    CounterReads,
    InventoryMutations,
    InventoryReads,
    ReservationMutations,
    ReservationReads,
    BatchMutations,
    LedgerReads,
    NamespaceReads,
    ServerReads,
)


def _method_name(rpc: MethodDescriptor) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", rpc.name).lower()


def _builder(name: str) -> Callable[..., Call[Any]]:
    """Return the function that builds the call of a method. Those of streams are no `Rpc`."""
    found = [getattr(each, name).build for each in BUILDERS if hasattr(each, name)]
    (build,) = found or [getattr(ledger, name)]
    return cast("Callable[..., Call[Any]]", build)


@pytest.mark.parametrize("rpc", UNARY_RPCS, ids=lambda rpc: rpc.name)
@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_each_rpc_is_a_method_of_each_client_and_returns_its_response(
    client: type[Client | AsyncClient], rpc: MethodDescriptor
) -> None:
    method = getattr(client, _method_name(rpc))

    assert inspect.signature(method).return_annotation.DESCRIPTOR is rpc.output_type
    assert method.__doc__


@pytest.mark.parametrize("rpc", RPCS, ids=lambda rpc: rpc.name)
def test_each_call_names_its_rpc_and_carries_its_request(rpc: MethodDescriptor) -> None:
    build = _builder(_method_name(rpc))
    required = [
        each
        for each in list(inspect.signature(build).parameters.values())[1:]
        if each.default is each.empty and each.kind is each.POSITIONAL_OR_KEYWORD
    ]
    samples = {
        "value": 1,
        "on_hand": 1,
        "counters": ["a"],
        "keys": [StockKey(item="a")],
        "lines": [{"item": "a"}],
        "operations": [],
    }

    mode = {"atomic": True} if rpc.name == "Apply" else {}

    call = build(DEFAULTS, *(samples.get(each.name, "a") for each in required), **mode)

    assert call.path == f"/{rpc.containing_service.full_name}/{rpc.name}"
    assert cast("Message", call.request).DESCRIPTOR is rpc.input_type
    assert call.response.DESCRIPTOR is rpc.output_type
    assert call.request_id == ("fresh" if "reason" in rpc.input_type.fields_by_name else "")


@pytest.mark.parametrize("listing", [pages.COUNTERS, pages.STOCK, pages.RESERVATIONS, pages.ENTRIES, pages.NAMESPACES])
@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_each_list_has_a_method_for_all_its_pages(
    client: type[Client | AsyncClient], listing: pages.Listing[..., pages.Page, object]
) -> None:
    name = listing.build.__name__

    method = getattr(client, name.replace("list_", "iterate_"))

    assert get_args(inspect.signature(method).return_annotation) == (listing.kind,)
    assert f"`{name}`" in str(method.__doc__)


def test_a_call_takes_namespace_timeout_and_request_id_from_the_client() -> None:
    call = CounterMutations.increment.build(DEFAULTS, "visitors")

    assert call.request == counter_pb2.IncrementRequest(
        namespace="shop", request_id="fresh", counter="visitors", delta=1
    )
    assert call.timeout_seconds == 3.0


def test_the_options_of_a_mutation_override_those_of_the_client() -> None:
    call = CounterMutations.increment.build(
        DEFAULTS,
        "visitors",
        delta=-2,
        namespace="annex",
        request_id="mine",
        reason="left",
        reference="door-2",
        timeout_seconds=0.5,
    )

    assert call.request == counter_pb2.IncrementRequest(
        namespace="annex", request_id="mine", reason="left", reference="door-2", counter="visitors", delta=-2
    )
    assert call.timeout_seconds == 0.5
    assert call.request_id == "mine"


def test_the_options_of_a_read_override_those_of_the_client() -> None:
    call = CounterReads.get_counter.build(DEFAULTS, "visitors", namespace="annex", timeout_seconds=0.5)

    assert call.request == counter_pb2.GetCounterRequest(namespace="annex", counter="visitors")
    assert call.timeout_seconds == 0.5


def test_an_option_of_none_is_the_same_as_no_option() -> None:
    call = CounterMutations.increment.build(DEFAULTS, "visitors", namespace=None, request_id=None, timeout_seconds=None)

    assert call == CounterMutations.increment.build(DEFAULTS, "visitors")


def test_an_unknown_option_raises_type_error() -> None:
    with pytest.raises(TypeError, match="dleta"):
        CounterMutations.increment.build(DEFAULTS, "visitors", dleta=2)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda client: client.increment("c", delta=1.5), r"increment\('c', delta=1\.5\): 'float' object"),
        (lambda client: client.set_counter("c", 2**64), r"set_counter\('c', 18446744073709551616\): .* out of range"),
        (lambda client: client.increment("\ud800"), r"surrogates not allowed, in increment\('\\ud800'\)"),
        (lambda client: client.decrement_copies(5), r"decrement_copies\(5\): "),
        (lambda client: client.increment("c", requestid="mine"), r"increment\('c', requestid='mine'\): .*requestid"),
        (lambda client: client.get_counter("c", timeout_seconds=-1), r"timeout_seconds is -1; it must be"),
        (lambda client: client.increment("c", timeout_seconds=float("inf")), r"timeout_seconds is inf; it must be"),
    ],
)
def test_an_argument_that_does_not_fit_is_shown(call: Callable[[Client], object], message: str) -> None:
    with Client("127.0.0.1:1") as client, pytest.raises((TypeError, ValueError), match=message):
        call(client)


@pytest.mark.parametrize("timeout_seconds", [0, -1, float("nan"), float("inf")])
def test_a_client_refuses_a_timeout_that_is_no_time(timeout_seconds: float) -> None:
    with pytest.raises(ValueError, match=r"timeout_seconds is .*; it must be a number of seconds, more than 0"):
        Client("127.0.0.1:1", timeout_seconds=timeout_seconds)


def test_request_ids_are_fresh_for_each_mutation() -> None:
    defaults = Defaults(namespace="shop", timeout_seconds=3.0)

    made = {CounterMutations.increment.build(defaults, "visitors").request_id for _ in range(100)}

    assert len(made) == 100
    assert all(re.fullmatch("[0-9a-f]{32}", request_id) for request_id in made)


def test_set_counter_expects_a_value_only_where_one_is_given() -> None:
    unconditional = CounterMutations.set_counter.build(DEFAULTS, "c", 5).request
    conditional = CounterMutations.set_counter.build(DEFAULTS, "c", 5, expected_value=0).request

    assert isinstance(unconditional, counter_pb2.SetCounterRequest)
    assert not unconditional.HasField("expected_value")
    assert isinstance(conditional, counter_pb2.SetCounterRequest)
    assert conditional.HasField("expected_value")


def test_configure_counter_sets_clears_and_leaves_fields() -> None:
    call = CounterMutations.configure_counter.build(
        DEFAULTS, "c", min=None, max=UNCHANGED, ttl=timedelta(milliseconds=1500)
    )

    expected = counter_pb2.ConfigureCounterRequest(
        namespace="shop",
        request_id="fresh",
        counter="c",
        ttl=timedelta(milliseconds=1500),
        update_mask={"paths": ["min", "ttl"]},
    )
    assert call.request == expected


def test_configure_stock_sets_clears_and_leaves_fields() -> None:
    call = InventoryMutations.configure_stock.build(DEFAULTS, "dune", safety_stock=2, low_stock_threshold=None)

    expected = inventory_pb2.ConfigureStockRequest(
        namespace="shop",
        request_id="fresh",
        item="dune",
        safety_stock=2,
        update_mask={"paths": ["safety_stock", "low_stock_threshold"]},
    )
    assert call.request == expected


def test_decrement_copies_carries_every_argument() -> None:
    call = InventoryMutations.decrement_copies.build(
        DEFAULTS,
        "dune",
        location="annex",
        copies=3,
        shortage_policy=ShortagePolicy.SHORTAGE_POLICY_TAKE_AVAILABLE,
    )

    assert call.request == inventory_pb2.DecrementCopiesRequest(
        namespace="shop",
        request_id="fresh",
        item="dune",
        location="annex",
        copies=3,
        shortage_policy=ShortagePolicy.SHORTAGE_POLICY_TAKE_AVAILABLE,
    )


def test_move_copies_carries_every_argument() -> None:
    call = InventoryMutations.move_copies.build(DEFAULTS, "dune", from_location="annex", to_location="shop", copies=3)

    assert call.request == inventory_pb2.MoveCopiesRequest(
        namespace="shop", request_id="fresh", item="dune", from_location="annex", to_location="shop", copies=3
    )


def test_reserve_carries_every_argument() -> None:
    lines = [StockLine(item="dune", copies=2), StockLine(item="emma", location="annex")]

    call = ReservationMutations.reserve.build(
        DEFAULTS, lines, reservation_id="basket-1", ttl=timedelta(milliseconds=1500), holder="ann"
    )

    expected = reservation_pb2.ReserveRequest(
        namespace="shop",
        request_id="fresh",
        reservation_id="basket-1",
        lines=lines,
        ttl=timedelta(milliseconds=1500),
        holder="ann",
    )
    assert call.request == expected
    assert not ReservationMutations.reserve.build(DEFAULTS, lines).request.HasField("ttl")  # type: ignore[attr-defined]


def test_commit_takes_everything_or_the_copies_of_its_lines_but_refuses_no_lines() -> None:
    lines = [StockLine(item="dune")]

    everything = ReservationMutations.commit.build(DEFAULTS, "basket-1").request
    some = ReservationMutations.commit.build(DEFAULTS, "basket-1", lines=lines).request

    assert everything == reservation_pb2.CommitRequest(namespace="shop", request_id="fresh", reservation_id="basket-1")
    assert some == reservation_pb2.CommitRequest(
        namespace="shop", request_id="fresh", reservation_id="basket-1", lines=lines
    )
    with pytest.raises(ValueError, match="nothing to take"):
        ReservationMutations.commit.build(DEFAULTS, "basket-1", lines=[])


def test_list_reservations_carries_every_filter() -> None:
    state = ReservationState.RESERVATION_STATE_EXPIRED

    call = ReservationReads.list_reservations.build(DEFAULTS, holder="ann", item="dune", state=state, page_size=7)

    assert call.request == reservation_pb2.ListReservationsRequest(
        namespace="shop", holder="ann", item="dune", state=state, page_size=7
    )


def test_list_entries_carries_every_filter() -> None:
    filters = {
        "item": "dune",
        "counter": "visitors",
        "location": "annex",
        "reservation_id": "basket-1",
        "operation": OperationKind.OPERATION_KIND_COMMIT,
        "reference": "order-1",
        "request_id": "mine",
        "start_time": datetime(2026, 1, 1, tzinfo=UTC),
        "end_time": datetime(2026, 2, 1, tzinfo=UTC),
        "newest_first": True,
        "page_size": 7,
        "page_token": "there",
    }

    call = LedgerReads.list_entries.build(DEFAULTS, **filters)  # type: ignore[arg-type]

    assert call.request == ledger_pb2.ListEntriesRequest(namespace="shop", **filters)  # type: ignore[arg-type]
    assert call.request_id == ""


def test_watch_sends_after_revision_only_if_it_is_given() -> None:
    now = ledger.watch(DEFAULTS, items=["dune"], counters=["c"], reservation_ids=["r"], locations=["annex"])
    beginning = ledger.watch(DEFAULTS, after_revision=0)

    assert now.request == ledger_pb2.WatchRequest(
        namespace="shop", items=["dune"], counters=["c"], reservation_ids=["r"], locations=["annex"]
    )
    assert beginning.request == ledger_pb2.WatchRequest(namespace="shop", after_revision=0)


def test_a_verification_has_minutes_without_a_timeout() -> None:
    assert ledger.verify_namespace(DEFAULTS).timeout_seconds == 600.0
    assert ledger.verify_namespace(DEFAULTS, timeout_seconds=None).timeout_seconds == 600.0
    assert ledger.verify_namespace(DEFAULTS, timeout_seconds=5.0).timeout_seconds == 5.0


def test_arguments_that_cannot_be_sent_raise_before_sending() -> None:
    with pytest.raises(ValueError, match="out of range"):
        CounterMutations.increment.build(DEFAULTS, "visitors", delta=2**63)
    with pytest.raises(ValueError, match="surrogates"):
        CounterMutations.increment.build(DEFAULTS, "\ud800")
    with pytest.raises(TypeError):
        CounterMutations.increment.build(DEFAULTS, "visitors", delta="1")  # type: ignore[arg-type]
