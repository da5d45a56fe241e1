"""``tallykeeper health`` and ``tallykeeper status``: their answers, and exit codes that a probe can use."""

import asyncio
import json
from pathlib import Path

import grpc
import pytest
from google.protobuf.message import Message
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from tallykeeper.v1 import namespace_pb2
from tallykeeper_cli.main import main
from tallykeeper_client import Client, TallykeeperError
from tests.client.connecting import Connect
from tests.client.running import run
from tests.client.scripted_server import Refusal, ScriptedServer
from tests.support.server import ServerProcess, ThreadedServer

SERVING = HealthCheckResponse(status=HealthCheckResponse.SERVING)
NOT_SERVING = HealthCheckResponse(status=HealthCheckResponse.NOT_SERVING)


def namespace(name: str, **fields: object) -> namespace_pb2.Namespace:
    """Make a namespace at durability fsync that holds one level, one counter and one reservation."""
    values = {
        "revision": 7,
        "oldest_revision": 1,
        "stock_level_count": 1,
        "counter_count": 1,
        "active_reservation_count": 1,
        "ledger_revisions_max": 100,
        "durability": namespace_pb2.DURABILITY_FSYNC,
    }
    return namespace_pb2.Namespace(namespace=name, **(values | fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answer", "exit_code", "printed"),
    [
        (SERVING, 0, "serving"),
        (NOT_SERVING, 1, "not serving"),
        (HealthCheckResponse(), 1, "unknown"),
    ],
    ids=["serving", "not-serving", "unknown"],
)
async def test_health_prints_the_status_and_ends_with_its_code(
    capsys: pytest.CaptureFixture[str], scripted: ScriptedServer, *, answer: Message, exit_code: int, printed: str
) -> None:
    scripted.will_answer(answer)

    assert await run(scripted, "health", "--service", "tallykeeper.v1.CounterService") == exit_code

    assert capsys.readouterr().out == f"{printed}\n"
    (asked,) = scripted.asked
    assert asked.path == "/grpc.health.v1.Health/Check"
    assert HealthCheckRequest.FromString(asked.body).service == "tallykeeper.v1.CounterService"


async def test_health_answers_in_json(capsys: pytest.CaptureFixture[str], scripted: ScriptedServer) -> None:
    scripted.will_answer(NOT_SERVING)

    assert await run(scripted, "health", "--json") == 1

    assert json.loads(capsys.readouterr().out) == {"status": "NOT_SERVING"}


async def test_health_asks_once(capsys: pytest.CaptureFixture[str], scripted: ScriptedServer) -> None:
    scripted.will_answer(Refusal(grpc.StatusCode.UNAVAILABLE, "the server stops"))

    assert await run(scripted, "health") == 3

    assert len(scripted.asked) == 1
    assert capsys.readouterr().err.endswith("the server stops\n")


def test_health_ends_with_3_where_nobody_listens(capsys: pytest.CaptureFixture[str], nobody: str) -> None:
    assert main(["health", "--target", nobody]) == 3

    assert capsys.readouterr().err.startswith(f"tallykeeper: no Tallykeeper server answers at {nobody}: ")


async def test_health_ends_with_3_if_no_answer_comes_in_time(scripted: ScriptedServer) -> None:
    scripted.will_answer(None)

    assert await run(scripted, "health", "--timeout", "0.2") == 3


def test_health_of_a_server_and_of_a_service_that_it_lacks(
    capsys: pytest.CaptureFixture[str], server: ThreadedServer
) -> None:
    assert main(["health", "--target", server.target]) == 0
    assert main(["health", "--target", server.target, "--service", "shop.v1.Orders"]) == 1

    captured = capsys.readouterr()
    assert captured.out == "serving\n"
    assert captured.err.endswith(" failed with NOT_FOUND: the server has no service 'shop.v1.Orders'\n")


async def test_both_clients_check_the_health(connect: Connect, server: ThreadedServer) -> None:
    client = await connect(server.target)

    assert await client.check_health() == SERVING
    with pytest.raises(TallykeeperError, match=r"no service 'shop\.v1\.Orders'"):
        await client.check_health("shop.v1.Orders")


async def test_status_adds_up_the_namespaces(capsys: pytest.CaptureFixture[str], scripted: ScriptedServer) -> None:
    listed = [
        namespace("cache", durability=namespace_pb2.DURABILITY_MEMORY),
        namespace("shop", revision=99, oldest_revision=10, stock_level_count=5),
        namespace("whole", revision=10**6, oldest_revision=1, ledger_revisions_max=0),
    ]
    scripted.will_answer(SERVING, namespace_pb2.ListNamespacesResponse(namespaces=listed))

    assert await run(scripted, "status") == 0

    assert capsys.readouterr().out.splitlines() == [
        f"target               {scripted.target}",
        "health               serving",
        "namespaces           3",
        "durability           fsync: 2, memory: 1",
        "stock levels         7",
        "counters             3",
        "active reservations  3",
        "damaged namespaces   none",
        "ledgers nearly full  shop",
    ]


async def test_status_names_damage_and_fails(capsys: pytest.CaptureFixture[str], scripted: ScriptedServer) -> None:
    damaged = namespace_pb2.Namespace(
        namespace="shop", damage="written into", durability=namespace_pb2.DURABILITY_FSYNC, ledger_revisions_max=1
    )
    scripted.will_answer(SERVING, namespace_pb2.ListNamespacesResponse(namespaces=[damaged, namespace("web")]))

    assert await run(scripted, "status", "--json") == 1

    assert json.loads(capsys.readouterr().out) == {
        "target": scripted.target,
        "health": "serving",
        "namespaces": 2,
        "durability": {"fsync": 2},
        "stock_levels": 1,
        "counters": 1,
        "active_reservations": 1,
        "damaged_namespaces": ["shop"],
        "ledgers_nearly_full": [],
    }


async def test_status_asks_for_no_namespace_while_the_server_does_not_serve(
    capsys: pytest.CaptureFixture[str], scripted: ScriptedServer
) -> None:
    scripted.will_answer(NOT_SERVING)

    assert await run(scripted, "status") == 1

    assert "health               not serving" in capsys.readouterr().out.splitlines()
    assert [asked.path for asked in scripted.asked] == ["/grpc.health.v1.Health/Check"]


async def test_status_of_a_server_with_data(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with ServerProcess(cwd=tmp_path) as server:
        with Client(server.target, namespace="shop") as client:
            client.set_stock("dune", 3)
            client.increment("visitors")
        assert await asyncio.to_thread(main, ["status", "--target", server.target, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)

    assert (found["namespaces"], found["stock_levels"], found["counters"]) == (1, 1, 1)
    assert found["durability"] == {"fsync": 1}


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """The folder of an authority with certificates for localhost and for a client."""
    folder = tmp_path / "certificates"
    assert main(["certificates", str(folder), "--host", "localhost", "--client", "probe"]) == 0
    return folder


def test_health_asks_over_mutual_tls_without_a_token(
    capsys: pytest.CaptureFixture[str], certificates: Path, tmp_path: Path
) -> None:
    access_file = tmp_path / "access.toml"
    access_file.touch(mode=0o600)
    secured = {
        "--tls-certificate": certificates / "server.pem",
        "--tls-key": certificates / "server.key",
        "--tls-client-ca": certificates / "ca.pem",
        "--access-file": access_file,
    }
    probe = [f"--certificate={certificates / 'probe.pem'}", f"--key={certificates / 'probe.key'}"]
    with ServerProcess(*(str(each) for pair in secured.items() for each in pair), cwd=tmp_path) as server:
        target = f"localhost:{server.target.rpartition(':')[2]}"
        asked = ["health", "--target", target, f"--ca={certificates / 'ca.pem'}"]
        capsys.readouterr()

        assert main([*asked, *probe]) == 0
        assert capsys.readouterr().out == "serving\n"
        assert main(asked) == 3
