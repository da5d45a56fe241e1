"""The services that are compared, and the requests for them."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from bench.generator import ITEM, REQUEST_ID, Request
from bench.processes import Process, free_port, listens, python
from bench.stores import Store
from tallykeeper.v1.batch_pb2 import BATCH_MODE_INDEPENDENT, ApplyRequest, Operation
from tallykeeper.v1.counter_pb2 import IncrementRequest
from tallykeeper.v1.inventory_pb2 import DecrementCopiesRequest
from tallykeeper_client import Client, operations
from tallykeeper_server.cli.certificate_authority import make_certificates

ITEMS: Final = 1_000
STOCK: Final = 10**12

TRANSPORT: Final = "constant, our transport"
TRANSPORT_WITH_METADATA: Final = "constant, ours, with metadata"
GRPC_AIO: Final = "constant, grpc.aio"
GRPC_AIO_MANY: Final = "constant, grpc.aio, 8 listeners"
GRPC_GO: Final = "constant, grpc-go"

ONE: Final = "1 worker"
TWO: Final = "2 workers"
FOUR: Final = "4 workers"
ONE_WITH_TLS: Final = "1 worker, TLS"
TRACED: Final = "1 worker, every call traced"
ON_GRPC_AIO: Final = "our handlers on grpc.aio"
NAIVE_AIO: Final = "naive Python, grpc.aio"
NAIVE_THREADS: Final = "naive Python, threads"
GO: Final = "obvious Go service"

_CONSTANTS: Final = {
    TRANSPORT: "transport",
    TRANSPORT_WITH_METADATA: "transport-with-metadata",
    GRPC_AIO: "grpc-aio",
    GRPC_AIO_MANY: "grpc-aio-many",
}
_WORKERS: Final = {ONE: 1, TWO: 2, FOUR: 4, ONE_WITH_TLS: 1, TRACED: 1}
_BACKEND: Final = "backend of traces"
"""The service that takes the spans of TRACED. It reads no span and has the lowest priority."""
_TALLYKEEPER: Final = Path(sys.executable).with_name("tallykeeper")


@dataclass(frozen=True, slots=True)
class Contender:
    """A running service."""

    port: int
    process: Process
    tls: bool = False


def decrement(*, bare: bool = False) -> Request:
    """Return a DecrementCopies of one of 1,000 items, with a request id. ``bare``: without a deadline and metadata."""
    message = DecrementCopiesRequest(request_id=REQUEST_ID, item=ITEM, copies=1).SerializeToString()
    path = "/tallykeeper.v1.InventoryService/DecrementCopies"
    return Request(path, message, ()) if bare else Request(path, message)


def increment() -> Request:
    """Return an Increment of one of 1,000 counters, with a request id."""
    message = IncrementRequest(request_id=REQUEST_ID, counter=ITEM)
    return Request("/tallykeeper.v1.CounterService/Increment", message.SerializeToString())


def increment_anywhere() -> Request:
    """Return an Increment of a counter in one of 1,000 namespaces, with a request id."""
    message = IncrementRequest(request_id=REQUEST_ID, namespace=ITEM, counter="page")
    return Request("/tallykeeper.v1.CounterService/Increment", message.SerializeToString())


def apply(count: int) -> Request:
    """Return an Apply with a number of decrements of different items, under one request id."""
    decrements = [
        Operation(decrement_copies=DecrementCopiesRequest(item=f"item-{number % ITEMS:04}", copies=1))
        for number in range(1, count + 1)
    ]
    message = ApplyRequest(request_id=REQUEST_ID, operations=decrements, mode=BATCH_MODE_INDEPENDENT)
    return Request("/tallykeeper.v1.BatchService/Apply", message.SerializeToString())


@contextlib.contextmanager
def constants(go: Path | None) -> Iterator[dict[str, Contender]]:
    """Run the services that answer with a constant. ``go``: the program with the Go services, or None."""
    ports = {name: free_port() for name in (*_CONSTANTS, GRPC_GO)}
    commands = {name: python("bench.servers.constant", kind, ports[name]) for name, kind in _CONSTANTS.items()}
    if go:
        commands[GRPC_GO] = [str(go), "constant", str(ports[GRPC_GO])]
    with _running(commands, ports) as running:
        yield running


@contextlib.contextmanager
def contenders(store: Store, names: Collection[str], go: Path | None = None) -> Iterator[dict[str, Contender]]:
    """Run services on a store, and put their stock on hand. ONE must be among them. At first they are idle."""
    ports = {name: free_port() for name in (*names, _BACKEND)}
    with tempfile.TemporaryDirectory(prefix="tk-bench-") as folder:
        certificates = Path(folder)
        make_certificates(certificates, hosts=["127.0.0.1"], clients=[], days=1)
        commands: dict[str, Callable[[int], list[str]]] = {
            ON_GRPC_AIO: lambda port: python("bench.servers.on_grpc_aio", port, store.url),
            NAIVE_AIO: lambda port: python("bench.servers.naive", "aio", port, store.url),
            NAIVE_THREADS: lambda port: python("bench.servers.naive", "threads", port, store.url),
            GO: lambda port: [str(go), "store", str(port), store.url],
            **{
                name: partial(
                    _tallykeeper,
                    store.url,
                    workers=workers,
                    certificates=certificates if name == ONE_WITH_TLS else None,
                    traces=name == TRACED,
                )
                for name, workers in _WORKERS.items()
            },
        }
        wanted = {name: commands[name](ports[name]) for name in names if name != GO or go}
        environments: dict[str, Mapping[str, str]] = {}
        if TRACED in names:
            backend = python("bench.servers.constant", "transport", ports[_BACKEND])
            wanted[_BACKEND] = ["nice", "-n", "19", *backend]
            environments[TRACED] = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{ports[_BACKEND]}"}
        with _running(wanted, ports, environments) as running:
            _stock_up(running[ONE].port)
            yield running


def _tallykeeper(
    store_url: str, port: int, *, workers: int, certificates: Path | None, traces: bool = False
) -> list[str]:
    """Return the command of our server on a store."""
    words = [
        "serve",
        "--http-listen",
        "",
        "--store",
        store_url,
        "--listen",
        f"127.0.0.1:{port}",
        "--workers",
        str(workers),
    ]
    if certificates:
        words += ["--tls-certificate", str(certificates / "server.pem"), "--tls-key", str(certificates / "server.key")]
    if traces:
        words.append("--traces")
    return [str(_TALLYKEEPER), *words, "--log-level", "error"]


@contextlib.contextmanager
def _running(
    commands: dict[str, list[str]], ports: dict[str, int], environments: Mapping[str, Mapping[str, str]] | None = None
) -> Iterator[dict[str, Contender]]:
    environments = environments or {}
    with contextlib.ExitStack() as stack:
        logs = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tk-bench-")))
        running = {
            name: Contender(
                ports[name],
                stack.enter_context(Process(command, log=logs / name, environment=environments.get(name))),
                tls=name == ONE_WITH_TLS,
            )
            for name, command in commands.items()
        }
        for contender in running.values():
            contender.process.wait_for(partial(listens, contender.port))
        yield running


def _stock_up(port: int) -> None:
    """Put more copies of each item on hand than the benchmark takes."""
    with Client(f"127.0.0.1:{port}") as client:
        client.apply([operations.set_stock(f"item-{number:04}", STOCK) for number in range(ITEMS)], atomic=False)
