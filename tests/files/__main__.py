"""`make files`: many files with the habits of spreadsheets, up to 200,000 rows long, and 50 imports that are killed."""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import click

from tests.files.judge import faults, run_import
from tests.files.kills import kill_and_resume
from tests.files.spreadsheet import spreadsheet
from tests.support.server import ServerProcess

_ROWS_OF_LARGE = (200_000, 100_000, 50_000, 20_000, 20_000)


def _sizes(draw: Random, files: int, rows_max: int) -> Iterator[int]:
    """Yield the number of rows of each file. Most files have few rows, and some are large."""
    for number in range(files):
        large = _ROWS_OF_LARGE[number] if number < len(_ROWS_OF_LARGE) else 10 ** draw.uniform(0.3, 3.5)
        yield min(int(large), rows_max)


def _import_files(directory: Path, target: str, arguments: argparse.Namespace) -> int:
    draw, failed, rows = Random(arguments.seed), 0, 0
    peaks: dict[int, float] = {}
    for number, size in enumerate(_sizes(draw, arguments.files, arguments.rows)):
        sheet, namespace = spreadsheet(arguments.seed + number, rows=size), f"file-{number}"
        path = directory / "stock.csv"
        path.write_bytes(sheet.content)
        imported = run_import(path, *sheet.options, target=target, namespace=namespace)
        rows += sheet.rows
        peaks[size] = max(peaks.get(size, 0.0), imported.peak_mib)
        for fault in faults(sheet, imported, target=target, namespace=namespace):
            failed += 1
            click.echo(f"file {number} (seed {arguments.seed + number}, {sheet.habits}): {fault}")
    largest, smallest = max(peaks), min(peaks)
    click.echo(f"{arguments.files} files, {rows} rows, {failed} faults")
    click.echo(f"memory: {peaks[smallest]:.0f} MiB for {smallest} rows, {peaks[largest]:.0f} MiB for {largest} rows")
    return failed


def _kill_imports(directory: Path, target: str, arguments: argparse.Namespace) -> int:
    draw, failed = Random(arguments.seed), 0
    for number in range(arguments.kills):
        found = kill_and_resume(draw, directory, rows=5_000, target=target, namespace=f"killed-{number}")
        failed += len(found)
        for fault in found:
            click.echo(f"import {number}: {fault}")
    click.echo(f"{arguments.kills} imports killed and continued, {failed} faults")
    return failed


def main() -> int:
    """Run everything, and return the exit status, which is 0 if there is no fault."""
    parser = argparse.ArgumentParser(prog="make files")
    parser.add_argument("--files", type=int, default=300, help="how many files")
    parser.add_argument("--rows", type=int, default=200_000, help="the number of rows of the largest file")
    parser.add_argument("--kills", type=int, default=50, help="the number of imports that are killed")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="the seed of all random choices")
    arguments = parser.parse_args()
    click.echo(f"seed {arguments.seed}")
    with tempfile.TemporaryDirectory() as name, ServerProcess("--data-dir", f"{name}/data") as server:
        directory = Path(name)
        failed = _import_files(directory, server.target, arguments) + _kill_imports(directory, server.target, arguments)
    return 1 if failed else 0


sys.exit(main())
