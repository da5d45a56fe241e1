"""Every command in bad surroundings: one line on stderr, no traceback, and the documented exit code."""

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TextIO

import click
import pytest

from tallykeeper_cli import main as command_line
from tallykeeper_cli.terminal.exit_codes import EXIT_CODES
from tallykeeper_client import Client, StockLine
from tests.support.server import ThreadedServer

README: Final = Path(__file__).parents[2] / "README.md"

CALLS: Final[Mapping[str, str]] = {
    "counter configure": "visits --max 9",
    "counter delete": "visits",
    "counter get": "visits",
    "counter increment": "visits",
    "counter list": "",
    "counter set": "visits 3",
    "ledger list": "",
    "ledger lookup": "first",
    "namespace get": "",
    "namespace list": "",
    "reservation commit": "basket",
    "reservation extend": "basket --ttl 2h",
    "reservation get": "basket",
    "reservation list": "",
    "reservation release": "basket",
    "reservation reserve": "dune=2",
    "stock check": "dune",
    "stock configure": "dune --safety-stock 1",
    "stock decrement": "dune",
    "stock delete": "emma",
    "stock export": "",
    "stock get": "dune",
    "stock import": "{directory}/stock.csv",
    "stock increment": "dune",
    "stock item": "dune",
    "stock list": "",
    "stock move": "dune --to annex",
    "stock set": "dune 4",
    "verify": "",
    "watch": "--after-revision 0",
}
"""Every command that calls a server, with arguments for the prepared namespace."""

OTHERS: Final = {"access certificate", "access check", "access grant", "access key", "backup", "certificates"} | {
    "completion",
    "console",
    "demo",
    "check-aof",
    "health",
    "restore",
    "serve",
    "status",
}
"""The commands that call no server, or start a server, or play the demo."""


def _leaves(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[str]:
    if not isinstance(command, click.Group):
        yield " ".join(path)
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        assert inner is not None
        yield from _leaves(inner, (*path, name))


def test_every_command_is_in_the_tables() -> None:
    assert set(_leaves(command_line.tallykeeper)) == CALLS.keys() | OTHERS


@pytest.fixture
def prepared(tmp_path: Path, server: ThreadedServer, namespace: str, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A namespace, named by the environment, in which every command of the table succeeds."""
    monkeypatch.setenv("TALLYKEEPER_TARGET", server.target)
    monkeypatch.setenv("TALLYKEEPER_NAMESPACE", namespace)
    (tmp_path / "stock.csv").write_text("item,on_hand\ndune,7\n")
    client = Client(server.target, namespace=namespace)
    client.increment("visits", request_id="first")
    client.set_stock("dune", 5)
    client.set_stock("emma", 0)
    client.reserve([StockLine(item="dune")], reservation_id="basket")
    return client


def _command(name: str, directory: Path) -> list[str]:
    return [*name.split(), *CALLS[name].format(directory=directory).split()]


@contextmanager
def _full_disk() -> Iterator[TextIO]:
    with suppress(OSError), Path("/dev/full").open("w") as file:
        yield file


@contextmanager
def _pipe_without_a_reader() -> Iterator[TextIO]:
    read, write = os.pipe()
    os.close(read)
    with suppress(OSError), os.fdopen(write, "w") as file:
        yield file


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("name", CALLS)
def test_an_answer_that_cannot_be_written_has_its_own_code_and_the_change_is_made(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, prepared: Client, tmp_path: Path, name: str
) -> None:
    before = prepared.get_namespace().revision

    with _full_disk() as out:
        monkeypatch.setattr(sys, "stdout", out)
        assert command_line.main(_command(name, tmp_path)) == 5

    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == (
        "tallykeeper: the output cannot be written: No space left on device; the command has done its work"
    )
    assert len(lines) == (2 if name == "stock import" else 1)  # an import first prints the detected form
    changes = re.search(r"(set|configure|delete|crement|import|move|commit|extend|release|reserve)$", name)
    assert prepared.get_namespace().revision == before + (1 if changes else 0)


@pytest.mark.parametrize("name", CALLS)
def test_a_reader_that_leaves_causes_no_failure(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, prepared: Client, tmp_path: Path, name: str
) -> None:
    assert prepared.target

    with _pipe_without_a_reader() as out:
        monkeypatch.setattr(sys, "stdout", out)
        assert command_line.main(_command(name, tmp_path)) == 0

    assert len(capsys.readouterr().err.splitlines()) == (1 if name == "stock import" else 0)


@pytest.mark.parametrize("name", CALLS)
def test_no_server_is_one_line_and_code_3(
    capsys: pytest.CaptureFixture[str], nobody: str, tmp_path: Path, name: str
) -> None:
    (tmp_path / "stock.csv").write_text("item,on_hand\ndune,7\n")
    if name == "watch":
        pytest.skip("a watch waits for a server that is away")

    assert command_line.main([*_command(name, tmp_path), "--target", nobody, "--timeout", "0.2"]) == 3

    (line,) = capsys.readouterr().err.splitlines()
    assert f"nobody listens at 127.0.0.1 port {nobody.rpartition(':')[2]} (connection refused)" in line


@pytest.fixture(scope="module")
def http_server() -> Iterator[str]:
    """A server that knows only HTTP/1."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    opened, _ = listener.accept()
                except OSError:
                    return
                with opened, suppress(OSError):
                    opened.settimeout(5)
                    opened.recv(1000)
                    opened.sendall(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


@pytest.mark.parametrize("name", ["counter list", "stock decrement", "stock import", "reservation reserve", "verify"])
def test_a_server_of_another_kind_is_one_line_and_code_3(
    capsys: pytest.CaptureFixture[str], http_server: str, tmp_path: Path, name: str
) -> None:
    (tmp_path / "stock.csv").write_text("item,on_hand\ndune,7\n")

    assert command_line.main([*_command(name, tmp_path), "--target", http_server, "--timeout", "0.5"]) == 3

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        f"tallykeeper: no Tallykeeper server answers at {http_server}: an HTTP/1 server listens there"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ("stock export {d}/missing/out.csv", 2, "No such file or directory"),
        ("stock export {d}/stock.csv/out.csv", 2, "Not a directory"),
        ("stock export {d}", 2, "is a directory"),
        ("stock export /proc/out.csv", 2, "cannot be written"),
        ("stock export /dev/full", 5, "/dev/full cannot be written: No space left on device"),
        ("stock import {d}/missing.csv", 2, "missing.csv cannot be read: No such file or directory"),
        ("stock import {d}", 2, "cannot be read: Is a directory"),
        ("stock import {d}/stock.csv --rejects {d}/missing/r.csv", 2, "No such file or directory"),
        ("stock import {d}/stock.csv --rejects {d}/stock.csv", 2, "is the file to import"),
        ("stock import {d}/stock.csv --encoding utf-77", 2, "'utf-77' is not a text encoding"),
        ("stock import {d}/stock.csv --delimiter ab", 2, "'ab' is not a delimiter"),
        ("stock import {d}/stock.csv --columns qty=Qty", 2, "'qty=Qty' is not COLUMN=NAME"),
        ("stock import {d}/stock.csv --resume yesterday", 2, "'yesterday' is not the id of an import"),
        ("stock import {d}/stock.csv --request-id " + "x" * 49, 2, "must be 1 to 48 printable ASCII characters"),
        ("stock import {d}/stock.csv --dry-run --reason " + "x" * 65, 2, "--reason has 65 bytes; at most 64"),
        ("stock import {d}/stock.csv --location no/place", 2, "--location 'no/place' is not of the form"),
        ("stock import {d}/stock.csv --atomic --skip-bad", 2, "--atomic and --skip-bad exclude each other"),
        ("counter list --token-file {d}/missing", 2, "missing cannot be read: No such file or directory"),
        ("counter list --ca {d}/missing", 2, "missing cannot be read: No such file or directory"),
        ("counter list --target localhost", 2, "'localhost' names no port"),
        ("access key web --file {d}/missing/access.toml", 1, "cannot be written: No such file or directory"),
        ("access check --file {d}/missing.toml", 1, "missing.toml"),
        ("backup {d}/copy --data-dir {d}/missing", 1, "missing"),
        ("restore {d}/missing --data-dir {d}/new", 1, "missing was not restored, and nothing was changed"),
        ("certificates {d}/stock.csv", 2, "stock.csv"),
        ("completion tcsh", 2, "'tcsh' is not one of"),
        ("serve --config {d}/missing.toml", 2, "missing.toml"),
    ],
)
def test_a_missing_file_or_folder_is_one_line(
    capsys: pytest.CaptureFixture[str], prepared: Client, tmp_path: Path, *, arguments: str, code: int, words: str
) -> None:
    before = prepared.get_namespace().revision

    assert command_line.main(arguments.format(d=tmp_path).split()) == code

    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert words in line
    assert captured.out == ""
    assert prepared.get_namespace().revision == before


def _run(*arguments: str, **options: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tallykeeper_cli", *arguments]
    return subprocess.run(command, check=False, encoding="utf-8", timeout=60, **options)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_the_output_is_utf_8_in_every_locale(prepared: Client, encoding: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "LC_ALL": "C"}

    ran = _run("stock", "increment", "дюна", env=environment, capture_output=True)

    assert (ran.returncode, ran.stderr) == (0, "")
    assert "дюна" in ran.stdout
    assert prepared.get_stock("дюна").stock_level.on_hand == 1


@pytest.mark.usefixtures("prepared")
@pytest.mark.parametrize(
    ("redirection", "code", "errors"),
    [
        ("> /dev/full", 5, 1),
        (">&-", 5, 1),
        ("2> /dev/full", 0, 0),
        ("2>&-", 0, 0),
        ("| head -c 10; exit ${PIPESTATUS[0]}", 0, 0),
        ("| true; exit ${PIPESTATUS[0]}", 0, 0),
        ("> /dev/full 2> /dev/full", 5, 0),
    ],
)
def test_a_process_prints_nothing_after_its_command(*, redirection: str, code: int, errors: int) -> None:
    line = f"{sys.executable} -m tallykeeper_cli stock increment dune --copies 3 {redirection}"

    ran = subprocess.run(["bash", "-c", line], check=False, capture_output=True, text=True, timeout=60)  # noqa: S607

    assert ran.returncode == code
    assert len(ran.stderr.splitlines()) == errors
    assert "Traceback" not in ran.stderr


def test_a_defect_is_one_line_and_has_its_own_code(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, prepared: Client
) -> None:
    def broken(*_: object, **__: object) -> None:
        message = "on no\naccount"
        raise RuntimeError(message)

    assert prepared.target
    monkeypatch.setattr(Client, "iterate_counters", broken)

    assert command_line.main(["counter", "list"]) == 70

    assert capsys.readouterr().err == (
        "tallykeeper: a defect of this program: RuntimeError: on no account (TALLYKEEPER_DEBUG=1 shows where)\n"
    )
    monkeypatch.setenv("TALLYKEEPER_DEBUG", "1")
    with pytest.raises(RuntimeError, match="on no"):
        command_line.main(["counter", "list"])


def test_the_readme_lists_the_exit_codes_of_the_help() -> None:
    help_codes = dict(re.findall(r"^  ([0-9]+) +(.+)$", EXIT_CODES, flags=re.MULTILINE))
    readme_codes = dict(re.findall(r"^\| ([0-9]+) \| (.+) \|$", README.read_text(), flags=re.MULTILINE))

    assert readme_codes.keys() == help_codes.keys()
    assert {code: text.replace("`", "'") for code, text in readme_codes.items()} == help_codes
