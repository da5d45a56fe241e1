"""The command of ``make bench``: measures everything, prints goals and figures, and writes them to bench/results/."""

import os
import tempfile
import time
from pathlib import Path
from typing import Final

import click

from bench.measurement import Pace, Results
from bench.plan import measure_everything
from bench.report import text, write
from tools.compiled_server import compile_server, lacks_to_compile

_RESULTS: Final = Path(__file__).with_name("results")
_FULL: Final = Pace(3, 0.2, 1.0, calls_before_memory=1_000_000, idle_connections=10_000)
_QUICK: Final = Pace(1, 0.1, 0.3, calls_before_memory=50_000, idle_connections=1_000, is_quick=True)


@click.command
@click.option("--quick", is_flag=True, help="Measure each figure once and briefly, to check that everything works.")
@click.option(
    "--compiled",
    is_flag=True,
    help="Measure the server with its busiest modules compiled to C, as in the image and the wheels for Linux.",
)
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    default=_RESULTS,
    show_default=True,
    help="The folder for the results.",
)
def main(*, quick: bool, compiled: bool, results: Path) -> None:
    """Measure the service and, for comparison, grpc.aio, grpc-go and naive services on each store of this machine."""
    pace = _QUICK if quick else _FULL
    began = time.monotonic()
    if compiled and (lacking := lacks_to_compile()):
        message = f"the server cannot be compiled here: {lacking}"
        raise click.ClickException(message)
    folder = results / "compiled" if compiled else results
    with tempfile.TemporaryDirectory(prefix="tk-bench-") as directory:
        if compiled:
            os.environ["PYTHONPATH"] = str(compile_server(Path(directory, "compiled")))  # for all processes
        for step in measure_everything(pace, Path(directory)):
            if isinstance(step, Results):
                for line in text(step, pace, compiled=compiled):
                    click.echo(line)
                for file in write(step, pace, folder, compiled=compiled):
                    click.echo(f"written: {file}")
            else:
                click.echo(f"{time.monotonic() - began:4.0f} s  {step}", err=True)


if __name__ == "__main__":
    main()
