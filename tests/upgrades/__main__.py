"""`make upgrade-check`: upgrades from an older version and back, under load, on one data directory and on one store."""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from tallykeeper_server.store.embedded.valkey import find_binary
from tests.upgrades.scenarios import go_up, share_a_store, take_turns
from tests.upgrades.versions import FORMER_REVISION, NoRevisionError, Version, former_version, this_version


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the scenarios, and return the exit status: 0 if there is no fault, or no older version to compare with."""
    parser = argparse.ArgumentParser(prog="make upgrade-check", description=__doc__)
    parser.add_argument("--revision", default=FORMER_REVISION, help="the git revision of the older version")
    revision = parser.parse_args(arguments).revision
    with tempfile.TemporaryDirectory(prefix="tk-upgrade-") as name:
        folder = Path(name)
        try:
            old = former_version(revision, folder / "old")
        except NoRevisionError as error:
            click.echo(f"upgrades were not checked: {error}")
            return 0
        found = list(_play(old, this_version(), folder))
    for fault in found:
        click.echo(fault)
    click.echo(f"upgrades from {revision[:12]} and back: {len(found)} faults")
    return 1 if found else 0


def _play(old: Version, new: Version, folder: Path) -> Iterator[str]:
    began = time.monotonic()
    if old.data_format == new.data_format:
        yield from take_turns(old, new, folder)
        click.echo(f"one data directory, in turn: {time.monotonic() - began:.0f} s")
        began = time.monotonic()
        yield from share_a_store(old, new, folder, find_binary(None))
        click.echo(f"one store, at the same time: {time.monotonic() - began:.0f} s")
        return
    click.echo(f"format {old.data_format} does not follow from {new.data_format}: the way back is refused")
    yield from go_up(old, new, folder)


if __name__ == "__main__":
    sys.exit(main())
