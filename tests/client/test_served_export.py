"""An export against the real server: it can be read again, and can be of one revision."""

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tallykeeper.v1.inventory_pb2 import StockLevel
from tallykeeper_cli.main import main
from tallykeeper_cli.stock_csv.snapshot import Selection, snapshot
from tallykeeper_client import Client, operations
from tests.support.server import ThreadedServer

HEADER = "item,location,on_hand,safety_stock,backorder_limit,low_stock_threshold\n"
DUNE = HEADER + "dune,main,5,0,0,0\n"


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, server: ThreadedServer, namespace: str) -> Client:
    """Point every command at the server and the test's own namespace, which has five copies of dune."""
    monkeypatch.setenv("TALLYKEEPER_TARGET", server.target)
    monkeypatch.setenv("TALLYKEEPER_NAMESPACE", namespace)
    client = Client(server.target, namespace=namespace)
    client.set_stock("dune", 5)
    return client


def _export_in_a_process(started: threading.Barrier, path: Path) -> None:
    started.wait(10)
    command = [sys.executable, "-m", "tallykeeper_cli", "stock", "export", str(path)]
    assert subprocess.run(command, check=False, timeout=60).returncode == 0


def _export(path: Path | str, *options: str) -> int:
    return main(["stock", "export", str(path), *options])


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o444])
def test_a_file_that_is_replaced_keeps_its_mode_and_its_neighbours(tmp_path: Path, mode: int) -> None:
    path, part = tmp_path / "out.csv", tmp_path / "out.csv.part"
    path.write_text("old")
    part.write_text("precious")
    path.chmod(mode)
    writable = os.access(path, os.W_OK)

    assert _export(path) == (0 if writable else 2)

    assert path.read_text() == (DUNE if writable else "old")
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert sorted(each.name for each in tmp_path.iterdir()) == ["out.csv", "out.csv.part"]
    assert part.read_text() == "precious"


@pytest.mark.usefixtures("client")
def test_a_new_file_has_the_default_mode(tmp_path: Path) -> None:
    (tmp_path / "other").touch()

    assert _export(tmp_path / "out.csv") == 0

    assert (tmp_path / "out.csv").stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.usefixtures("client")
def test_the_file_that_a_link_points_to_is_replaced(tmp_path: Path) -> None:
    real, link, dangling = tmp_path / "real.csv", tmp_path / "latest.csv", tmp_path / "dangling.csv"
    real.write_text("old")
    link.symlink_to("real.csv")
    dangling.symlink_to("new.csv")

    assert (_export(link), _export(dangling)) == (0, 0)

    assert (link.is_symlink(), dangling.is_symlink()) == (True, True)
    assert real.read_text() == (tmp_path / "new.csv").read_text() == DUNE


@pytest.mark.usefixtures("client")
def test_pipes_and_descriptors_are_written_to(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pipe, link, log = tmp_path / "pipe", tmp_path / "stdout", tmp_path / "log"
    os.mkfifo(pipe)
    link.symlink_to("/proc/self/fd/1")
    log.write_text("kept\n")
    with ThreadPoolExecutor(1) as threads:
        reading = threads.submit(pipe.read_text)
        assert _export(pipe) == 0
        assert reading.result(10) == DUNE
    with log.open("a") as file:
        assert _export(f"/dev/fd/{file.fileno()}") == 0

    assert _export(link) == 0

    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert link.is_symlink()
    assert log.read_text() == "kept\n" + DUNE
    assert capfd.readouterr().out == DUNE


def test_two_simultaneous_exports_to_one_file_leave_one_complete_file(client: Client, tmp_path: Path) -> None:
    client.apply([operations.set_stock(f"item-{number:04}", number) for number in range(1000)], atomic=False)
    path = tmp_path / "out.csv"
    path.write_text("old")
    started = threading.Barrier(4)

    with ThreadPoolExecutor(4) as threads:
        for each in [threads.submit(_export_in_a_process, started, path) for _ in range(4)]:
            each.result(60)

    assert len(path.read_text().splitlines()) == 1002
    assert [each.name for each in tmp_path.iterdir()] == ["out.csv"]


def test_backorders_are_written_and_read_again(client: Client, tmp_path: Path) -> None:
    client.configure_stock("dune", backorder_limit=5)
    client.decrement_copies("dune", copies=8)
    client.configure_stock("emma", backorder_limit=9)
    client.decrement_copies("emma", copies=4)
    client.configure_stock("emma", backorder_limit=1, safety_stock=2)
    path, other = tmp_path / "out.csv", f"{client.namespace}-other"

    assert _export(path) == 0
    for _ in range(2):
        assert main(["stock", "import", str(path), "--namespace", other]) == 0

    levels, copied = (list(client.iterate_stock(any_location=True, namespace=each)) for each in (None, other))
    assert copied == levels
    assert [level.on_hand for level in levels] == [-3, -4]


def test_safe_names_are_protected_and_read_again(client: Client, tmp_path: Path) -> None:
    names = ["=1+1", "+1", "-1", "@sum", "'quoted", "plain", "a=b", '=cmd|"x"!A1']
    client.apply([operations.set_stock(name, 1) for name in names], atomic=False)
    path, other = tmp_path / "safe.csv", f"{client.namespace}-other"

    assert _export(path, "--safe") == 0
    assert main(["stock", "import", str(path), "--namespace", other]) == 0

    first_cells = [line.partition(",")[0].strip('"') for line in path.read_text().splitlines()]
    assert first_cells[0] == "safe_item"
    assert not [cell for cell in first_cells if cell.startswith(("=", "+", "-", "@"))]
    assert {level.item for level in client.iterate_stock(namespace=other)} == {*names, "dune"}


def test_a_consistent_export_is_of_one_revision_while_changes_go_on(client: Client) -> None:
    """Move copies between items. Each revision has the same total, but a plain listing sees another one."""
    items = [f"item-{number:04}" for number in range(1500)]
    for first in (0, 500, 1000):
        client.apply([operations.set_stock(item, 10) for item in items[first : first + 500]], atomic=False)

    class Moving(Client):
        """A client that moves copies between listed and unlisted items while a listing runs."""

        def iterate_stock(self, *args: object, **options: object) -> Iterator[StockLevel]:
            for number, level in enumerate(super().iterate_stock(*args, **{**options, "page_size": 100})):  # type: ignore[arg-type]
                if number % 100 == 0:
                    self.apply(
                        [operations.decrement_copies(items[-1 - number // 100]), operations.increment_copies(items[0])],
                        atomic=True,
                    )
                    self.delete_stock("zzz") if number % 200 else self.set_stock("zzz", 0)
                yield level

    with Moving(client.target, namespace=client.namespace) as moving:
        listed = sum(level.on_hand for level in moving.iterate_stock(any_location=True))
        with snapshot(moving, Selection((), "")) as (found, revision):
            levels = list(found)

    assert listed != 15_005
    assert sum(level.on_hand for level in levels) == 15_005
    assert revision == client.get_namespace().revision
    assert levels == list(client.iterate_stock(any_location=True, page_size=1000))


def test_a_consistent_export_names_its_revision_and_selects(
    capsys: pytest.CaptureFixture[str], client: Client, tmp_path: Path
) -> None:
    client.set_stock("dune", 7, location="annex")
    client.set_stock("emma", 8, location="annex")
    path = tmp_path / "out.csv"

    assert _export(path, "--consistent", "--location", "annex", "--location", "main", "--item-prefix", "du") == 0

    assert path.read_text() == HEADER + "dune,annex,7,0,0,0\ndune,main,5,0,0,0\n"
    assert capsys.readouterr().err == f"2 rows written to {path}, as of revision 3\n"
