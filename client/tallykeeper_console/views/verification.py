"""The progress and the result of a verification, in words."""

from typing import Final

from tallykeeper_client import Difference, DifferenceKind, VerifyProgress, VerifyResult
from tallykeeper_console.views import figures
from tallykeeper_console.views.paged_list import KEY, Row

COLUMNS: Final = (
    ("kind", "Kind"),
    ("name", "Name"),
    ("location", "Location"),
    ("revision", "Revision"),
    ("expected", "According to the ledger"),
    ("actual", "In the store"),
)


def part_done(progress: VerifyProgress) -> float:
    """Return the part of a verification that is done, from 0 to 1."""
    done = progress.revisions_replayed + progress.reservations_checked + progress.levels_checked
    total = progress.revisions_total + progress.reservations_total + progress.levels_total
    return min(done / total, 1.0) if total else 0.0


def verdict(result: VerifyResult) -> str:
    """Return the result in a sign and a sentence."""
    if result.clean:
        return "✔ The namespace is what its ledger says."
    if result.difference_count == 1:
        return "✖ 1 difference between the ledger and the store."
    return f"✖ {figures.number(result.difference_count)} differences between the ledger and the store."


def extent(result: VerifyResult) -> str:
    """Return the extent of the comparison in words."""
    text = (
        f"Revisions {figures.number(result.from_revision)} to {figures.number(result.revision)} replayed; "
        f"{figures.number(result.levels_checked)} levels and counters and "
        f"{figures.number(result.reservations_checked)} reservations compared."
    )
    if result.levels_unchecked:
        text += f" {figures.number(result.levels_unchecked)} are no longer in the ledger."
    return text


def difference_row(index: int, difference: Difference) -> Row:
    """Return the row of a difference."""
    return {
        KEY: index,
        "kind": DifferenceKind.Name(difference.kind).removeprefix("DIFFERENCE_KIND_").lower().replace("_", " "),
        "name": difference.name,
        "location": difference.location,
        "revision": difference.revision,
        "expected": difference.expected,
        "actual": difference.actual,
    }
