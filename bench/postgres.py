"""A comparison with PostgreSQL, which takes one statement for a change.

The statement records a request id, takes a copy if there is one, and adds a ledger row. The comparison runs only if
PostgreSQL is installed, on a temporary cluster.
"""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench.processes import Process, free_port

CLIENTS: Final = 32
_TABLES: Final = """
CREATE TABLE stock (item int PRIMARY KEY, on_hand bigint NOT NULL CHECK (on_hand >= 0)) WITH (fillfactor = 50);
CREATE TABLE request (id uuid PRIMARY KEY);
CREATE TABLE ledger (revision bigserial PRIMARY KEY, at timestamptz DEFAULT now(), item int, change int, after bigint);
INSERT INTO stock SELECT item, 1000000000 FROM generate_series(0, 999) item;
"""
_STATEMENT: Final = """
\\set item random(0, 999)
WITH asked AS (INSERT INTO request VALUES (gen_random_uuid()) ON CONFLICT DO NOTHING RETURNING id),
taken AS (UPDATE stock SET on_hand = on_hand - 1 WHERE item = :item AND on_hand >= 1 AND EXISTS (SELECT FROM asked)
  RETURNING item, on_hand)
INSERT INTO ledger (item, change, after) SELECT item, -1, on_hand FROM taken RETURNING revision, after;
"""


def transactions_per_second(*, seconds: float) -> float | None:
    """Run pgbench with 32 connections and prepared statements. Return None if PostgreSQL is not installed."""
    programs = _programs()
    if programs is None:
        return None
    user = "nobody" if os.geteuid() == 0 else None  # PostgreSQL does not run as root
    with (
        tempfile.TemporaryDirectory(prefix="tk-bench-") as directory,
        _running(programs, Path(directory), user) as connect,
    ):
        (statement := Path(directory, "statement.sql")).write_text(_STATEMENT)
        _run(programs / "psql", *connect, "-q", "-c", _TABLES, "postgres", user=user)
        words = ("-n", "-M", "prepared", "-c", CLIENTS, "-j", 2, "-T", max(1, round(seconds)), "-f", statement)
        output = _run(programs / "pgbench", *connect, *words, "postgres", user=user)
    found = re.search(r"tps = ([0-9.]+)", output)
    return float(found[1]) if found else None


def _programs() -> Path | None:
    """Return the folder of PostgreSQL's programs: Debian's newest version, or the version on PATH."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    on_path = shutil.which("postgres")
    folders = [*([Path(on_path).parent] if on_path else []), *reversed(versions)]
    wanted = ("initdb", "postgres", "pgbench", "psql")
    return next((folder for folder in folders if all((folder / name).exists() for name in wanted)), None)


@contextlib.contextmanager
def _running(programs: Path, directory: Path, user: str | None) -> Iterator[tuple[str | Path, ...]]:
    """Run a cluster with PostgreSQL's own defaults for durability. Yield the options with which a client connects."""
    if user is not None:
        shutil.chown(directory, user)
    data, port = directory / "data", str(free_port())
    _run(programs / "initdb", "-D", data, "-A", "trust", "-U", "bench", user=user)
    words = ("-D", data, "-k", directory, "-p", port, "-c", "listen_addresses=")
    with Process([programs / "postgres", *words], log=directory.parent / f"{directory.name}.log", user=user) as process:
        connect = ("-h", directory, "-p", port, "-U", "bench")
        process.wait_for(lambda: _answers(programs, connect, user))
        yield connect
    (directory.parent / f"{directory.name}.log").unlink()


def _answers(programs: Path, connect: tuple[str | Path, ...], user: str | None) -> bool:
    with contextlib.suppress(subprocess.CalledProcessError):
        _run(programs / "psql", *connect, "-c", "SELECT 1", "postgres", user=user)
        return True
    return False


def _run(program: Path, *words: object, user: str | None) -> str:
    command = [str(program), *map(str, words)]
    run = subprocess.run(command, capture_output=True, encoding="utf-8", check=True, user=user)  # noqa: S603  # PostgreSQL's
    return run.stdout
