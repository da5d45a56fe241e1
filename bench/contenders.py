"""What is measured beside each other on one store: ours, the ceiling, and the naive services."""

import contextlib
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from bench.generator import ITEM, REQUEST_ID, Request
from bench.processes import Process, free_port, listens, python
from bench.stores import Store
from tallykeeper.v1.batch_pb2 import BATCH_MODE_ATOMIC, BATCH_MODE_INDEPENDENT, ApplyRequest, Operation
from tallykeeper.v1.counter_pb2 import IncrementRequest
from tallykeeper.v1.inventory_pb2 import DecrementCopiesRequest
from tallykeeper_client import Client, operations

ITEMS: Final = 1_000
STOCK: Final = 10**12
CEILING_OF_TWO: Final = "ceiling, 2 processes"
BY_CHRT: Final = ("ours, chrt --batch", "ours, 2 workers, chrt --batch")
"""Our servers under Linux's batch scheduling: who wakes takes the core from nobody. On Linux alone."""
_TALLYKEEPER: Final = Path(sys.executable).with_name("tallykeeper")


@dataclass(frozen=True, slots=True)
class Contender:
    """A service that runs."""

    port: int
    process: Process


def decrement() -> Request:
    """DecrementCopies of one of 1,000 items, with a request id."""
    message = DecrementCopiesRequest(request_id=REQUEST_ID, item=ITEM, copies=1)
    return Request("/tallykeeper.v1.InventoryService/DecrementCopies", message.SerializeToString())


def increment() -> Request:
    """Increment of one of 1,000 counters, with a request id."""
    message = IncrementRequest(request_id=REQUEST_ID, counter=ITEM)
    return Request("/tallykeeper.v1.CounterService/Increment", message.SerializeToString())


def increment_anywhere() -> Request:
    """Increment of a counter in one of 1,000 namespaces, with a request id."""
    message = IncrementRequest(request_id=REQUEST_ID, namespace=ITEM, counter="page")
    return Request("/tallykeeper.v1.CounterService/Increment", message.SerializeToString())


def apply(count: int, *, atomic: bool = False) -> Request:
    """Apply of so many decrements of different items under one request id."""
    decrements = [
        Operation(decrement_copies=DecrementCopiesRequest(item=f"item-{place % ITEMS:04}", copies=1))
        for place in range(1, count + 1)
    ]
    mode = BATCH_MODE_ATOMIC if atomic else BATCH_MODE_INDEPENDENT
    message = ApplyRequest(request_id=REQUEST_ID, operations=decrements, mode=mode)
    return Request("/tallykeeper.v1.BatchService/Apply", message.SerializeToString())


def ours(store_url: str, port: int, *words: str) -> list[str]:
    """Return the command of our server on a store."""
    listen = f"127.0.0.1:{port}"
    return [str(_TALLYKEEPER), "serve", "--store", store_url, "--listen", listen, "--log-level", "error", *words]


@contextlib.contextmanager
def contenders(
    store: Store, extra: Mapping[str, tuple[str, ...]], *, on_two_cores: bool = False
) -> Iterator[dict[str, Contender]]:
    """Run all contenders on a store, idle until they are called. ``extra`` holds settings of more servers of ours.

    ``on_two_cores`` adds what tells how two processes share two cores.
    """
    ports: dict[str, int] = defaultdict(free_port)
    commands = {
        "ours": ours(store.url, ports["ours"], "--workers", "1"),
        "ceiling": python("bench.servers.constant", ports["ceiling"]),
        "naive aio": python("bench.servers.naive", "aio", ports["naive aio"], store.url),
        "naive threads": python("bench.servers.naive", "threads", ports["naive threads"], store.url),
        **{name: ours(store.url, ports[name], *words) for name, words in extra.items()},
    }
    if on_two_cores:
        commands[CEILING_OF_TWO] = python("bench.servers.constant", ports[CEILING_OF_TWO], 2)
        if chrt := shutil.which("chrt"):
            for workers, name in enumerate(BY_CHRT, start=1):
                words = ours(store.url, ports[name], "--workers", str(workers))
                commands[name] = [chrt, "--batch", "0", *words]
    with contextlib.ExitStack() as stack:
        logs = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        running = {
            name: Contender(ports[name], stack.enter_context(Process(command, log=logs / name)))
            for name, command in commands.items()
        }
        for contender in running.values():
            contender.process.wait_for(partial(listens, contender.port))
        stock_up(running["ours"].port)
        yield running


def stock_up(port: int) -> None:
    """Put so many copies of each item on hand that none runs short."""
    with Client(f"127.0.0.1:{port}") as client:
        client.apply([operations.set_stock(f"item-{number:04}", STOCK) for number in range(ITEMS)], atomic=False)
