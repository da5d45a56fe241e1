"""Chooses the parts of a server: those that record spans, or those without spans."""

import contextlib
import os
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog

from tallykeeper_server.app.store_startup import StartError
from tallykeeper_server.engine.lane import Lane
from tallykeeper_server.metrics.meters import CallMeter, ExemplarCallMeter, SpanMeter
from tallykeeper_server.metrics.registry import Metrics
from tallykeeper_server.rpc.dispatch import Handlers
from tallykeeper_server.settings import Settings
from tallykeeper_server.store.nodes.store_url import node_options, parsed_store_url
from tallykeeper_server.store.redis_store import RedisStore
from tallykeeper_server.tracing.environment import TraceSettingError, TraceSettings, check_extra, is_disabled
from tallykeeper_server.tracing.exporter import Exporter
from tallykeeper_server.tracing.handlers import TracedHandlers
from tallykeeper_server.tracing.lanes import TracedLane
from tallykeeper_server.tracing.recorder import Recorder
from tallykeeper_server.tracing.store_calls import TracedRedisStore
from tallykeeper_server.tracing.tracer import Tracer

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of a server that differ if it records spans. By default it records none."""

    store: type[RedisStore] = RedisStore
    make_lane: Callable[..., Lane[Any, Any]] = Lane
    handlers: Handlers = field(default_factory=Handlers)
    call_meter: type[CallMeter] = CallMeter


@contextlib.asynccontextmanager
async def parts_of(settings: Settings, store_url: str, metrics: Metrics) -> AsyncIterator[Parts]:
    """Yield the parts of a server. If they record spans, the last spans are exported when the context ends.

    :raises StartError: traces cannot be recorded as the settings and the OTEL_* variables ask.
    """
    if not settings.traces:
        yield Parts()
        return
    if is_disabled(os.environ):
        log.warning("traces are off, because OTEL_SDK_DISABLED or OTEL_TRACES_EXPORTER says so")
        yield Parts()
        return
    async with contextlib.AsyncExitStack() as stack:
        try:
            check_extra()
            wanted = TraceSettings.from_environment(os.environ)
            description = {"instance": uuid.uuid4().hex, "store": _store_attributes(store_url)}
            exporter = Exporter(SpanMeter(metrics), description, queue_spans_max=wanted.queue_spans_max)
            await stack.enter_async_context(exporter.running())
        except TraceSettingError as error:
            raise StartError(str(error)) from error
        recorder = Recorder(exporter.send)
        await stack.enter_async_context(recorder.flushing())
        tracer = Tracer(wanted.sampler, recorder)
        yield Parts(
            store=TracedRedisStore,
            make_lane=partial(TracedLane, tracer=tracer),
            handlers=TracedHandlers(tracer),
            call_meter=ExemplarCallMeter,
        )


def _store_attributes(url: str) -> Mapping[str, str | int]:
    """Return the attributes of the store in spans. A store of several nodes has none, because any may be used."""
    if parsed_store_url(url).topology:
        return {}
    options = node_options(url)
    host, port = options.address
    address: dict[str, str | int] = {"server.address": host, "server.port": port}
    if options.path:
        address = {"server.address": options.path}
    return {**address, "db.namespace": str(options.database)}
