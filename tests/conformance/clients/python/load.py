"""The load of grpcio: see ``clients/__init__.py``."""

import argparse
import asyncio
import json
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import grpc

from tallykeeper.v1 import counter_pb2, counter_pb2_grpc, inventory_pb2, inventory_pb2_grpc, ledger_pb2, ledger_pb2_grpc

_COUNTER: Final = "calls"
_ITEM: Final = "copies"
_CALL_SECONDS: Final = 30.0
_WATCH_PAUSE_SECONDS: Final = 0.1
_OPTIONS: Final = ("target", "namespace", "callers", "service-config", "ca", "certificate", "key")
# By default, channels with the same options share connections.
_OWN_CONNECTIONS: Final = ("grpc.use_local_subchannel_pool", 1)

Response = TypeVar("Response")


class Load:
    """All callers and the watch of one namespace, and their results."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Make the channels, without a call."""
        self._options = options
        self._namespace: str = options.namespace
        policy = (("grpc.service_config", options.service_config), _OWN_CONNECTIONS)
        self._retrying = _channel(options, policy)
        self._patient = _channel(options, (_OWN_CONNECTIONS,))
        self._counts: Counter[str] = Counter()
        self._errors: Counter[tuple[str, str]] = Counter()
        self._revision = 0
        self._watched_revision = 0
        self._watched = asyncio.Event()
        self._stopping = False

    async def run(self, stop: Awaitable[object]) -> dict[str, Any]:
        """Call until an event is set, and return the report."""
        watching = asyncio.create_task(self._watch())
        calling = []
        for caller in range(int(self._options.callers)):
            calling.append(asyncio.create_task(self._call(self._retrying, f"retrying-{caller}", wait_for_ready=False)))
            calling.append(asyncio.create_task(self._call(self._patient, f"patient-{caller}", wait_for_ready=True)))
        await stop
        self._stopping = True
        await asyncio.gather(*calling)
        await self._end_watch(watching)
        return self._report()

    async def _call(self, channel: grpc.aio.Channel, caller: str, *, wait_for_ready: bool) -> None:
        """Add and read until the load stops."""
        counters = _stub(counter_pb2_grpc.CounterServiceStub, channel)
        inventory = _stub(inventory_pb2_grpc.InventoryServiceStub, channel)
        seen = number = 0

        async def answered(method: Callable[..., Awaitable[Response]], request: object) -> Response | None:
            """Return the response, or None after an error, which is recorded."""
            self._counts["calls"] += 1
            try:
                return await method(request, timeout=_CALL_SECONDS, wait_for_ready=wait_for_ready)
            except grpc.aio.AioRpcError as error:
                self._fail(error.code().name, error.details())
                return None

        while not self._stopping:
            number += 1
            where, request_id = self._namespace, f"{caller}-{number}"
            increment = counter_pb2.IncrementRequest(namespace=where, request_id=request_id, counter=_COUNTER)
            if (incremented := await answered(counters.Increment, increment)) is not None:
                self._counts["increments"] += 1
                self._revision = max(self._revision, incremented.revision)
                seen = max(seen, incremented.counter.value)
            request_id += "-copies"
            addition = inventory_pb2.IncrementCopiesRequest(namespace=where, request_id=request_id, item=_ITEM)
            if (added := await answered(inventory.IncrementCopies, addition)) is not None:
                self._counts["copies"] += 1
                self._revision = max(self._revision, added.revision)
            query = counter_pb2.GetCounterRequest(namespace=where, counter=_COUNTER)
            if (read := await answered(counters.GetCounter, query)) is not None:
                if read.counter.value < seen:
                    self._fail("STALE", "a read has missed an acknowledged change")
                seen = max(seen, read.counter.value)

    async def _watch(self) -> None:
        """Follow the ledger from its beginning. Begin again after each end of the stream, until cancelled."""
        ledger = _stub(ledger_pb2_grpc.LedgerServiceStub, self._retrying)
        while True:
            try:
                await self._follow(ledger)
                self._fail("watch", "the watch has ended without an error")
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.UNAVAILABLE:
                    self._counts["resumed"] += 1
                else:
                    self._fail(f"watch: {error.code().name}", error.details())
            await asyncio.sleep(_WATCH_PAUSE_SECONDS)

    async def _follow(self, ledger: Any) -> None:  # noqa: ANN401  # see _stub
        request = ledger_pb2.WatchRequest(namespace=self._namespace, after_revision=self._watched_revision)
        async for response in ledger.Watch(request):
            for entry in response.entries:
                self._counts["watched_entries"] += 1
                if entry.revision != self._watched_revision + 1:
                    self._fail("WATCH", "a revision was missed or repeated")
                self._watched_revision = entry.revision
                self._watched.set()

    async def _end_watch(self, watching: "asyncio.Task[None]") -> None:
        """End the watch when the last change has arrived."""
        try:
            async with asyncio.timeout(_CALL_SECONDS):
                while self._watched_revision < self._revision:
                    self._watched.clear()
                    await self._watched.wait()
        except TimeoutError:
            self._fail("WATCH", "the watch has not reached the last revision")
        watching.cancel()
        await asyncio.wait([watching])

    def _fail(self, code: str, message: str | None) -> None:
        self._errors[code, message or ""] += 1

    def _report(self) -> dict[str, Any]:
        counted = {name: self._counts[name] for name in ("calls", "increments", "copies", "watched_entries", "resumed")}
        failures = [{"code": code, "message": text, "count": count} for (code, text), count in self._errors.items()]
        # gRPC's core does not report the number of its retries.
        return {**counted, "retried": None, "watched_revision": self._watched_revision, "errors": failures}


def _channel(options: argparse.Namespace, channel_options: Sequence[tuple[str, Any]]) -> grpc.aio.Channel:
    if options.ca is None:
        return grpc.aio.insecure_channel(options.target, channel_options)
    files = [name and Path(name).read_bytes() for name in (options.ca, options.key, options.certificate)]
    return grpc.aio.secure_channel(options.target, grpc.ssl_channel_credentials(*files), channel_options)


def _stub(stub: Any, channel: grpc.aio.Channel) -> Any:  # noqa: ANN401  # generated stubs have no types
    return stub(channel)


async def _main() -> None:
    parser = argparse.ArgumentParser()
    for name in _OPTIONS:
        parser.add_argument(f"--{name}")
    load = Load(parser.parse_args())
    print("ready", flush=True)
    print(json.dumps(await load.run(asyncio.to_thread(sys.stdin.read))))


if __name__ == "__main__":
    asyncio.run(_main())
