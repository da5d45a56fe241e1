"""The commands `counter` and `stock`: their requests and their output."""

import json
from datetime import timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from tallykeeper.v1 import counter_pb2, inventory_pb2
from tallykeeper_client import Counter, ShortagePolicy, StockLevel
from tests.client.command_run import Case, check, check_json, run
from tests.client.scripted_server import ScriptedServer

TIME = Timestamp(seconds=1_780_000_000)
AT = "2026-05-28T20:26:40Z"
VISITORS = Counter(counter="visitors", value=7, max=9)
DUNE = StockLevel(item="dune", location="annex", on_hand=5, reserved=1, available=4)
COUNTER_LINE = ("counter   value  min  max  expires", "visitors      7         9")
STOCK_LINE = (
    "item  location  on_hand  reserved  available  safety_stock  backorder_limit  low_stock_threshold",
    "dune  annex           5         1          4             0                0                    0",
)
CASES = [
    Case(
        "counter get visitors",
        counter_pb2.BatchGetCountersRequest(namespace="default", counters=["visitors"]),
        counter_pb2.BatchGetCountersResponse(counters=[VISITORS]),
        COUNTER_LINE,
    ),
    Case(
        "counter list vis",
        counter_pb2.ListCountersRequest(namespace="default", prefix="vis", page_size=1000),
        counter_pb2.ListCountersResponse(counters=[VISITORS]),
        COUNTER_LINE,
    ),
    Case(
        "counter increment visitors --delta -2 --request-id mine --reason left --reference door-2",
        counter_pb2.IncrementRequest(
            counter="visitors", delta=-2, reason="left", reference="door-2", namespace="default", request_id="mine"
        ),
        counter_pb2.IncrementResponse(counter=VISITORS, revision=17),
        (*COUNTER_LINE, "revision 17"),
    ),
    Case(
        "counter increment visitors --create-ttl 1d --create-min 0 --create-max 5 --request-id mine",
        counter_pb2.IncrementRequest(
            counter="visitors",
            delta=1,
            create={"ttl": timedelta(days=1), "min": 0, "max": 5},
            namespace="default",
            request_id="mine",
        ),
        counter_pb2.IncrementResponse(counter=VISITORS, revision=17),
        (*COUNTER_LINE, "revision 17"),
    ),
    Case(
        "counter set visitors -5 --expected-value 3 --request-id mine",
        counter_pb2.SetCounterRequest(
            counter="visitors", value=-5, expected_value=3, namespace="default", request_id="mine"
        ),
        counter_pb2.SetCounterResponse(counter=VISITORS, revision=17, replayed=True),
        (*COUNTER_LINE, "revision 17, as in the first answer: nothing was changed now"),
    ),
    Case(
        "counter configure visitors --min 0 --ttl 1h30m --clear max --request-id mine",
        counter_pb2.ConfigureCounterRequest(
            counter="visitors",
            min=0,
            ttl=timedelta(minutes=90),
            update_mask={"paths": ["min", "max", "ttl"]},
            namespace="default",
            request_id="mine",
        ),
        counter_pb2.ConfigureCounterResponse(counter=VISITORS, revision=17),
        (*COUNTER_LINE, "revision 17"),
    ),
    Case(
        "counter delete visitors --request-id mine",
        counter_pb2.DeleteCounterRequest(counter="visitors", namespace="default", request_id="mine"),
        counter_pb2.DeleteCounterResponse(counter=VISITORS, revision=17),
        (*COUNTER_LINE, "revision 17"),
    ),
    Case(
        "stock get dune --location annex",
        inventory_pb2.BatchGetStockRequest(namespace="default", keys=[{"item": "dune", "location": "annex"}]),
        inventory_pb2.BatchGetStockResponse(stock_levels=[DUNE]),
        STOCK_LINE,
    ),
    Case(
        "stock item dune",
        inventory_pb2.GetItemRequest(namespace="default", item="dune"),
        inventory_pb2.GetItemResponse(stock_levels=[DUNE], total_on_hand=5, total_reserved=1, total_available=4),
        (*STOCK_LINE, "total: on_hand 5, reserved 1, available 4"),
    ),
    Case(
        "stock list du --location annex",
        inventory_pb2.ListStockRequest(namespace="default", item_prefix="du", location="annex", page_size=1000),
        inventory_pb2.ListStockResponse(stock_levels=[DUNE]),
        STOCK_LINE,
    ),
    Case(
        "stock list du",
        inventory_pb2.ListStockRequest(namespace="default", item_prefix="du", page_size=1000),
        inventory_pb2.ListStockResponse(
            stock_levels=[StockLevel(item="dune", location="main", damage="it is not UTF-8")]
        ),
        (STOCK_LINE[0], "dune  main      damaged"),
    ),
    Case(
        "counter list",
        counter_pb2.ListCountersRequest(namespace="default", page_size=1000),
        counter_pb2.ListCountersResponse(counters=[Counter(counter="visitors", damage="it is not UTF-8")]),
        ("counter     value  min  max  expires", "visitors  damaged"),
    ),
    Case(
        "stock list du --any-location",
        inventory_pb2.ListStockRequest(namespace="default", item_prefix="du", any_location=True, page_size=1000),
        inventory_pb2.ListStockResponse(stock_levels=[DUNE]),
        STOCK_LINE,
    ),
    Case(
        "stock check dune@annex=2 emma",
        inventory_pb2.CheckAvailabilityRequest(
            namespace="default",
            lines=[{"item": "dune", "location": "annex", "copies": 2}, {"item": "emma", "copies": 1}],
        ),
        inventory_pb2.CheckAvailabilityResponse(
            lines=[{"item": "dune", "location": "annex", "requested": 2, "available": 4, "sufficient": True}]
        ),
        (
            "item  location  requested  available  backorder_limit  sufficient",
            "dune  annex             2          4                0  yes",
        ),
        exit_code=1,
    ),
    Case(
        "stock check dune --any-location",
        inventory_pb2.CheckAvailabilityRequest(
            namespace="default", lines=[{"item": "dune", "copies": 1, "any_location": True}]
        ),
        inventory_pb2.CheckAvailabilityResponse(
            lines=[{"item": "dune", "requested": 1, "available": 4, "sufficient": True, "locations": [{}, {}]}],
            sufficient=True,
        ),
        (
            "item  location  requested  available  backorder_limit  sufficient",
            "dune  any of 2          1          4                0  yes",
        ),
    ),
    Case(
        "stock decrement dune --location annex --copies 3 --take-available --request-id mine",
        inventory_pb2.DecrementCopiesRequest(
            item="dune",
            location="annex",
            copies=3,
            shortage_policy=ShortagePolicy.SHORTAGE_POLICY_TAKE_AVAILABLE,
            namespace="default",
            request_id="mine",
        ),
        inventory_pb2.DecrementCopiesResponse(stock_level=DUNE, copies_taken=2, revision=17),
        (*STOCK_LINE, "revision 17", "2 of 3 copies taken"),
    ),
    Case(
        "stock increment dune --copies 3 --request-id mine",
        inventory_pb2.IncrementCopiesRequest(item="dune", copies=3, namespace="default", request_id="mine"),
        inventory_pb2.IncrementCopiesResponse(stock_level=DUNE, revision=17),
        (*STOCK_LINE, "revision 17"),
    ),
    Case(
        "stock set dune -3 --location annex --allow-below-reserved --request-id mine",
        inventory_pb2.SetStockRequest(
            item="dune",
            location="annex",
            on_hand=-3,
            allow_below_reserved=True,
            namespace="default",
            request_id="mine",
        ),
        inventory_pb2.SetStockResponse(
            stock_level={"item": "dune", "location": "annex", "on_hand": -3, "reserved": 1, "short_copies": 1},
            revision=17,
        ),
        (
            "item  location  on_hand  reserved  available  safety_stock  backorder_limit  low_stock_threshold",
            "dune  annex          -3         1          0             0                0                    0",
            "revision 17",
            "short_copies 1: nothing more can be reserved until these copies are covered",
        ),
    ),
    Case(
        "stock set dune 5 --expected-on-hand 0 --request-id mine",
        inventory_pb2.SetStockRequest(
            item="dune", on_hand=5, expected_on_hand=0, namespace="default", request_id="mine"
        ),
        inventory_pb2.SetStockResponse(stock_level=DUNE, revision=17),
        (*STOCK_LINE, "revision 17"),
    ),
    Case(
        "stock move dune --from annex --to shop --copies 2 --request-id mine",
        inventory_pb2.MoveCopiesRequest(
            item="dune", from_location="annex", to_location="shop", copies=2, namespace="default", request_id="mine"
        ),
        inventory_pb2.MoveCopiesResponse(from_stock_level=DUNE, to_stock_level=DUNE, revision=17),
        (*STOCK_LINE, STOCK_LINE[1], "revision 17"),
    ),
    Case(
        "stock configure dune --safety-stock 0 --backorder-limit 2 --request-id mine",
        inventory_pb2.ConfigureStockRequest(
            item="dune",
            safety_stock=0,
            backorder_limit=2,
            update_mask={"paths": ["safety_stock", "backorder_limit"]},
            namespace="default",
            request_id="mine",
        ),
        inventory_pb2.ConfigureStockResponse(stock_level=DUNE, revision=17),
        (*STOCK_LINE, "revision 17"),
    ),
    Case(
        "stock delete dune --location annex --request-id mine",
        inventory_pb2.DeleteStockRequest(item="dune", location="annex", namespace="default", request_id="mine"),
        inventory_pb2.DeleteStockResponse(stock_level=DUNE, revision=17),
        (*STOCK_LINE, "revision 17"),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_a_command_sends_its_request_and_shows_the_answer(
    capsys: pytest.CaptureFixture[str], scripted: ScriptedServer, *, case: Case
) -> None:
    await check(case, scripted, capsys)


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_each_command_answers_in_json_too(
    capsys: pytest.CaptureFixture[str], scripted: ScriptedServer, *, case: Case
) -> None:
    await check_json(case, scripted, capsys)


async def test_json_has_the_contracts_names_and_every_number(
    capsys: pytest.CaptureFixture[str], scripted: ScriptedServer
) -> None:
    scripted.will_answer(inventory_pb2.BatchGetStockResponse(stock_levels=[DUNE]))

    await run(scripted, "stock", "get", "dune", "--json")

    assert json.loads(capsys.readouterr().out) == {
        "item": "dune",
        "location": "annex",
        "on_hand": "5",
        "reserved": "1",
        "safety_stock": "0",
        "backorder_limit": "0",
        "low_stock_threshold": "0",
        "available": "4",
        "short_copies": "0",
    }


async def test_a_mutation_in_json_is_its_response(capsys: pytest.CaptureFixture[str], scripted: ScriptedServer) -> None:
    scripted.will_answer(counter_pb2.IncrementResponse(counter=VISITORS, revision=17, commit_time=TIME))

    await run(scripted, "counter", "increment", "visitors", "--json")

    printed = json.loads(capsys.readouterr().out)
    assert (printed["revision"], printed["commit_time"], printed["replayed"]) == ("17", AT, False)
    assert printed["counter"]["value"] == "7"


async def test_missing_names_are_reported_and_the_others_are_shown(
    capsys: pytest.CaptureFixture[str], scripted: ScriptedServer
) -> None:
    scripted.will_answer(
        counter_pb2.BatchGetCountersResponse(counters=[VISITORS], missing=["a", "b"]),
        inventory_pb2.BatchGetStockResponse(missing=[{"item": "emma", "location": "main"}]),
    )

    assert await run(scripted, "counter", "get", "visitors", "a", "b") == 1
    assert await run(scripted, "stock", "get", "emma") == 1

    captured = capsys.readouterr()
    assert captured.out.splitlines() == list(COUNTER_LINE)
    assert captured.err == "tallykeeper: no such counter: a, b\ntallykeeper: no such stock: emma@main\n"
