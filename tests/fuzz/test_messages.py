"""Many messages at once. None may break the server, and a refused message may write nothing.

TALLYKEEPER_TEST_MESSAGES=1000000 makes a long run, with ``-o faulthandler_timeout=0``. TALLYKEEPER_TEST_SEED draws
other messages, or the messages of a failure again.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from typing import Final

import pytest
import redis
from grpc import StatusCode

from tests.fuzz.messages import Drawer
from tests.fuzz.traffic import Ended, send_all
from tests.fuzz.written import Written
from tests.support.client import REQUEST_TYPES, Caller
from tests.support.server import ServerProcess

MESSAGES: Final = int(os.environ.get("TALLYKEEPER_TEST_MESSAGES", "10000"))
SEED: Final = int(os.environ.get("TALLYKEEPER_TEST_SEED", "1"))
MESSAGES_OF_A_ROUND: Final = 5_000
NAMESPACES_OF_A_ROUND: Final = 4
PAGE_TOKENS_KEPT: Final = 50

ALLOWED: Final = {
    StatusCode.OK,
    StatusCode.INVALID_ARGUMENT,
    StatusCode.NOT_FOUND,
    StatusCode.ALREADY_EXISTS,
    StatusCode.FAILED_PRECONDITION,
    StatusCode.OUT_OF_RANGE,
    StatusCode.ABORTED,
    StatusCode.RESOURCE_EXHAUSTED,
}


@pytest.fixture
def server(own_store: str) -> Iterator[ServerProcess]:
    """A server for this test alone, because only this test may write."""
    with ServerProcess("--store", own_store) as process:
        yield process


def problem_of(ended: Ended) -> str | None:
    """Return the fault in the end of a call, or None."""
    if ended.code not in ALLOWED:
        return "no message may cause such a code"
    if ended.code is not StatusCode.OK and not ended.reason:
        return "the error has no reason"
    if ended.code is StatusCode.OK and ended.response is None:
        return "there is no response"
    return None


def test_no_message_breaks_the_server_and_no_refused_one_writes(server: ServerProcess, own_store: str) -> None:
    codes: Counter[tuple[str, str]] = Counter()
    with redis.Redis.from_url(own_store) as store:
        written = Written(store)
        for number in range(-(-MESSAGES // MESSAGES_OF_A_ROUND)):
            play_round(server, written, codes, number)
            assert server.process.poll() is None, server.lines
            assert server.events("defect") == []
    unmet = {
        (request_type.__name__, code)
        for request_type in REQUEST_TYPES
        for code in ("OK", "INVALID_ARGUMENT")
        if not codes[request_type.__name__, code]
    }
    assert unmet == set(), "the drawn messages are too often valid or too often invalid"


def play_round(server: ServerProcess, written: Written, codes: Counter[tuple[str, str]], number: int) -> None:
    """Send the messages of one round to new namespaces, and check the data in the store."""
    namespaces = [f"round-{number}-{letter}" for letter in "abcd"[:NAMESPACES_OF_A_ROUND]]
    drawer = Drawer(SEED * 1_000_003 + number, namespaces)
    problems: list[str] = []

    def note(ended: Ended) -> None:
        codes[ended.drawn.request_type.__name__, ended.code.name] += 1
        problem = problem_of(ended)
        if problem:
            problems.append(f"{problem}: {ended}")
        written.note(ended)
        token = getattr(ended.response, "next_page_token", "")
        if token:
            drawer.values.page_tokens = [*drawer.values.page_tokens[-PAGE_TOKENS_KEPT:], token]

    asyncio.run(send_all(server.target, drawer.preparation(), note))
    asyncio.run(send_all(server.target, (drawer.draw() for _ in range(MESSAGES_OF_A_ROUND)), note))

    assert problems[:5] == [], f"TALLYKEEPER_TEST_SEED={SEED}, round {number}"
    written.check()
    call = Caller(server.target)
    for namespace in (*namespaces, "default"):
        verified = call.verify(namespace)
        assert verified.clean, verified.differences
    call.close()
    written.clear()
