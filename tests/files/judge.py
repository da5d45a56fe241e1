"""Imports a file with the command, and checks that each of its rows was imported or named."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from tallykeeper_client import Client
from tests.files.spreadsheet import Spreadsheet

COMMAND: Final = (sys.executable, "-m", "tallykeeper_cli", "stock", "import")
KeyT = TypeVar("KeyT")
_MEASURED: Final = """
import pathlib, re, sys
from tallykeeper_cli.main import main
code = main()
status = pathlib.Path("/proc/self/status")
found = re.search("VmHWM:[^0-9]*([0-9]+)", status.read_text()) if status.exists() else None
print(found[1] if found else 0)
sys.exit(code)
"""
"""A program that runs the command and prints its greatest memory in KiB. The figure of wait4 includes the parent's."""
_NAMED: Final = re.compile(r"line ([0-9]+)(?:, column ([a-z_]+))?: ")
_PLACES: Final = ("new", "changed", "unchanged", "overridden", "replayed", "refused", "bad")
"""The possible outcomes of a row."""


@dataclass(frozen=True, slots=True)
class Imported:
    """The outcome of an import, and its memory."""

    exit_code: int
    numbers: dict[str, int]
    lines: Sequence[str]
    peak_mib: float


def run_import(path: Path, *options: str, target: str, namespace: str) -> Imported:
    """Run the command in a new process."""
    command = [
        sys.executable,
        "-c",
        _MEASURED,
        *COMMAND[3:],
        str(path),
        "--json",
        "--target",
        target,
        "--namespace",
        namespace,
        *options,
    ]
    environment = {**os.environ, "COLUMNS": "1000"}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8", env=environment
    )
    assert process.stdout is not None
    assert process.stderr is not None
    errors = process.stderr.read()  # the answer is one line, which fits into a pipe
    answer = process.stdout.read()
    process.wait()
    process.stdout.close()
    process.stderr.close()
    *sums, peak_kib = answer.splitlines()
    numbers = json.loads(sums[0]) if sums else {}
    return Imported(process.returncode, numbers, errors.splitlines(), int(peak_kib) / 1024)


def faults(sheet: Spreadsheet, imported: Imported, *, target: str, namespace: str) -> list[str]:
    """Return all faults."""
    found: list[str] = []
    named = {int(at[1]): at[2] or "" for line in imported.lines if (at := _NAMED.match(line))}
    if named != sheet.bad:
        found.append(f"rows named {_differences(named, sheet.bad)}")
    if imported.exit_code != (1 if sheet.bad else 0):
        found.append(f"exit code {imported.exit_code}: {imported.lines[-1:]}")
    numbers = imported.numbers
    if numbers.get("rows") != sheet.rows or numbers.get("bad") != len(sheet.bad):
        found.append(f"{numbers} counted; there are {sheet.rows} rows and {len(sheet.bad)} are bad")
    if sum(numbers.get(name, 0) for name in _PLACES) != sheet.rows:
        found.append(f"{numbers} do not add up to {sheet.rows} rows")
    with Client(target, namespace=namespace) as client:
        levels = {
            (level.item, level.location): level.on_hand
            for level in client.iterate_stock(any_location=True, page_size=1000)
        }
    if levels != sheet.levels:
        found.append(f"levels {_differences(levels, sheet.levels)}")
    return found


def _differences(actual: Mapping[KeyT, object], expected: Mapping[KeyT, object]) -> str:
    wrong = {key: value for key, value in actual.items() if expected.get(key) != value}
    missing = {key: value for key, value in expected.items() if key not in actual}
    return f"wrong {dict(list(wrong.items())[:3])!r}, missing {dict(list(missing.items())[:3])!r}"
