"""``make bench``: measures everything, prints one table, and writes it with JSON and a picture to bench/results/."""

import tempfile
import time
from pathlib import Path
from typing import Final

import click

from bench.measuring import Pace
from bench.plan import Results, measure_everything
from bench.report import table, write

_RESULTS: Final = Path(__file__).with_name("results")


@click.command
@click.option("--quick", is_flag=True, help="One short repetition of each: to see that all of it works.")
@click.option(
    "--results", type=click.Path(path_type=Path), default=_RESULTS, show_default=True, help="Where to write them."
)
def main(*, quick: bool, results: Path) -> None:
    """Measure the service against its ceiling and the naive one, on each store that this machine has."""
    pace = Pace(1, 0.2, 0.5) if quick else Pace(3, 0.2, 1.0)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tk-bench-") as place:
        for step in measure_everything(pace, Path(place)):
            if isinstance(step, Results):
                for line in table(step):
                    click.echo(line)
                for file in write(step, results):
                    click.echo(f"written: {file}")
            else:
                click.echo(f"{time.monotonic() - began:4.0f} s  {step}", err=True)


if __name__ == "__main__":
    main()
