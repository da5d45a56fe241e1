"""The command line itself: the commands that it finds, and its exit codes."""

import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints, version

import click
import pytest

from tallykeeper_cli import main as command_line


@click.command
@click.option("--port", type=int)
def _probe(port: int | None) -> int | None:
    """Return the number that the test gives."""
    return port


@click.command
def _refuse() -> None:
    """Refuse."""
    message = "The store at 'x' is\n  too old."
    raise click.UsageError(message)


@click.command
def _fail() -> None:
    """Fail."""
    message = "TALLYKEEPER_STORE names nothing"
    raise click.ClickException(message)


@click.command
def _interrupt() -> None:
    """Raise an interrupt."""
    raise KeyboardInterrupt


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Install only the commands above."""
    installed = EntryPoints(
        EntryPoint(name, f"{__name__}:{target}", "tallykeeper.commands")
        for name, target in {
            "probe": "_probe",
            "refuse": "_refuse",
            "fail": "_fail",
            "interrupt": "_interrupt",
        }.items()
    )

    monkeypatch.setattr(command_line, "entry_points", installed.select)


@pytest.mark.usefixtures("commands")
@pytest.mark.parametrize(
    ("arguments", "exit_code", "line"),
    [
        (["prob"], 2, "tallykeeper: no such command 'prob' (see 'tallykeeper --help')"),
        (["--colour"], 2, "tallykeeper: no such option '--colour' (see 'tallykeeper --help')"),
        (
            ["probe", "x"],
            2,
            ("tallykeeper probe: got unexpected extra argument (x) (see 'tallykeeper probe --help')"),
        ),
        (["refuse"], 2, "tallykeeper refuse: the store at 'x' is too old (see 'tallykeeper refuse --help')"),
        (["fail"], 1, "tallykeeper: TALLYKEEPER_STORE names nothing"),
    ],
)
def test_an_error_is_one_line_and_its_exit_code(
    capsys: pytest.CaptureFixture[str], *, arguments: list[str], exit_code: int, line: str
) -> None:
    assert command_line.main(arguments) == exit_code

    captured = capsys.readouterr()
    assert captured.err == f"{line}\n"
    assert captured.out == ""


@pytest.mark.usefixtures("commands")
def test_an_interrupt_ends_without_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["interrupt"]) == 130

    assert capsys.readouterr().err.strip() == ""


@pytest.mark.usefixtures("commands")
@pytest.mark.parametrize(("arguments", "exit_code"), [(["probe"], 0), (["probe", "--port", "7"], 7)])
def test_a_command_may_return_its_exit_code(arguments: list[str], exit_code: int) -> None:
    assert command_line.main(arguments) == exit_code


@pytest.mark.usefixtures("commands")
@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_lists_the_installed_commands(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert command_line.main(arguments) == 0

    out = capsys.readouterr().out
    assert "Usage: tallykeeper" in out
    assert "probe      Return the number that the test gives." in out


def test_the_version_is_that_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["--version"]) == 0

    assert capsys.readouterr().out == f"tallykeeper {version('tallykeeper')}\n"


def test_the_installed_commands_are_those_of_client_and_server() -> None:
    nouns = ["counter", "ledger", "namespace", "reservation", "stock"]
    verbs = [
        "access",
        "backup",
        "certificates",
        "check-aof",
        "completion",
        "console",
        "demo",
        "health",
        "restore",
        "serve",
        "status",
    ]
    verbs += ["verify", "watch"]

    assert command_line.tallykeeper.list_commands(click.Context(command_line.tallykeeper)) == sorted([*nouns, *verbs])


def test_the_module_runs_the_command_line() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tallykeeper_cli", "nothing"], capture_output=True, text=True, check=False
    )

    assert ran.returncode == 2
    assert ran.stderr == "tallykeeper: no such command 'nothing' (see 'tallykeeper --help')\n"


def test_the_client_loads_nothing_of_the_server() -> None:
    ran = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, tallykeeper_cli.demo.command, tallykeeper_cli.commands.stock; print(*sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "tallykeeper_cli.demo.command" in ran.stdout
    assert "tallykeeper_server" not in ran.stdout
