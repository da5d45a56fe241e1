"""The commands `reservation`, `ledger`, `verify` and `namespace`: their requests and their output."""

import sys
from datetime import timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console

from tallykeeper.v1 import ledger_pb2, namespace_pb2, reservation_pb2
from tallykeeper_cli.commands import verify
from tallykeeper_client import OperationKind, Reservation, ReservationLine, ReservationState, StockLine
from tests.client.command_run import Case, check, check_json, run
from tests.client.scripted_server import ScriptedServer, Stream


def verified(result: ledger_pb2.VerifyResult) -> Stream:
    """Return the stream of a verification, which begins with its progress."""
    progress = ledger_pb2.VerifyProgress(revisions_replayed=1, revisions_total=17)
    return Stream(
        ledger_pb2.VerifyNamespaceResponse(progress=progress),
        ledger_pb2.VerifyNamespaceResponse(result=result),
        ends=True,
    )


TIME = Timestamp(seconds=1_780_000_000)
AT = "2026-05-28T20:26:40Z"
BASKET = Reservation(
    reservation_id="basket-1",
    state=ReservationState.RESERVATION_STATE_COMMITTED,
    holder="ann",
    lines=[
        ReservationLine(item="dune", location="main", copies=2, copies_committed=1),
        ReservationLine(item="emma", location="annex", copies=1),
    ],
    expire_time=TIME,
)
LINES = [StockLine(item="dune", location="annex", copies=2), StockLine(item="emma", copies=1)]
RESERVATION_LINE = (
    "reservation  state      holder  lines                                expires",
    f"basket-1     committed  ann     dune@main=2 (1 taken), emma@annex=1  {AT}",
)
REST = "and 0 reservations compared, 0 levels and counters no longer in the ledger"
CASES = [
    Case(
        "reservation reserve dune@annex=2 emma --id basket-1 --ttl 90s --holder ann --request-id mine",
        reservation_pb2.ReserveRequest(
            reservation_id="basket-1",
            lines=LINES,
            ttl=timedelta(seconds=90),
            holder="ann",
            namespace="default",
            request_id="mine",
        ),
        reservation_pb2.ReserveResponse(reservation=BASKET, revision=17),
        (*RESERVATION_LINE, "revision 17"),
    ),
    Case(
        "reservation commit basket-1 --request-id mine",
        reservation_pb2.CommitRequest(reservation_id="basket-1", namespace="default", request_id="mine"),
        reservation_pb2.CommitResponse(reservation=BASKET, revision=17),
        (*RESERVATION_LINE, "revision 17"),
    ),
    Case(
        "reservation commit basket-1 dune@annex=2 emma --request-id mine",
        reservation_pb2.CommitRequest(reservation_id="basket-1", lines=LINES, namespace="default", request_id="mine"),
        reservation_pb2.CommitResponse(reservation=BASKET, revision=17),
        (*RESERVATION_LINE, "revision 17"),
    ),
    Case(
        "reservation release basket-1 --request-id mine",
        reservation_pb2.ReleaseRequest(reservation_id="basket-1", namespace="default", request_id="mine"),
        reservation_pb2.ReleaseResponse(reservation=BASKET, revision=17),
        (*RESERVATION_LINE, "revision 17"),
    ),
    Case(
        "reservation extend basket-1 --ttl 500ms --request-id mine",
        reservation_pb2.ExtendRequest(
            reservation_id="basket-1", ttl=timedelta(milliseconds=500), namespace="default", request_id="mine"
        ),
        reservation_pb2.ExtendResponse(reservation=BASKET, revision=17),
        (*RESERVATION_LINE, "revision 17"),
    ),
    Case(
        "reservation get basket-1",
        reservation_pb2.GetReservationRequest(namespace="default", reservation_id="basket-1"),
        reservation_pb2.GetReservationResponse(reservation=BASKET),
        RESERVATION_LINE,
    ),
    Case(
        "reservation list --holder ann --item dune --state active",
        reservation_pb2.ListReservationsRequest(
            namespace="default",
            holder="ann",
            item="dune",
            state=ReservationState.RESERVATION_STATE_ACTIVE,
            page_size=1000,
        ),
        reservation_pb2.ListReservationsResponse(reservations=[BASKET]),
        RESERVATION_LINE,
    ),
    Case(
        "reservation list",
        reservation_pb2.ListReservationsRequest(namespace="default", page_size=1000),
        reservation_pb2.ListReservationsResponse(
            reservations=[Reservation(reservation_id="basket-1", damage="it is not UTF-8")]
        ),
        ("reservation  state    holder  lines  expires", "basket-1     damaged"),
    ),
    Case(
        "ledger list --newest-first",
        ledger_pb2.ListEntriesRequest(namespace="default", newest_first=True, page_size=1000),
        ledger_pb2.ListEntriesResponse(
            entries=[ledger_pb2.Entry(revision=9, damage="revisions 8 to 9 are missing", missing_from=8)]
        ),
        (
            "revision  time  operation  changes                       reason  reference  request_id",
            "       9        damaged    revisions 8 to 9 are missing",
        ),
    ),
    Case(
        "ledger list --item dune --operation commit --since 2026-05-28 --until 2026-05-28T20:26:40Z --limit 7",
        ledger_pb2.ListEntriesRequest(
            namespace="default",
            item="dune",
            operation=OperationKind.OPERATION_KIND_COMMIT,
            start_time=Timestamp(seconds=1_779_926_400),
            end_time=TIME,
            page_size=7,
        ),
        ledger_pb2.ListEntriesResponse(
            entries=[{"revision": 17, "commit_time": TIME, "operation": 8, "reason": "sale", "request_id": "mine"}]
        ),
        (
            "revision  time                  operation    changes  reason  reference  request_id",
            f"      17  {AT}  move_copies           sale               mine",
        ),
    ),
    Case(
        "ledger lookup mine",
        ledger_pb2.LookupRequestRequest(namespace="default", request_id="mine"),
        ledger_pb2.LookupRequestResponse(
            outcome="REQUEST_OUTCOME_APPLIED", applied_revision=17, commit_time=TIME, applied_count=1
        ),
        (
            "outcome  revision  time                  applied  refused  refusal_reason",
            f"applied        17  {AT}        1        0",
        ),
    ),
    Case(
        "ledger lookup mine",
        ledger_pb2.LookupRequestRequest(namespace="default", request_id="mine"),
        ledger_pb2.LookupRequestResponse(outcome="REQUEST_OUTCOME_UNKNOWN"),
        (
            "outcome  revision  time  applied  refused  refusal_reason",
            "unknown                        0        0",
        ),
        exit_code=1,
    ),
    Case(
        "verify",
        ledger_pb2.VerifyNamespaceRequest(namespace="default"),
        verified(ledger_pb2.VerifyResult(clean=True, from_revision=1, revision=17, levels_checked=3)),
        (f"differences: 0; revisions 1 to 17 replayed, 3 levels and counters {REST}",),
    ),
    Case(
        "verify",
        ledger_pb2.VerifyNamespaceRequest(namespace="default"),
        verified(
            ledger_pb2.VerifyResult(
                differences=[
                    {
                        "kind": "DIFFERENCE_KIND_STOCK",
                        "name": "dune",
                        "location": "main",
                        "revision": 9,
                        "expected": "5",
                    }
                ],
                difference_count=1,
                from_revision=1,
                revision=17,
            )
        ),
        (
            "kind   name  location  revision  expected  actual",
            "stock  dune  main             9  5",
            f"differences: 1; revisions 1 to 17 replayed, 0 levels and counters {REST}",
        ),
        exit_code=4,
    ),
    Case(
        "namespace list sh",
        namespace_pb2.ListNamespacesRequest(prefix="sh", page_size=1000),
        namespace_pb2.ListNamespacesResponse(
            namespaces=[
                {"namespace": "shoes", "revision": 7, "counter_count": 2},
                {"namespace": "shop", "revision": 17},
            ]
        ),
        (
            "namespace  revision  stock levels  counters  active reservations  damage",
            "shoes             7             0         2                    0",
            "shop             17             0         0                    0",
        ),
    ),
    Case(
        "namespace get --namespace shop",
        namespace_pb2.GetNamespaceRequest(namespace="shop"),
        namespace_pb2.GetNamespaceResponse(
            namespace={
                "namespace": "shop",
                "revision": 17,
                "oldest_revision": 1,
                "request_retention": timedelta(days=1),
                "durability": namespace_pb2.DURABILITY_REPLICATED,
            }
        ),
        (
            "namespace            shop",
            "revision             17",
            "oldest revision      1",
            "stock levels         0",
            "counters             0",
            "active reservations  0",
            "durability           replicated",
            "revisions kept       all",
            "request ids kept     1 day, 0:00:00",
            "reservations kept    0:00:00",
            "reservations live    0:00:00",
        ),
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


async def test_target_and_namespace_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, scripted: ScriptedServer
) -> None:
    monkeypatch.setenv("TALLYKEEPER_NAMESPACE", "shop")

    await run(scripted, "namespace", "get")

    assert namespace_pb2.GetNamespaceRequest.FromString(scripted.asked[0].body).namespace == "shop"


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [(("get",), "shop"), (("get", "imp"), "imp"), (("get", "imp", "--namespace", "imp"), "imp")],
    ids=" ".join,
)
async def test_a_namespace_is_named_by_its_argument_or_its_option(
    monkeypatch: pytest.MonkeyPatch, scripted: ScriptedServer, arguments: tuple[str, ...], asked: str
) -> None:
    monkeypatch.setenv("TALLYKEEPER_NAMESPACE", "shop")
    scripted.will_answer(namespace_pb2.GetNamespaceResponse(namespace={"namespace": asked}))

    assert await run(scripted, "namespace", *arguments) == 0

    assert namespace_pb2.GetNamespaceRequest.FromString(scripted.asked[0].body).namespace == asked


async def test_a_list_reads_all_pages_up_to_its_limit(
    capsys: pytest.CaptureFixture[str], scripted: ScriptedServer
) -> None:
    page = ledger_pb2.ListEntriesResponse(entries=[{"revision": 1}, {"revision": 2}], next_page_token="more")  # noqa: S106  # a page token is no password
    scripted.will_answer(page, page, page)

    await run(scripted, "ledger", "list", "--limit", "3")

    assert len(capsys.readouterr().out.splitlines()) == 1 + 3
    assert [ledger_pb2.ListEntriesRequest.FromString(asked.body).page_token for asked in scripted.asked] == ["", "more"]


async def test_a_verification_shows_a_bar_only_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], scripted: ScriptedServer
) -> None:
    scripted.will_answer(verified(ledger_pb2.VerifyResult(clean=True, revision=17)))
    monkeypatch.setattr(verify, "Console", lambda **_: Console(file=sys.stderr, force_terminal=True, width=80))

    assert await run(scripted, "verify") == 0

    captured = capsys.readouterr()
    assert "verifying" in captured.err
    assert "1/17" in captured.err
    assert captured.out.startswith("differences: 0;")


@pytest.mark.parametrize(
    ("progress", "steps"),
    [
        ({}, (0, None)),
        ({"revisions_replayed": 3, "revisions_total": 9}, (3, 9)),
        (
            {
                "revisions_replayed": 9,
                "revisions_total": 9,
                "reservations_checked": 2,
                "reservations_total": 2,
                "levels_checked": 1,
                "levels_total": 4,
            },
            (12, 15),
        ),
    ],
)
def test_the_steps_of_a_verification_are_the_sum_of_its_three_parts(
    progress: dict[str, int], steps: tuple[int, int | None]
) -> None:
    assert verify.steps_of(ledger_pb2.VerifyProgress(**progress)) == steps
