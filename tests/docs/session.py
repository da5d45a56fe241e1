"""Runs the blocks of a page as a reader does: in one shell, and in further terminals where a block asks for one.

The directives, the placeholders and the numbers that are replaced stand in CONTRIBUTING.md, under "Commands in the
documents".
"""

import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Self

from tests.docs.markdown import CLOSE, ROOT, Block
from tests.support.server import PATIENCE_SECONDS, free_ports, wait_until

SHELL_LANGUAGES: Final = frozenset({"sh", "bash", "shell", "console"})
RUNNABLE: Final = SHELL_LANGUAGES | {"python"}
OUTPUT_LANGUAGE: Final = "text"

SERVER: Final = "server"
TERMINAL: Final = "terminal"
EACH_LINE: Final = "each line is a server"
OUTPUT_OF_TERMINAL: Final = "output of the terminal"
NEVER: Final = "never, "

_SERVER_PORT: Final = "50051"
_HTTP_PORT: Final = "50080"
_PORTS: Final = (_SERVER_PORT, _HTTP_PORT, "7001", "7002", "7003")
"""The port numbers of the documents: each is replaced by a free port."""
_CLUSTER_BUS: Final = 10_000
"""A cluster's node uses also the port that is higher by this number."""
_CLUSTER_PORTS: Final = range(20_000, 22_000)
_LINKED: Final = (".venv", "Makefile", "protos")
"""The parts of the repository that a page finds in its folder, so that ``make run`` works there."""
_SOURCES_OF_VENV: Final = ("pyproject.toml", "requirements/dev.txt")
"""The files that ``make`` compares with .venv: a page has old and empty ones, so that it never installs anything."""
_END: Final = "\x1e"
_BLOCK_SECONDS: Final = 120.0


class Session:
    """The terminals of one page, with its own folder and ports. Entering starts the shell, leaving ends all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._scripts = folder.parent / f"{folder.name}-scripts"
        self._ports = _page_ports()
        self._terminals: list[Terminal] = []
        self._count = 0

    def __enter__(self) -> Self:
        for name in _LINKED:
            (self._folder / name).symlink_to(ROOT / name)
        for name in _SOURCES_OF_VENV:
            source = self._folder / name
            source.parent.mkdir(exist_ok=True)
            source.touch()
            os.utime(source, (0, 0))
        self._scripts.mkdir()
        self._shell = subprocess.Popen(
            [
                "/bin/bash",
                "-c",
                "set -eo pipefail; while read -r script; do . \"$script\" </dev/null; printf '\\036'; done",
            ],
            cwd=self._folder,
            env=self._environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        for terminal in reversed(self._terminals):
            terminal.end()
        with suppress(ProcessLookupError):
            os.killpg(self._shell.pid, signal.SIGKILL)
        self._shell.communicate()

    def run(self, block: Block, expected: str | None) -> None:
        """Run a block; fail if one of its commands fails, or prints other output than expected."""
        if block.directive == EACH_LINE:
            self._run_servers(block)
        elif block.directive == CLOSE:
            self.close_terminals()
        elif block.directive in {SERVER, TERMINAL}:
            self._open_terminal(block)
        else:
            assert not block.directive, f"{block}: unknown directive: {block.directive}"
            compare(expected, self._run_in_shell(block), block)

    def compare_terminal(self, block: Block) -> None:
        """Wait until the terminal that was opened last has printed what a block shows."""
        terminal = self._terminals[-1]
        with suppress(AssertionError):
            wait_until(lambda: matches(block.text, self._shown(terminal)), what="the output is there")
        compare(block.text, self._shown(terminal), block)

    def wait_for_terminal(self) -> None:
        """Wait until the commands of the terminal that was opened last have ended."""
        wait_until(lambda: not self._terminals[-1].runs(), what="the terminal's commands have ended")

    def close_terminals(self) -> None:
        """Press Ctrl-C in all terminals; fail if the commands of one have failed before."""
        while self._terminals:
            terminal = self._terminals[-1]
            failed = terminal.failed()
            terminal.end()
            self._terminals.pop()
            assert not failed, f"a command in a terminal failed:\n{terminal.output()}"

    def _run_in_shell(self, block: Block) -> str:
        assert self._shell.stdin is not None
        self._shell.stdin.write(f"{self._script(block.text, block.language)}\n".encode())
        self._shell.stdin.flush()
        output, is_complete = self._read_shell()
        assert is_complete, f"{block}: a command failed, or did not end within {_BLOCK_SECONDS} s:\n{output}"
        return self._as_documented(output)

    def _read_shell(self) -> tuple[str, bool]:
        """Read the shell's output, and find out whether the block came to its end."""
        assert self._shell.stdout is not None
        output, deadline = b"", time.monotonic() + _BLOCK_SECONDS
        while not output.endswith(_END.encode()):
            ready, _, _ = select.select([self._shell.stdout], [], [], max(0.0, deadline - time.monotonic()))
            part = os.read(self._shell.stdout.fileno(), 65_536) if ready else b""
            if not part:
                return output.decode(), False
            output += part
        return output.decode().removesuffix(_END), True

    def _open_terminal(self, block: Block) -> None:
        terminal = Terminal(self._script(block.text, block.language), self._folder, self._environment())
        self._terminals.append(terminal)
        if block.directive == SERVER:
            self._wait_for_server(terminal, self._ports[_SERVER_PORT], block)

    def _run_servers(self, block: Block) -> None:
        """Start each line of a block as a server by itself, in an empty folder, and end it once it serves."""
        for number, line in enumerate(block.text.splitlines()):
            folder = self._scripts / f"line-{block.line + number}"
            folder.mkdir()
            (folder / ".venv").symlink_to(ROOT / ".venv")
            (port,) = free_ports(1)
            script = self._script(line, block.language, {_SERVER_PORT: str(port)})
            environment = self._environment() | {"TALLYKEEPER_HTTP_LISTEN": "127.0.0.1:0"}
            del environment["TALLYKEEPER_LISTEN"]
            terminal = Terminal(script, folder, environment)
            try:
                self._wait_for_server(terminal, str(port), block)
            finally:
                terminal.end()

    def _wait_for_server(self, terminal: "Terminal", port: str, block: Block) -> None:
        with suppress(AssertionError):
            wait_until(lambda: not terminal.runs() or _listens(port), what="the server listens")
        serves = terminal.runs() and _listens(port)
        assert serves, f"{block}: no server at {port}:\n{terminal.output()}"

    def _script(self, text: str, language: str, ports: Mapping[str, str] | None = None) -> Path:
        """Write a block with the page's ports in the place of the documents', and return what a shell can source."""
        self._count += 1
        written = _replaced(text, self._ports if ports is None else ports)
        script = self._scripts / f"{self._count}.sh"
        if language == "python":
            program = script.with_suffix(".py")
            program.write_text(written + "\n")
            written = f"python -u {program}"
        script.write_text(written + "\n")
        return script

    def _shown(self, terminal: "Terminal") -> str:
        return self._as_documented(terminal.output())

    def _as_documented(self, output: str) -> str:
        return _replaced(output, {free: documented for documented, free in self._ports.items()})

    def _environment(self) -> dict[str, str]:
        # The variables of a make around the tests would reach the make in a block.
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("TALLYKEEPER_", "MAKE", "ARGS"))
        }
        inherited.pop("MFLAGS", None)
        target = f"127.0.0.1:{self._ports[_SERVER_PORT]}"
        return inherited | {
            "COLUMNS": "120",
            "LC_ALL": "C.UTF-8",
            "TERM": "dumb",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "TALLYKEEPER_HTTP_LISTEN": f"127.0.0.1:{self._ports[_HTTP_PORT]}",
            "TALLYKEEPER_LISTEN": target,
            "TALLYKEEPER_TARGET": target,
            "TALLYKEEPER_WORKERS": "1",
        }


class Terminal:
    """A script that runs beside the page's shell. Its output is kept in a file."""

    def __init__(self, script: Path, folder: Path, environment: Mapping[str, str]) -> None:
        self._kept = script.with_suffix(".out")
        with self._kept.open("wb") as output:
            self._process = subprocess.Popen(
                ["/bin/bash", "-eo", "pipefail", script],
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def runs(self) -> bool:
        """Tell whether the script has not ended."""
        return self._process.poll() is None

    def failed(self) -> bool:
        """Tell whether the script has ended by a command that failed."""
        return bool(self._process.poll())

    def output(self) -> str:
        """Return all that it has printed until now."""
        return self._kept.read_text()

    def end(self) -> None:
        """Press Ctrl-C in it, and wait until it has ended."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGINT)
        try:
            self._process.wait(PATIENCE_SECONDS)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)


@contextmanager
def session(folder: Path) -> Iterator[Session]:
    """Give a session in a new folder."""
    folder.mkdir()
    with Session(folder) as opened:
        yield opened


def compare(expected: str | None, output: str, block: Block) -> None:
    """Fail if the output differs from that on the page. ``None`` means that the page shows no output."""
    if expected is not None:
        assert matches(expected, output), f"{block}: this was printed:\n{output}\nbut the page shows:\n{expected}"


def matches(expected: str, output: str) -> bool:
    """Return whether an output matches the text on a page, where ``…`` stands for any text of a line, or for any lines.

    Spaces at the ends of lines do not count.
    """
    lines = (line.rstrip() for line in expected.strip("\n").splitlines())
    pattern = "".join(r"(?:.*\n)*?" if line.strip() == "…" else _line_pattern(line) for line in lines)
    found = "".join(f"{line.rstrip()}\n" for line in output.strip("\n").splitlines())
    return re.fullmatch(pattern, found) is not None


def _line_pattern(line: str) -> str:
    return ".*".join(re.escape(part) for part in line.split("…")) + r"\n"


def _replaced(text: str, ports: Mapping[str, str]) -> str:
    return re.sub(r"\b(?:" + "|".join(ports) + r")\b", lambda found: ports[found[0]], text)


def _page_ports() -> dict[str, str]:
    plain = free_ports(len(_PORTS))
    cluster = iter(_free_cluster_ports())
    return {
        documented: str(next(cluster)) if documented.startswith("7") else str(free)
        for documented, free in zip(_PORTS, plain, strict=True)
    }


def _free_cluster_ports() -> Iterator[int]:
    while True:
        (port,) = free_ports(1)
        low = _CLUSTER_PORTS[port % len(_CLUSTER_PORTS)]
        if not _listens(str(low)) and not _listens(str(low + _CLUSTER_BUS)):
            yield low


def _listens(port: str) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", int(port)), timeout=PATIENCE_SECONDS):
        return True
    return False
