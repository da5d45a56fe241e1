"""The metrics of this process, and the URL at which those of the whole server are read."""

import uuid
from importlib.metadata import version

from tallykeeper_server.metrics.meters import note_build
from tallykeeper_server.metrics.registry import Metrics


def metrics_of_this_process() -> Metrics:
    """Return metrics under a name that no other process has, nor a later run of this one."""
    metrics = Metrics(process=uuid.uuid4().hex)
    note_build(metrics, version("tallykeeper"))
    return metrics
