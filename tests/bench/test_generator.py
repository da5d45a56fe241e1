"""The load generator counts answers, refusals and their delays, sends metadata, and speaks TLS."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bench.generator import ITEM, REQUEST_ID, Generator, Load, Request
from tallykeeper_server.cli.certificate_authority import make_certificates
from tallykeeper_server.transport.call import Call
from tallykeeper_server.transport.limits import TransportLimits
from tallykeeper_server.transport.methods import direct
from tallykeeper_server.transport.server import TransportServer
from tallykeeper_server.transport.status import Code, StatusError
from tallykeeper_server.transport.tls import ServerTls
from tests.support.grpc_aio_server import aio_servers

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="the generator needs a C compiler"
)

_PATH = "/test.Bench/Call"
_RUNS_MAX = 50
_REQUEST = Request(_PATH, f"{REQUEST_ID} {ITEM}".encode())


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Generator:
    return Generator(tmp_path_factory.mktemp("generator"))


@asynccontextmanager
async def _served(
    handle: Callable[[bytes, Call], None], *, tls: ServerTls | None = None, limits: TransportLimits | None = None
) -> AsyncIterator[int]:
    server = TransportServer([direct(_PATH, handle)], limits=limits)
    try:
        yield int((await server.listen("127.0.0.1:0", tls=tls)).rpartition(":")[2])
    finally:
        await server.stop(0.0)


async def _run(generator: Generator, port: int, request: Request = _REQUEST, **options: Any) -> Load:  # noqa: ANN401
    """Run loads until a call has ended. On a busy machine that may take more than one load."""
    settings = {"in_flight": 8, "warm_up": 0.0, "seconds": 0.2} | options
    for _ in range(_RUNS_MAX):
        load = await asyncio.to_thread(generator.run, port, request, **settings)
        if load.succeeded.calls or load.refused.calls:
            return load
    message = f"no call has ended in {_RUNS_MAX} runs"
    raise AssertionError(message)


async def test_each_call_has_its_own_id_an_item_in_turn_and_the_fields(generator: Generator) -> None:
    payloads, calls = [], []

    def handle(payload: bytes, call: Call) -> None:
        payloads.append(payload.decode())
        calls.append(call)
        call.reply(payload)

    async with _served(handle) as port:
        request = Request(_REQUEST.path, _REQUEST.message, ("grpc-timeout:7S", "x-shop:a"))
        load = await _run(generator, port, request, connections=1)
    assert load.succeeded.calls
    assert load.all_succeeded <= len(payloads)
    assert not load.refused.calls
    ids, items = zip(*(payload.split() for payload in payloads), strict=True)
    assert len(set(ids)) == len(ids)
    assert list(items[:3]) == ["item-0000", "item-0001", "item-0002"]
    # The second call of a connection sends the indexes of the fields in the table.
    for call in (calls[0], calls[-1]):
        assert ("x-shop", "a") in call.metadata
        remaining = call.time_remaining()
        assert remaining is not None
        assert remaining <= 7.0


@pytest.mark.parametrize("has_delay", [True, False])
async def test_refusals_with_a_delay_are_counted(generator: Generator, *, has_delay: bool) -> None:
    trailers = (("grpc-retry-pushback-ms", "200"),) if has_delay else (("x-retry-pushback-ms", "200"),)
    refusal = StatusError(Code.RESOURCE_EXHAUSTED, "no room", trailers)
    async with _served(lambda _, call: call.fail(refusal)) as port:
        load = await _run(generator, port)
    assert load.refused.calls
    assert load.delayed == (load.refused.calls if has_delay else 0)
    assert not load.all_succeeded


async def test_no_more_calls_are_in_flight_than_the_server_allows(generator: Generator) -> None:
    under_way: list[Call] = []
    most = 0

    def handle(payload: bytes, call: Call) -> None:
        nonlocal most
        under_way.append(call)
        most = max(most, len(under_way))
        if len(under_way) == 3:
            for each in under_way:
                each.reply(payload)
            under_way.clear()

    limits = TransportLimits(streams_per_connection_max=3)
    async with _served(handle, limits=limits) as port:
        load = await _run(generator, port, in_flight=3, connections=1)
        with_rate = await _run(generator, port, in_flight=100, connections=1, rate=1e6)
    assert load.succeeded.calls
    assert with_rate.succeeded.calls
    assert most == 3


async def test_a_setting_of_grpc_is_not_mistaken_for_a_limit(generator: Generator) -> None:
    """The setting 0xFE03 of gRPC ends in the byte that identifies the limit of streams."""
    under_way: list[Call] = []

    def handle(payload: bytes, call: Call) -> None:
        under_way[:] = [each for each in under_way if not each.done]
        under_way.append(call)
        if len(under_way) == 3:
            for each in under_way:
                each.reply(payload)
            under_way.clear()

    (server,) = aio_servers([direct(_PATH, handle)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        load = await _run(generator, port, in_flight=3, connections=1)
    finally:
        await server.stop(0.0)
    assert load.succeeded.calls


async def test_a_rate_begins_calls_although_none_is_answered(generator: Generator) -> None:
    calls: list[Call] = []
    async with _served(lambda _, call: calls.append(call)) as port:
        for _ in range(_RUNS_MAX):
            options: dict[str, Any] = {
                "in_flight": 2_000,
                "connections": 2,
                "warm_up": 0.0,
                "seconds": 0.2,
                "rate": 100.0,
            }
            load = await asyncio.to_thread(generator.run, port, _REQUEST, **options)
            assert not load.all_succeeded
            if calls:
                break
    assert 0 < len(calls) < 1_000, "without the rate, all 2,000 would have begun"


async def test_tls_works(generator: Generator, tmp_path: Path) -> None:
    make_certificates(tmp_path, hosts=["127.0.0.1"], clients=[], days=1)
    tls = ServerTls(tmp_path / "server.pem", tmp_path / "server.key")
    async with _served(lambda payload, call: call.reply(payload * 100), tls=tls) as port:
        load = await _run(generator, port, tls=True)
    assert load.succeeded.calls
    assert not load.refused.calls


async def test_a_missing_server_is_an_error(generator: Generator) -> None:
    async with _served(lambda payload, call: call.reply(payload)) as port:
        pass
    with pytest.raises(RuntimeError, match="cannot connect"):
        await _run(generator, port)
