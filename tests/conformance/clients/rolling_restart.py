"""A server under the load of several programs, whose workers are replaced one after another, several times."""

import json
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from tallykeeper.v1.inventory_pb2 import StockKey
from tallykeeper_client import Client, tls_credentials
from tallykeeper_client._channel import SERVICE_CONFIG
from tests.conformance.clients.verdict import Report, Truth, problems
from tests.support.server import TALLYKEEPER, ServerProcess, wait_until

RESTARTS: Final = 3
_WORKERS: Final = 2
_CALLERS: Final = 3
"""The number of callers with retries in each program, and of callers without retries."""
_INCREMENTS_BETWEEN: Final = 50
"""The number of increments of each program between two restarts, so that each restart meets all of them."""
_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Security:
    """The security of clients and server, as the flags of both."""

    name: str
    server: Sequence[str]
    client: Mapping[str, str]


def securities(folder: Path) -> tuple[Security, ...]:
    """Make certificates in a folder, and return the flags for plaintext, TLS and mutual TLS."""
    subprocess.run([TALLYKEEPER, "certificates", folder, "--client", "load"], check=True, capture_output=True)
    ca, certificate, key = (str(folder / name) for name in ("ca.pem", "load.pem", "load.key"))
    tls = ("--tls-certificate", str(folder / "server.pem"), "--tls-key", str(folder / "server.key"))
    return (
        Security("plaintext", (), {}),
        Security("TLS", tls, {"ca": ca}),
        Security("mutual TLS", (*tls, "--tls-client-ca", ca), {"ca": ca, "certificate": certificate, "key": key}),
    )


class Program:
    """A load program that runs."""

    def __init__(self, name: str, command: Sequence[str], options: Mapping[str, str], errors: IO[str]) -> None:
        """Start the program. ``errors`` takes its standard error."""
        self.name = name
        self._errors = errors
        arguments = [text for option, value in options.items() for text in (f"--{option}", value)]
        self._process = subprocess.Popen(
            [*command, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        )

    def finish(self) -> None:
        """Let the program finish its calls."""
        if self._process.stdin is not None:
            self._process.stdin.close()
            self._process.stdin = None

    def report(self) -> Report:
        """Return the program's report when it has ended.

        :raises ValueError: the program has printed no report.
        """
        output, _ = self._process.communicate(timeout=_SECONDS)
        *_, last = output.splitlines() or [""]
        if self._process.returncode:
            self._errors.seek(0)
            message = f"it ended with {self._process.returncode}: {self._errors.read()[-2_000:]}"
            raise ValueError(message)
        return Report.from_json(last)

    @property
    def runs(self) -> bool:
        """Return True if the program has not ended."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End the program, if it still runs."""
        if self.runs:
            self._process.kill()
            self._process.wait()


def roll(commands: Mapping[str, Sequence[str]], security: Security, folder: Path) -> dict[str, list[str]]:
    """Replace the workers under the load of all programs, and return the problems of each program and of the server."""
    with ExitStack() as stack:
        data = ("--data-dir", str(folder / "data"))
        server = stack.enter_context(ServerProcess(*data, *security.server, workers=_WORKERS))
        credentials = tls_credentials(**security.client) if security.client else None
        client = stack.enter_context(Client(server.target, timeout_seconds=_SECONDS, credentials=credentials))
        programs = []
        for name, command in commands.items():
            options = {
                "target": server.target,
                "namespace": name,
                "callers": str(_CALLERS),
                "service-config": SERVICE_CONFIG,
                **security.client,
            }
            errors = stack.enter_context((folder / f"{name}.txt").open("w+"))
            programs.append(Program(name, command, options, errors))
            stack.callback(programs[-1].kill)
        for _ in range(RESTARTS):
            _await_load(client, programs)
            _replace_workers(server)
        _await_load(client, programs)
        for program in programs:
            program.finish()
        found = {program.name: _judge(program, client) for program in programs}
        found["server"] = [json.dumps(event, ensure_ascii=False) for event in _errors_of(server)]
    return found


def _await_load(client: Client, programs: Sequence[Program]) -> None:
    """Wait until each running program has added some more increments."""
    for program in programs:
        goal = _counted(client, program) + _INCREMENTS_BETWEEN

        def reached(program: Program = program, goal: int = goal) -> bool:
            return not program.runs or _counted(client, program) >= goal

        wait_until(reached, what=f"{program.name} makes {_INCREMENTS_BETWEEN} increments", seconds=_SECONDS)


def _counted(client: Client, program: Program) -> int:
    counters = client.batch_get_counters(["calls"], namespace=program.name).counters
    return counters[0].value if counters else 0


def _replace_workers(server: ServerProcess) -> None:
    done = "the settings are in force"
    before = len(server.events(done))
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: len(server.events(done)) > before, what="all workers are replaced", seconds=_SECONDS)


def _judge(program: Program, client: Client) -> list[str]:
    try:
        report = program.report()
    except (ValueError, subprocess.TimeoutExpired) as error:
        return [str(error)]
    retried = "" if report.retried is None else f"{report.retried} retried, "
    print(f"  {program.name}: {report.calls} calls, {retried}the watch was resumed {report.resumed} times", flush=True)
    return problems(report, _truth(client, program.name))


def _truth(client: Client, namespace: str) -> Truth:
    found = client.verify_namespace(namespace=namespace)
    stock = client.batch_get_stock([StockKey(item="copies")], namespace=namespace).stock_levels
    counters = client.batch_get_counters(["calls"], namespace=namespace).counters
    return Truth(
        counter=counters[0].value if counters else 0,
        on_hand=stock[0].on_hand if stock else 0,
        revision=found.revision,
        differences=[f"{one.kind} {one.name}: {one.actual}, not {one.expected}" for one in found.differences],
    )


def _errors_of(server: ServerProcess) -> list[dict[str, object]]:
    parsed = (json.loads(line) for line in list(server.lines) if line.startswith("{"))
    return [event for event in parsed if event.get("level") == "error"]
