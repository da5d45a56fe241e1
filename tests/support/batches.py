"""The modes of batches, for tests that run with both modes."""

from tallykeeper.v1.batch_pb2 import BATCH_MODE_ATOMIC, BATCH_MODE_INDEPENDENT, BatchMode


def mode_of(*, atomic: bool) -> BatchMode:
    """Return the mode ATOMIC or INDEPENDENT of a batch."""
    return BATCH_MODE_ATOMIC if atomic else BATCH_MODE_INDEPENDENT
