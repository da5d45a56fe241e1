"""The page of the metrics, as an ASGI application. prometheus_client negotiates its format and writes it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

import structlog
from prometheus_client import CollectorRegistry, make_asgi_app

from tallykeeper_server.metrics.page import SnapshotCollector
from tallykeeper_server.metrics.snapshots import GATHER_SECONDS, GatherAll

PATH: Final = "/metrics"
Answer: TypeAlias = Callable[[Mapping[str, Any], Any, Any], Awaitable[None]]

log = structlog.get_logger()


def metrics_page(gather_all: GatherAll) -> Answer:
    """Return the application that shows the metrics of all processes."""

    async def answer(scope: Mapping[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401  # ASGI's
        snapshot = await gather_all()
        if snapshot is None:
            log.warning("metrics were not gathered in time", seconds=GATHER_SECONDS)
            await _say(send, 503, b"The server did not report its metrics in time.\n")
            return
        registry = CollectorRegistry()
        registry.register(SnapshotCollector(snapshot))
        await make_asgi_app(registry)(scope, receive, send)

    return answer


async def _say(send: Any, status: int, text: bytes) -> None:  # noqa: ANN401  # ASGI's
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(text))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})
