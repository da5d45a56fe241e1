"""The report: a table for people, and JSON for programs that add several runs up."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.chaos.judge import Verdict, Violation


@dataclass(slots=True)
class Outcome:
    """The outcome of one scenario, or of several runs of it."""

    scenario: str
    seeds: list[int] = field(default_factory=list)
    seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    entries: int = 0
    applied: int = 0
    refused: int = 0
    unknown: int = 0
    reads: int = 0
    lost: int = 0
    """Changes that were acknowledged and lost, in scenarios that allow it."""
    recoveries: list[float] = field(default_factory=list)
    """The longest times from a heal to the next acknowledged change, in seconds."""
    violations: list[Violation] = field(default_factory=list)

    def note(self, verdict: Verdict) -> None:
        """Add the judge's verdict."""
        self.entries += verdict.entries
        self.applied += verdict.applied
        self.refused += verdict.refused
        self.unknown += verdict.unknown
        self.reads += verdict.reads
        self.violations += verdict.violations

    def add(self, other: "Outcome") -> None:
        """Add the outcome of another run of the same scenario."""
        self.faults += other.faults
        for name in ("seeds", "recoveries", "violations"):
            getattr(self, name).extend(getattr(other, name))
        for name in ("seconds", "calls", "entries", "applied", "refused", "unknown", "reads", "lost"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def worst_recovery(self) -> float:
        """The longest time from a heal to the next acknowledged change, in seconds."""
        return max(self.recoveries, default=0.0)


def table(outcomes: Sequence[Outcome]) -> str:
    """Return a table in Markdown, with one row for each scenario, and the faults below it."""
    answers = ("calls", "applied", "refused", "unknown", "reads")
    head = ("scenario", "minutes", "faults", *answers, "worst recovery, s", "lost", "violations")
    rows = [
        (
            each.scenario,
            f"{each.seconds / 60:.1f}",
            f"{each.faults.total():,}",
            f"{each.calls:,}",
            f"{each.applied:,}",
            f"{each.refused:,}",
            f"{each.unknown:,}",
            f"{each.reads:,}",
            f"{each.worst_recovery:.1f}",
            f"{each.lost:,}",
            str(len(each.violations)),
        )
        for each in outcomes
    ]
    faults: Counter[str] = sum((each.faults for each in outcomes), Counter())
    return "\n".join(
        (
            *markdown(head, rows),
            "",
            *markdown(("fault", "times"), [(name, f"{count:,}") for name, count in sorted(faults.items())]),
        )
    )


def save(outcomes: Sequence[Outcome], file: Path) -> None:
    """Write outcomes as JSON."""
    # asdict would count the pairs of a Counter instead of using its counts.
    values = [asdict(replace(each, faults=Counter())) | {"faults": each.faults} for each in outcomes]
    file.write_text(json.dumps(values, indent=1) + "\n")


def load(file: Path) -> list[Outcome]:
    """Read a file that `save` wrote."""
    return [_outcome(value) for value in json.loads(file.read_text())]


def _outcome(value: dict[str, Any]) -> Outcome:
    outcome = Outcome(**value)
    outcome.faults = Counter(outcome.faults)
    outcome.violations = [Violation(**violation) for violation in value["violations"]]
    return outcome


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table in Markdown. All columns but the first are aligned to the right."""
    widths = [max(len(row[index]) for row in (head, *rows)) for index in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        first, *others = (
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return f"| {' | '.join((first, *others))} |"

    rule = "|".join(["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])])
    return [line(head), f"|{rule}|", *map(line, rows)]
