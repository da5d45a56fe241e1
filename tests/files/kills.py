"""Kills imports at random moments and continues them. Every row must count once."""

import re
import signal
import subprocess
import time
from pathlib import Path
from random import Random
from typing import Final

from tallykeeper_client import Client
from tests.files.judge import COMMAND, run_import
from tests.support.server import PATIENCE_SECONDS

_RESUME: Final = re.compile(r"--resume (import-[0-9a-f-]+)")
_KILLS_MAX: Final = 3


def kill_and_resume(draw: Random, directory: Path, *, rows: int, target: str, namespace: str) -> list[str]:
    """Import a file of ``rows`` rows with --add, kill the import up to three times, and return the faults."""
    path = directory / f"{namespace}.csv"
    path.write_text("item,on_hand\n" + "".join(f"item-{number:06},{number % 9 + 1}\n" for number in range(rows)))
    import_id, kills = "", draw.randint(1, _KILLS_MAX)
    with Client(target, namespace=namespace) as client:
        for _ in range(kills):
            resume = ("--resume", import_id) if import_id else ()
            import_id = _killed(draw, client, path, *resume, rows=rows, target=target) or import_id
        resume = ("--resume", import_id) if import_id else ()
        imported = run_import(path, "--add", *resume, target=target, namespace=namespace)
        levels = {level.item: level.on_hand for level in client.iterate_stock(page_size=1000)}
        revision = client.get_namespace().revision
        verified = client.verify_namespace().clean
    expected = {f"item-{number:06}": number % 9 + 1 for number in range(rows)}
    found = []
    if imported.exit_code:
        found.append(f"exit code {imported.exit_code}: {imported.lines[-1:]}")
    if levels != expected:
        wrong = [item for item, on_hand in expected.items() if levels.get(item) != on_hand]
        found.append(f"{len(wrong)} levels are wrong, such as {wrong[:3]}")
    if revision != rows:
        found.append(f"{revision} changes were made for {rows} rows")
    if not verified:
        found.append("the namespace does not agree with its ledger")
    return found


def _killed(draw: Random, client: Client, path: Path, *resume: str, rows: int, target: str) -> str:
    """Start an import, and kill it when a random part of the rows is in. Return its id, empty if none was printed."""
    enough = draw.randrange(rows)
    command = [*COMMAND, str(path), "--add", "--target", target, "--namespace", client.namespace, *resume]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        found = _RESUME.search(process.stderr.readline())
        deadline = time.monotonic() + PATIENCE_SECONDS
        while process.poll() is None and client.get_namespace().revision < enough and time.monotonic() < deadline:
            pass  # each query takes a while, so the kill comes at the time of an answer
        process.send_signal(signal.SIGKILL)
    return found[1] if found else ""
