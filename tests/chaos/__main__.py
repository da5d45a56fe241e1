"""The command of ``make chaos``: runs and judges scenarios, or plants bugs and reports which bugs were caught."""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import SystemRandom
from typing import Final

import click

from tests.chaos.planted_bugs import bugs, hunt
from tests.chaos.report import Outcome, load, markdown, save, table
from tests.chaos.scenario_run import run
from tests.chaos.scenarios import NEEDS_COMPILER, SCENARIOS
from tests.chaos.stores import compiler

_SHOWN_MAX: Final = 20


@click.command
@click.option(
    "--scenario",
    "names",
    multiple=True,
    type=click.Choice(list(SCENARIOS)),
    help="Run only this scenario. Default: all.",
)
@click.option(
    "--seconds", default=20.0, show_default=True, help="The time in seconds for which each scenario injects faults."
)
@click.option("--seed", type=int, help="The seed of intents and faults. Default: a random seed, which is printed.")
@click.option("--report", type=click.Path(path_type=Path), help="A JSON file to which the outcome is added.")
@click.option("--planted", is_flag=True, help="Plant bugs, one at a time, and check that each is caught.")
def main(*, names: Sequence[str], seconds: float, seed: int | None, report: Path | None, planted: bool) -> None:
    """Inject faults under load, and judge the answers that callers got."""
    seed = SystemRandom().getrandbits(31) if seed is None else seed
    if planted:
        sys.exit(_plant_all(seed))
    outcomes = {each.scenario: each for each in load(report)} if report and report.exists() else {}
    violations = 0
    for name in names or SCENARIOS:
        if name in NEEDS_COMPILER and compiler() is None:
            click.echo(f"{name}: left out, because there is no C compiler", err=True)
            continue
        click.echo(f"{name}: seed {seed}, {seconds:g} s", err=True)
        outcome = run(name, seed=seed, seconds=seconds)
        violations += _tell(outcome)
        if name in outcomes:
            outcomes[name].add(outcome)
        else:
            outcomes[name] = outcome
        if report:
            save(list(outcomes.values()), report)
    click.echo(table(list(outcomes.values())))
    sys.exit(1 if violations else 0)


def _tell(outcome: Outcome) -> int:
    """Print the violations, and return their number."""
    for violation in outcome.violations[:_SHOWN_MAX]:
        click.echo(f"  {violation.kind}: {violation.detail}", err=True)
    return len(outcome.violations)


def _plant_all(seed: int) -> int:
    """Plant each bug, print which bugs were caught, and return the exit status."""
    rows = []
    for bug in bugs():
        click.echo(f"{bug.name}: {bug.description}", err=True)
        kinds = Counter(violation.kind for violation in hunt(bug, seed=seed).violations)
        mostly = max(kinds, key=kinds.__getitem__, default="")
        rows.append((bug.name, bug.scenario, "caught" if kinds else "NOT CAUGHT", mostly))
    click.echo("\n".join(markdown(("bug", "scenario", "", "mostly as"), rows)))
    return int(any(row[2] != "caught" for row in rows))


if __name__ == "__main__":
    main()
