"""The metrics of this process."""

import uuid
from importlib.metadata import version

from tallykeeper_server.metrics.meters import note_build
from tallykeeper_server.metrics.registry import Metrics


def metrics_of_this_process() -> Metrics:
    """Return metrics under a new name, which no other process and no later run has."""
    metrics = Metrics(process=uuid.uuid4().hex)
    note_build(metrics, version("tallykeeper"))
    return metrics
