"""The verdict on one load program: its report compared with the contents of the server."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class ReportedError:
    """An error that callers or the watch of a program have seen, and its number."""

    code: str
    message: str
    count: int


@dataclass(frozen=True, slots=True)
class Report:
    """The report of a load program: see the package."""

    calls: int
    increments: int
    copies: int
    retried: int | None
    watched_revision: int
    watched_entries: int
    resumed: int
    errors: Sequence[ReportedError]

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the line that a program has printed.

        :raises ValueError: the line is not a report.
        """
        try:
            fields = json.loads(text)
            errors = tuple(ReportedError(**error) for error in fields.pop("errors"))
            return cls(**fields, errors=errors)
        except (AttributeError, KeyError, TypeError) as error:
            message = f"not a report: {text[:200]!r}"
            raise ValueError(message) from error


@dataclass(frozen=True, slots=True)
class Truth:
    """The state of a program's namespace in the server, after all calls."""

    counter: int
    on_hand: int
    revision: int
    differences: Sequence[str]
    """The differences that VerifyNamespace found between the levels and the ledger."""


def problems(report: Report, truth: Truth) -> list[str]:
    """Return the reasons why a program has failed, or no reasons if it has passed."""
    found = [f"{error.count} times {error.code}: {error.message}" for error in report.errors]
    acknowledged = report.increments + report.copies
    for what, expected, actual in (
        ("the counter's value", report.increments, truth.counter),
        ("the copies on hand", report.copies, truth.on_hand),
        ("the namespace's revision", acknowledged, truth.revision),
        ("the watch's last revision", truth.revision, report.watched_revision),
        ("the number of entries watched", truth.revision, report.watched_entries),
    ):
        if actual != expected:
            found.append(f"{what} is {actual}, expected {expected}")
    if not acknowledged:
        found.append("no change was acknowledged")
    found += [f"the ledger does not agree: {difference}" for difference in truth.differences]
    return found
