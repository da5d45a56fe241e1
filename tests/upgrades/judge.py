"""Compares the changes that were acknowledged with the ledger, and finds each that was lost or counts twice."""

from collections import Counter as Tally
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """The part of a ledger's entry that is compared."""

    revision: int
    request_id: str


def faults(acknowledged: Mapping[str, int], entries: Iterable[LedgerEntry]) -> Iterator[str]:
    """Yield a sentence for each fault.

    ``acknowledged`` has the revision of each request id. ``entries`` is the whole ledger, in its order.
    """
    listed = list(entries)
    revisions = [entry.revision for entry in listed]
    if revisions != list(range(1, len(listed) + 1)):
        yield f"the ledger's revisions have a gap or a repeat: {len(listed)} entries end with {revisions[-1:]}"
    counts = Tally(entry.request_id for entry in listed)
    revision_of = {entry.request_id: entry.revision for entry in listed}
    for request_id, revision in acknowledged.items():
        if counts[request_id] != 1:
            times = counts[request_id]
            yield f"request {request_id}, acknowledged at revision {revision}, is in the ledger {times} times"
        elif revision_of[request_id] != revision:
            yield f"request {request_id} was acknowledged at revision {revision}, and has {revision_of[request_id]}"
    for request_id in counts.keys() - acknowledged.keys():
        yield f"request {request_id} is in the ledger, and was never acknowledged"
