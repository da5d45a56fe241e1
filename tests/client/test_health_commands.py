"""``tallykeeper health`` and ``tallykeeper status``: their answers, and exit codes that a probe can use."""

import asyncio
import json
from pathlib import Path

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from tallykeeper.v1 import namespace_pb2, server_pb2
from tallykeeper_cli.main import main
from tallykeeper_client import Client, TallykeeperError
from tests.client.command_run import run
from tests.client.connection import Connect
from tests.client.scripted_server import Refusal, ScriptedServer
from tests.client.trailers import trailers
from tests.support.server import ServerProcess, ThreadedServer

SERVING = HealthCheckResponse(status=HealthCheckResponse.SERVING)
NOT_SERVING = HealthCheckResponse(status=HealthCheckResponse.NOT_SERVING)
NO_NAMESPACES = namespace_pb2.ListNamespacesResponse()
DENIED = Refusal(
    grpc.StatusCode.PERMISSION_DENIED,
    "reader lacks the role read in namespace *",
    trailers("PERMISSION_DENIED", {"identity": "reader", "role": "read", "namespace": "*"}),
)
EMBEDDED = server_pb2.STORE_KIND_EMBEDDED
KEPT = server_pb2.Promise(durability=namespace_pb2.DURABILITY_FSYNC, is_default=True, kept=True)
BROKEN = server_pb2.Promise(
    durability=namespace_pb2.DURABILITY_REPLICATED, namespaces=["orders"], reasons=["the store has 0 replicas"]
)


def server_status(*promises: server_pb2.Promise, **store: object) -> server_pb2.GetServerStatusResponse:
    """Make the state of a server with one worker, which has run for a day and an hour."""
    return server_pb2.GetServerStatusResponse(
        server=server_pb2.ServerStatus(
            version="1.2.3",
            uptime=Duration(seconds=90_000),
            worker_count=2,
            worker=1,
            worker_uptime=Duration(seconds=61),
        ),
        store=server_pb2.StoreStatus(kind=EMBEDDED, location="/data", **store),  # type: ignore[arg-type]  # by name
        promises=promises,
    )


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
    scripted.will_answer(SERVING, server_status(KEPT), namespace_pb2.ListNamespacesResponse(namespaces=listed))

    assert await run(scripted, "status") == 0

    assert capsys.readouterr().out.splitlines() == [
        f"target               {scripted.target}",
        "health               serving",
        "version              1.2.3",
        "uptime               1 d 1 h",
        "workers              2; number 1 answers, up 1 min 1 s",
        "store                embedded, /data",
        "promise              fsync (by default): kept",
        "limits near          none",
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
    listed = namespace_pb2.ListNamespacesResponse(namespaces=[damaged, namespace("web")])
    scripted.will_answer(SERVING, server_status(BROKEN), listed)

    assert await run(scripted, "status", "--json") == 1

    found = json.loads(capsys.readouterr().out)
    assert found.pop("server")["promises"][0]["durability"] == "DURABILITY_REPLICATED"
    assert found == {
        "target": scripted.target,
        "health": "serving",
        "namespaces": 2,
        "durability": {"fsync": 2},
        "stock_levels": 1,
        "counters": 1,
        "active_reservations": 1,
        "damaged_namespaces": ["shop"],
        "ledgers_nearly_full": [],
        "promises_kept": False,
        "limits_near": [],
    }


async def test_status_ends_with_6_if_a_promise_is_not_kept(
    capsys: pytest.CaptureFixture[str], scripted: ScriptedServer
) -> None:
    scripted.will_answer(SERVING, server_status(KEPT, BROKEN), NO_NAMESPACES)

    assert await run(scripted, "status") == 6

    promises = [line for line in capsys.readouterr().out.splitlines() if line.startswith("promise ")]
    assert promises == [
        "promise              fsync (by default): kept",
        "promise              replicated (orders): NOT KEPT: the store has 0 replicas",
    ]


@pytest.mark.parametrize("options", [(), ("--json",)])
async def test_status_shows_what_the_server_says_of_its_store_before_the_error_of_the_namespaces(
    options: tuple[str, ...], capsys: pytest.CaptureFixture[str], scripted: ScriptedServer
) -> None:
    late = Refusal(grpc.StatusCode.DEADLINE_EXCEEDED, "the store was too slow", ())
    scripted.will_answer(SERVING, server_status(BROKEN, fault="no answer in 5 s"), late)

    assert await run(scripted, "status", *options) == 3
    shown = capsys.readouterr()
    assert ("AWAY: no answer in 5 s" in shown.out) == (not options)
    assert "namespaces" not in shown.out
    assert "did not answer before the deadline" in shown.err


async def test_status_shows_nodes_replicas_the_certificate_and_what_is_near(
    capsys: pytest.CaptureFixture[str], scripted: ScriptedServer
) -> None:
    replica = server_pb2.Replica(address="10.0.0.2:6379", online=True, lag=Duration(seconds=3), lag_bytes=2_048)
    file = server_pb2.AppendOnlyFile(
        enabled=True, sync_policy="always", last_write_succeeded=False, last_rewrite_succeeded=True, size_bytes=5 << 30
    )
    nodes = [
        server_pb2.StoreNode(
            address="a:1",
            software="Valkey 9.1.2",
            memory_bytes=9 << 20,
            memory_bytes_max=10 << 20,
            append_only_file=file,
            replicas=[replica],
        ),
        server_pb2.StoreNode(address="b:1", fault="it cannot be reached"),
    ]
    status = server_status(KEPT, nodes=nodes, request_id_count=1_234_567)
    status.limits.add(name="connections", used=1, limit=100)
    status.limits.add(name="certificate", unit="seconds", used=83 * 86_400, limit=90 * 86_400, near=True)
    status.limits.add(name="store memory of a:1", unit="bytes", used=95 << 20, limit=100 << 20, near=True)
    status.server.certificate_expire_time.CopyFrom(Timestamp(seconds=1_000_000_000))
    scripted.will_answer(SERVING, status, NO_NAMESPACES)

    assert await run(scripted, "status") == 0

    assert [line.partition("  ")[2].strip() for line in capsys.readouterr().out.splitlines()][5:13] == [
        "embedded, /data, Valkey 9.1.2",
        "a:1: 9.0 MiB of 10.0 MiB",
        "a:1: sync always, 5.0 GiB, THE LAST WRITE FAILED",
        "a:1: 10.0.0.2:6379, online, 3 s and 2.0 KiB behind",
        "b:1: AWAY: it cannot be reached",
        "1,234,567",
        "fsync (by default): kept",
        "EXPIRED on 2001-09-09",
    ]


async def test_status_names_the_nearest_limit_first(
    capsys: pytest.CaptureFixture[str], scripted: ScriptedServer
) -> None:
    status = server_status(KEPT)
    status.limits.add(name="connections", used=1, limit=100)
    status.limits.add(name="watches", used=1_600, limit=2_000, near=True)
    status.limits.add(name="store memory", unit="bytes", used=95 << 20, limit=100 << 20, near=True)
    for _ in range(2):
        scripted.will_answer(SERVING, status, NO_NAMESPACES)

    assert await run(scripted, "status") == 0
    line = "limits near          store memory 95 % (95.0 MiB of 100.0 MiB); watches 80 % (1,600 of 2,000)"
    assert line in capsys.readouterr().out.splitlines()
    assert await run(scripted, "status", "--json") == 0
    assert json.loads(capsys.readouterr().out)["limits_near"] == [
        {"name": "store memory", "used": 95 << 20, "limit": 100 << 20, "fraction": 0.95},
        {"name": "watches", "used": 1_600, "limit": 2_000, "fraction": 0.8},
    ]


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (
            Refusal(grpc.StatusCode.UNIMPLEMENTED, "no such method"),
            "this server is older than this program, and does not know the call",
        ),
        (DENIED, "in words"),
    ],
    ids=["older-server", "no-role"],
)
async def test_status_shows_the_namespaces_also_if_the_server_says_nothing_of_itself(
    capsys: pytest.CaptureFixture[str], scripted: ScriptedServer, *, refusal: Refusal, words: str
) -> None:
    listed = namespace_pb2.ListNamespacesResponse(namespaces=[namespace("shop")])
    for _ in range(2):
        scripted.will_answer(SERVING, refusal, listed)

    assert await run(scripted, "status") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2:4] == [f"server               not shown: {words}", "namespaces           1"]
    assert await run(scripted, "status", "--json") == 0
    assert json.loads(capsys.readouterr().out)["server_refusal"] == words


async def test_status_asks_for_no_namespace_while_the_server_does_not_serve(
    capsys: pytest.CaptureFixture[str], scripted: ScriptedServer
) -> None:
    away = server_pb2.Promise(durability=namespace_pb2.DURABILITY_FSYNC, is_default=True, reasons=["it is away"])
    scripted.will_answer(NOT_SERVING, server_status(away, fault="it is away"))

    assert await run(scripted, "status") == 1

    lines = capsys.readouterr().out.splitlines()
    assert "health               not serving" in lines
    assert "store                embedded, /data, AWAY: it is away" in lines
    assert [asked.path for asked in scripted.asked] == [
        "/grpc.health.v1.Health/Check",
        "/tallykeeper.v1.ServerService/GetServerStatus",
    ]


async def test_status_of_a_server_with_data(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with ServerProcess(cwd=tmp_path) as server:
        with Client(server.target, namespace="shop") as client:
            client.set_stock("dune", 3)
            client.increment("visitors")
        assert await asyncio.to_thread(main, ["status", "--target", server.target, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)

    assert (found["namespaces"], found["stock_levels"], found["counters"]) == (1, 1, 1)
    assert found["durability"] == {"fsync": 1}
    assert found["promises_kept"]
    assert found["server"]["store"]["kind"] == "STORE_KIND_EMBEDDED"


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
