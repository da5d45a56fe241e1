"""The end of commands that fail: one line on stderr, and an exit code."""

import re

import grpc
import pytest

from tallykeeper.v1.inventory_pb2 import Shortage
from tallykeeper_cli.main import main
from tests.client.command_run import run
from tests.client.scripted_server import Refusal, ScriptedServer
from tests.client.trailers import NEVER_AGAIN, SHORT, shortages, trailers

Code = grpc.StatusCode
ANOTHER = Shortage(item="emma", location="annex", requested=9, available=-1)


@pytest.mark.parametrize(
    ("refusal", "exit_code", "line"),
    [
        (
            Refusal(Code.FAILED_PRECONDITION, "in words", trailers("INSUFFICIENT_STOCK", None, shortages(SHORT))),
            1,
            "in words [INSUFFICIENT_STOCK]",
        ),
        (Refusal(Code.INVALID_ARGUMENT, "in words", trailers("INVALID_FIELD")), 2, "in words [INVALID_FIELD]"),
        (
            Refusal(Code.UNAVAILABLE, "in words", (*trailers("OUTCOME_UNKNOWN"), NEVER_AGAIN)),
            3,
            "in words [OUTCOME_UNKNOWN]; to try again without counting twice, add --request-id mine",
        ),
        (
            Refusal(Code.RESOURCE_EXHAUSTED, "in words", (*trailers("OVERLOADED"), NEVER_AGAIN)),
            3,
            "in words [OVERLOADED]; to try again without counting twice, add --request-id mine",
        ),
        (
            Refusal(
                Code.RESOURCE_EXHAUSTED,
                "in words",
                (*trailers("REQUEST_TOO_LARGE", {"size": "7", "limit": "5"}), NEVER_AGAIN),
            ),
            2,
            "in words [REQUEST_TOO_LARGE]",
        ),
        (
            Refusal(Code.INTERNAL, "in words", trailers("INTERNAL")),
            3,
            "in words; to try again without counting twice, add --request-id mine",
        ),
    ],
    ids=["refused", "invalid", "unknown", "overloaded", "large", "internal"],
)
async def test_an_error_is_one_line_and_its_exit_code(
    capsys: pytest.CaptureFixture[str], scripted: ScriptedServer, *, refusal: Refusal, exit_code: int, line: str
) -> None:
    scripted.will_answer(refusal)

    assert await run(scripted, "stock", "decrement", "dune", "--request-id", "mine") == exit_code

    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"tallykeeper: {line}\n"


@pytest.mark.parametrize(("count", "listed_count", "rest"), [(2, 2, "0 left)"), (30, 20, " and 10 more")])
async def test_every_short_line_is_named(
    capsys: pytest.CaptureFixture[str], scripted: ScriptedServer, *, count: int, listed_count: int, rest: str
) -> None:
    detail = shortages(SHORT, ANOTHER, *[SHORT] * (listed_count - 2), count=count)
    scripted.will_answer(Refusal(Code.FAILED_PRECONDITION, "in words", trailers("INSUFFICIENT_STOCK", None, detail)))

    assert await run(scripted, "reservation", "reserve", "dune=3", "emma@annex=9") == 1

    line = capsys.readouterr().err
    assert "all short lines: dune@main (3 requested, 2 left), emma@annex (9 requested, 0 left)" in line
    assert line.endswith(f"{rest}\n")


async def test_a_read_that_fails_names_no_request_id(capsys: pytest.CaptureFixture[str], nobody: str) -> None:
    assert await run(nobody, "stock", "get", "dune", "--timeout", "0.2") == 3

    line = capsys.readouterr().err
    assert nobody in line
    assert "request-id" not in line


async def test_a_fresh_request_id_is_printed_when_it_is_needed(capsys: pytest.CaptureFixture[str], nobody: str) -> None:
    assert await run(nobody, "stock", "increment", "dune", "--timeout", "0.2") == 3

    assert re.search(r"add --request-id [0-9a-f]{32}$", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("stock decrement dune --copies 0", "0 is not in the range"),
        ("stock set dune 9007199254740992", "9007199254740992 is not in the range"),
        ("stock configure dune", "name one of safety_stock, backorder_limit, low_stock_threshold"),
        ("counter configure c", "name one of min, max, ttl"),
        ("counter configure c --min 1 --clear min", "min is both set and cleared"),
        ("counter configure c --ttl 5", "'5' is not a length of time"),
        ("counter increment c --expire", "no such option '--expire'"),
        ("reservation reserve =3", "'=3' names no item"),
        ("reservation reserve dune=0", "'0' in 'dune=0' is not a number of copies, 1 to 2^53-1"),
        ("stock check dune=", "'' in 'dune=' is not a number of copies"),
        ("stock check dune=2x", "if = belongs to the item, write dune=2x=1"),
        ("stock check dune@bad:place=1", "'bad:place' in 'dune@bad:place=1' is not a location"),
        ("reservation list --state gone", "'gone' is not one of"),
        ("ledger list --since yesterday", "'yesterday' is not a time"),
        ("stock get dune --timeout 0", "0.0 is not in the range"),
        ("namespace get imp --namespace shop", "'imp' and --namespace 'shop' are two namespaces; give only one"),
        ("namespace get imp --namespace default --json", "'imp' and --namespace 'default' are two"),
        ("watch --levels --after-revision 3", "--levels and --after-revision exclude each other"),
    ],
)
def test_wrong_usage_is_one_line_and_sends_nothing(
    capsys: pytest.CaptureFixture[str], nobody: str, *, arguments: str, words: str
) -> None:
    assert main([*arguments.split(), "--target", nobody]) == 2

    captured = capsys.readouterr()
    assert captured.out == ""
    assert words in captured.err
    assert captured.err.count("\n") == 1


def test_text_that_is_not_unicode_is_wrong_usage(capsys: pytest.CaptureFixture[str], nobody: str) -> None:
    assert main(["counter", "get", "\udcff", "--target", nobody]) == 2

    assert "is not Unicode text" in capsys.readouterr().err


@pytest.mark.parametrize("noun", ["", "counter", "stock", "reservation", "ledger", "namespace", "watch", "verify"])
def test_help_lists_the_exit_codes(capsys: pytest.CaptureFixture[str], noun: str) -> None:
    assert main([*noun.split(), "--help"]) == 0

    assert "3    no answer" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("counter increment", "    tallykeeper counter increment logins:2026-05-01 --create-ttl 1d --create-max 5"),
        ("completion", "  fish:  tallykeeper completion fish | source       in ~/.config/fish/config.fish"),
    ],
)
def test_help_keeps_the_lines_of_an_example(capsys: pytest.CaptureFixture[str], command: str, line: str) -> None:
    assert main([*command.split(), "--help"]) == 0

    out = capsys.readouterr().out
    assert line in out.splitlines()
    assert "\\b" not in out
