"""The formulas by which a store is sized, and a measurement of each. docs/capacity.md explains them.

`python -m bench.capacity` measures them alone, on the embedded Valkey.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final, cast

import click
import redis

from bench.contenders import ONE, Contender, contenders, decrement
from bench.generator import Generator
from bench.stores import Store, embedded_store, running_store
from tallykeeper_client import AsyncClient, StockLine, operations

TOPIC: Final = "capacity: the formulas of docs/capacity.md, measured"

LEVEL_BYTES: Final = 110.0
COUNTER_BYTES: Final = 113.0
REQUEST_ID_BYTES: Final = 74.0
ENTRY_SCRIPT_BYTES: Final = 27.0
ENTRY_BYTES: Final = 15.0
RESERVATION_BYTES: Final = 212.0
RESERVATION_LINE_BYTES: Final = 4.0
NAMESPACE_BYTES: Final = 4_700.0
AOF_SCRIPT_BYTES: Final = 263.0
AOF_CHANGE_BYTES: Final = 91.0

_BATCH: Final = 500
_NAMES: Final = {"short names": 8, "long names": 60}
"""The lengths of the names with which levels are measured, in bytes."""
_AT_ONCE: Final = (1, 16)
"""The calls that are made at once, so that they share a script, where the changes of a script count."""
_CALLS_IN_FLIGHT: Final = (1, 8, 4)
"""The calls in flight for which CPU time is measured. The first two give the formula, and the last one checks it. Each
call has its own connection, so that no two share the work of a socket."""
_REPETITIONS: Final = 3


def level_bytes(key: int, member: int) -> float:
    """Return the memory of a stock level, for the lengths of its key and of its name in the index."""
    return LEVEL_BYTES + key + member


def counter_bytes(key: int, member: int) -> float:
    """Return the memory of a counter, for the lengths of its key and of its name in the index."""
    return COUNTER_BYTES + key + member


def request_id_bytes(request_id: int) -> float:
    """Return the memory of a request id with its outcome, for the length of the id."""
    return REQUEST_ID_BYTES + request_id


def entry_bytes(texts: int, changes: float) -> float:
    """Return the memory of a ledger's entry of one line, for the length of its texts and the changes of its script."""
    return ENTRY_SCRIPT_BYTES / changes + ENTRY_BYTES + texts


def reservation_bytes(lines: int, texts: int) -> float:
    """Return the memory of an active reservation, for its lines, and for the length of its names."""
    return RESERVATION_BYTES + RESERVATION_LINE_BYTES * lines + texts


def aof_bytes(texts: int, changes: float) -> float:
    """Return the bytes that each change appends to the append-only file, for its texts and the changes of its script.

    The texts are those of the ledger's entry, the level's key, and the request id once more.
    """
    return AOF_SCRIPT_BYTES / changes + AOF_CHANGE_BYTES + texts


@dataclass(frozen=True, slots=True)
class CpuModel:
    """The CPU time of a change, in microseconds: a part of its script's time, and its own."""

    script: float
    change: float

    @classmethod
    def through(cls, few: tuple[float, float], many: tuple[float, float]) -> "CpuModel":
        """Return the model that fits two measurements, each of the changes in a script and the time of a change."""
        (few_changes, few_cpu), (many_changes, many_cpu) = few, many
        script = (few_cpu - many_cpu) / (1 / few_changes - 1 / many_changes)
        return cls(script, few_cpu - script / few_changes)

    def of(self, changes: float) -> float:
        """Return the CPU time of a change when ``changes`` share a script."""
        return self.script / changes + self.change


@dataclass(frozen=True, slots=True)
class Check:
    """A formula's prediction and the measurement."""

    name: str
    predicted: float
    measured: float

    @property
    def closeness(self) -> float:
        """The smaller of the two, divided by the larger: 1 if they are equal."""
        return min(self.predicted, self.measured) / max(self.predicted, self.measured)


def measure(store: Store, contender: Contender, generator: Generator, *, count: int, seconds: float) -> list[Check]:
    """Measure each formula on a fresh store: ``count`` of each kind, and ``seconds`` for each CPU time."""
    with redis.Redis.from_url(store.url) as raw:
        checks = asyncio.run(_memory_checks(_Probe(raw, contender.port, count)))
    return [*checks, *_cpu_checks(store, contender, generator, seconds)]


def as_numbers(checks: Iterable[Check]) -> dict[str, float | None]:
    """Return the checks as the numbers of a topic."""
    numbers: dict[str, float | None] = {}
    for check in checks:
        numbers[f"{check.name}: formula"] = check.predicted
        numbers[f"{check.name}: measured"] = check.measured
        numbers[closeness_of(check.name)] = check.closeness
    return numbers


def closeness_of(name: str) -> str:
    """Return the name of the number that says how close a formula is."""
    return f"{name}: the smaller / the larger"


NAMES: Final = (
    *(f"a stock level, {label}, bytes" for label in _NAMES),
    *(f"a counter, {label}, bytes" for label in _NAMES),
    "a request id, bytes",
    *(f"a ledger's entry, {at_once} at once, bytes" for at_once in _AT_ONCE),
    *(f"append-only file, {at_once} at once, bytes a change" for at_once in _AT_ONCE),
    *(f"a reservation of {lines} lines, bytes" for lines in (2, 20)),
    "a namespace, bytes",
    "server, 4 in flight, us a change",
    "store, 4 in flight, us a change",
)
"""The names of the checks, in their order."""


@dataclass(frozen=True, slots=True)
class _Probe:
    """A server on a store, and the number of things to create in it."""

    raw: redis.Redis
    port: int
    count: int

    @asynccontextmanager
    async def client(self, namespace: str) -> AsyncIterator[AsyncClient]:
        """Connect to the server."""
        async with AsyncClient(f"127.0.0.1:{self.port}", namespace=namespace) as client:
            yield client

    def used(self) -> int:
        """Return the memory of the store's data, without the table of its keys, which grows in steps."""
        return int(self.raw.info("memory")["used_memory_dataset"])

    def table(self) -> float:
        """Return the memory of the table of keys, for each key."""
        main = cast("Any", self.raw.memory_stats())["db.0"]["overhead.hashtable.main"]
        return float(main) / int(cast("Any", self.raw.dbsize()))

    def appended(self) -> int:
        """Return the size of the append-only file."""
        return int(self.raw.info("persistence")["aof_current_size"])

    def of_key(self, namespace: str, name: str) -> int:
        """Return the memory of a key of a namespace, which is exact: every element is looked at."""
        return int(cast("Any", self.raw.memory_usage(f"tk:{{{namespace}}}:{name}", samples=0)) or 0)

    def scripts(self, namespace: str) -> int:
        """Return the number of scripts that have changed a namespace."""
        return int(cast("Any", self.raw.xlen(f"tk:{{{namespace}}}:ledger")))

    def requests(self, namespace: str) -> int:
        """Return the memory of the request records of a namespace."""
        return sum(self.of_key(namespace, f"requests:{bucket}") for bucket in range(3))


async def _memory_checks(probe: _Probe) -> list[Check]:
    return [
        *[check async for check in _level_checks(probe)],
        *[check async for check in _call_checks(probe)],
        *[check async for check in _reservation_checks(probe)],
        await _namespace_check(probe),
    ]


async def _level_checks(probe: _Probe) -> AsyncIterator[Check]:
    """Create levels with short and with long names, and yield the memory of each kind."""
    makers: Mapping[str, tuple[str, Callable[[str], Any], Callable[[int, int], float]]] = {
        "a stock level": ("stock:main:", lambda name: operations.set_stock(name, 5), level_bytes),
        "a counter": ("counter:", operations.increment, counter_bytes),
    }
    for kind, (prefix, make, formula) in makers.items():
        for label, length in _NAMES.items():
            namespace = f"{prefix[0]}-{length}"
            before = probe.used()
            async with probe.client(namespace) as client:
                for some in _batches(probe.count):
                    await client.apply([make(f"{number:0{length}}") for number in some], atomic=True)
            others = probe.of_key(namespace, "ledger") + probe.requests(namespace)
            measured = (probe.used() - before - others) / probe.count + probe.table()
            key = len(f"tk:{{{namespace}}}:{prefix}") + length
            member = length + (len("main") + 1 if "stock" in prefix else 0)
            yield Check(f"{kind}, {label}, bytes", formula(key, member), measured)


async def _call_checks(probe: _Probe) -> AsyncIterator[Check]:
    """Make single calls, some at once, and yield what each leaves in the buckets, the ledger and the file."""
    entries, files, records = [], [], 0.0
    for at_once in _AT_ONCE:
        namespace = f"calls-{at_once:02}"
        counters = [f"page-{number:02}" for number in range(at_once)]
        calls = probe.count // 4 // at_once * at_once
        async with probe.client(namespace) as client:
            await client.apply([operations.increment(counter, delta=10_000) for counter in counters], atomic=True)
            scripts, appended, used = probe.scripts(namespace), probe.appended(), probe.used()
            used -= probe.of_key(namespace, "ledger")
            for first in range(0, calls, at_once):
                numbers = zip(range(first, first + at_once), counters, strict=True)
                await asyncio.gather(*(client.increment(name, request_id=f"{each:032}") for each, name in numbers))
        changes = calls / (probe.scripts(namespace) - scripts)
        ledger, name = probe.of_key(namespace, "ledger"), f"{at_once} at once, bytes"
        texts = len("counter_increment") + 32 + len("counter:page-00") + len("1") + len("10000")
        entries.append(Check(f"a ledger's entry, {name}", entry_bytes(texts, changes), ledger / calls))
        key = len(f"tk:{{{namespace}}}:counter:page-00")
        appended = probe.appended() - appended
        files.append(
            Check(f"append-only file, {name} a change", aof_bytes(texts + key + 32, changes), appended / calls)
        )
        records = (probe.used() - ledger - used) / calls
    yield Check("a request id, bytes", request_id_bytes(32), records)
    for check in (*entries, *files):
        yield check


async def _reservation_checks(probe: _Probe) -> AsyncIterator[Check]:
    """Reserve a few and many lines, and yield the memory of a reservation."""
    for count, lines in ((probe.count // 4, 2), (probe.count // 20, 20)):
        namespace, items = f"baskets-{lines:02}", [f"item-{number:02}" for number in range(lines)]
        async with probe.client(namespace) as client:
            await client.apply([operations.set_stock(item, 10**9) for item in items], atomic=True)
            before = probe.used() - probe.of_key(namespace, "ledger") - probe.requests(namespace)
            for some in _batches(count, _BATCH // lines):
                await client.apply(
                    [
                        operations.reserve([StockLine(item=item) for item in items], reservation_id=f"basket-{each:09}")
                        for each in some
                    ],
                    atomic=True,
                )
        others = probe.of_key(namespace, "ledger") + probe.requests(namespace)
        measured = (probe.used() - others - before) / count + probe.table()
        names = len(f"tk:{{{namespace}}}:reservation:") + 3 * 16 + lines * len("stock:main:item-00")
        yield Check(f"a reservation of {lines} lines, bytes", reservation_bytes(lines, names), measured)


async def _namespace_check(probe: _Probe) -> Check:
    """Create namespaces with one counter each. What a namespace takes is more than what is in it."""
    count, keys = min(1_000, probe.count), int(cast("Any", probe.raw.dbsize()))
    before = probe.used()
    async with probe.client("default") as client:
        for number in range(count):
            await client.increment("one", namespace=f"shop-{number:04}")
    keys = int(cast("Any", probe.raw.dbsize())) - keys
    measured = (probe.used() - before + keys * probe.table()) / count
    inside = counter_bytes(len("tk:{shop-0000}:counter:one"), len("one")) + request_id_bytes(32)
    return Check("a namespace, bytes", NAMESPACE_BYTES + inside, measured)


def _batches(count: int, size: int = _BATCH) -> Iterator[range]:
    return (range(first, min(first + size, count)) for first in range(0, count, size))


def _cpu_checks(store: Store, contender: Contender, generator: Generator, seconds: float) -> Iterator[Check]:
    """Measure the CPU time of a change for few and for many calls in flight, and check the model in between."""
    samples: dict[int, list[tuple[float, float, float]]] = {in_flight: [] for in_flight in _CALLS_IN_FLIGHT}
    with redis.Redis.from_url(store.url) as raw:
        for _ in range(_REPETITIONS):
            for in_flight, found in samples.items():
                before = (_scripts_run(raw), contender.process.cpu_seconds(), store.process.cpu_seconds())
                load = generator.run(contender.port, decrement(), in_flight=in_flight, warm_up=0.0, seconds=seconds)
                after = (_scripts_run(raw), contender.process.cpu_seconds(), store.process.cpu_seconds())
                scripts, in_server, in_store = (late - early for early, late in zip(before, after, strict=True))
                calls = load.all_succeeded
                found.append((calls / scripts, in_server / calls * 1e6, in_store / calls * 1e6))
    medians = [[median(values) for values in zip(*found, strict=True)] for found in samples.values()]
    for index, name in enumerate(("server", "store"), 1):
        few, many, between = ((each[0], each[index]) for each in medians)
        changes, measured = between
        yield Check(f"{name}, 4 in flight, us a change", CpuModel.through(few, many).of(changes), measured)


def _scripts_run(raw: redis.Redis) -> float:
    """Return the number of scripts that the store has run."""
    return float(raw.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0))


@click.command
@click.option("--quick", is_flag=True, help="Measure with 20,000 of each kind, not 100,000.")
def main(*, quick: bool) -> None:
    """Measure the formulas of docs/capacity.md on the embedded Valkey."""
    count, seconds = (20_000, 1.0) if quick else (100_000, 3.0)
    with tempfile.TemporaryDirectory(prefix="tk-bench-") as name:
        directory = Path(name)
        with running_store(embedded_store(), directory) as store, contenders(store, [ONE]) as running:
            checks = measure(store, running[ONE], Generator(directory), count=count, seconds=seconds)
    click.echo(f"{'':48} {'formula':>10} {'measured':>10} {'ratio':>6}")
    for check in checks:
        ratio = check.measured / check.predicted
        click.echo(f"{check.name:48} {check.predicted:10,.1f} {check.measured:10,.1f} {ratio:6.2f}")


if __name__ == "__main__":
    main()
