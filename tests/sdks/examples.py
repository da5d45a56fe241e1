"""Runs an example against a server: it prints the five lines of all examples, and each of its changes counts once."""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tallykeeper_client import Client
from tests.sdks.suites import Check, CheckFailedError, CheckSkipped, Command
from tests.support.server import TALLYKEEPER, ServerProcess

ROOT: Final = Path(__file__).parents[2]
LINES: Final = (
    "sold 1 of 3, 2 left",
    "sold 2 of 3, 1 left",
    "sold 3 of 3, 0 left",
    "sold out: INSUFFICIENT_STOCK, 0 available",
    "retried with the same request id: counter 1, replayed true",
)
"""The output of every example."""
_CHANGES: Final = 5
"""An example sets the stock once, sells three copies, and counts once."""
_HTTP_OPTION: Final = "--http-listen"


@dataclass(frozen=True, slots=True)
class Example:
    """A program that plays the first act of the demo."""

    words: Sequence[str | Path]
    """The command that starts it, with the address of the server in the environment."""
    folder: Path
    argument: Sequence[str] = ()
    """The words that name the server on the command line, with ``{address}``. If there are none, that is not tried."""
    environment: Mapping[str, str] = field(default_factory=dict)
    uses_http: bool = False
    """Whether it calls the HTTP port."""
    prints_more: bool = False
    """Whether the command builds first, and prints about that before the lines."""


def example(program: Example, tools: Sequence[str] = ()) -> Check:
    """Return the check that runs an example."""
    return Check("example", lambda: _play(program), tools)


@contextmanager
def server(*options: str) -> Iterator[ServerProcess]:
    """Start a server with an empty store on free ports."""
    with TemporaryDirectory(prefix="tallykeeper-sdks-") as folder:
        http = (_HTTP_OPTION, "127.0.0.1:0") if has_http() else ()
        with ServerProcess("--data-dir", str(Path(folder, "data")), *http, *options) as serving:
            yield serving


def http_address(serving: ServerProcess) -> str:
    """Return the host and port at which a server speaks HTTP."""
    return str(serving.events("serving")[0]["http"]).removeprefix("http://")


@cache
def has_http() -> bool:
    """Find out whether the server of this checkout has an HTTP port."""
    shown = subprocess.run([TALLYKEEPER, "serve", "--help"], check=True, capture_output=True, text=True).stdout
    return _HTTP_OPTION in shown


def require_http() -> None:
    """Skip a check if the server has no HTTP port."""
    if not has_http():
        message = f"the server has no HTTP port: tallykeeper serve has no {_HTTP_OPTION}"
        raise CheckSkipped(message)


def compare(printed: str, *, prints_more: bool = False) -> None:
    """Compare what an example printed with what all examples print.

    :raises CheckFailedError: they differ.
    """
    lines = printed.strip("\n").split("\n")
    found = tuple(lines[-len(LINES) :] if prints_more else lines)
    if found != LINES:
        message = "the example printed other lines than all examples do:\n" + "\n".join(found)
        raise CheckFailedError(message)


def see_each_change_counted_once(target: str, *, runs: int) -> None:
    """See that each run of an example made each change once, and each under another request id.

    :raises CheckFailedError: a change counts twice, is missing, or has no request id.
    """
    with Client(target) as client:
        names = [each.namespace for each in client.list_namespaces().namespaces]
        if len(names) != runs:
            message = f"{runs} runs of the example changed {len(names)} namespaces: {', '.join(names)}"
            raise CheckFailedError(message)
        for name in names:
            ids = [entry.request_id for entry in client.list_entries(namespace=name).entries]
            if len(ids) != _CHANGES or len(set(ids)) != _CHANGES or "" in ids:
                message = f"the example made {len(ids)} changes under the request ids {ids}, and not {_CHANGES}"
                raise CheckFailedError(message)


def _play(program: Example) -> str:
    if program.uses_http:
        require_http()
    with server() as serving:
        address = http_address(serving) if program.uses_http else serving.target
        variable = "TALLYKEEPER_HTTP_ADDRESS" if program.uses_http else "TALLYKEEPER_ADDRESS"
        _run(program, (), {variable: address})
        if program.argument:
            _run(program, [word.format(address=address) for word in program.argument], {})
        see_each_change_counted_once(serving.target, runs=2 if program.argument else 1)
    return ""


def _run(program: Example, argument: Sequence[str], environment: Mapping[str, str]) -> None:
    variables = {**program.environment, **environment}
    printed = Command([*program.words, *argument], program.folder, variables).output()
    compare(printed, prints_more=program.prints_more)
