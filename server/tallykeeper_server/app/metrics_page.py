"""Serves the metrics of the whole server, of one process or of many, to scrapers."""

import contextlib
import uuid
from collections.abc import AsyncIterator
from importlib.metadata import version

from tallykeeper_server.app.listen_address import host_and_port
from tallykeeper_server.app.store_startup import StartError
from tallykeeper_server.metrics.endpoint import PATH, metrics_served
from tallykeeper_server.metrics.meters import note_build
from tallykeeper_server.metrics.registry import Metrics
from tallykeeper_server.metrics.snapshots import Gather


def metrics_of_this_process() -> Metrics:
    """Return metrics under a new name, which no other process and no later run has."""
    metrics = Metrics(process=uuid.uuid4().hex)
    note_build(metrics, version("tallykeeper"))
    return metrics


@contextlib.asynccontextmanager
async def metrics_page(listen: str | None, gather: Gather) -> AsyncIterator[str | None]:
    """Serve metrics at an address within this context, and yield their URL; None without an address.

    :raises StartError: the address cannot be used.
    """
    if listen is None:
        yield None
        return
    host, port = host_and_port(listen)
    async with contextlib.AsyncExitStack() as stack:
        try:
            chosen = await stack.enter_async_context(metrics_served(host.strip("[]"), port, gather))
        except (OSError, UnicodeError) as error:  # UnicodeError: an overlong host name
            message = f"cannot serve metrics on {listen}: {getattr(error, 'strerror', None) or error}"
            raise StartError(message) from error
        yield f"http://{host}:{chosen}{PATH}"
