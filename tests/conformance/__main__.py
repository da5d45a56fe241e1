"""Runs other projects' suites: connectconformance for gRPC and HTTP, h2spec, and grpc-go's interoperability client.

Go builds the suites in the versions below. Without ``go`` on PATH, a message says that they were not run. Then the
clients of five languages run against a server whose workers are replaced (`clients`). Last, the SDKs play the shared
cases (`cases`).
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.conformance.build_tools import NoPackagesError, build
from tests.conformance.cases import __main__ as cases
from tests.conformance.clients import __main__ as clients
from tests.conformance.reports import failed_connect_cases, h2spec_cases

_HERE: Final = Path(__file__).parent
_ROOT: Final = _HERE.parent.parent
_BIN: Final = _ROOT / ".venv" / "conformance"
_CONNECT: Final = "connectrpc.com/conformance"
_TOOLS: Final = {
    "connectconformance": f"{_CONNECT}/cmd/connectconformance@v1.0.7",
    "h2spec": "github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible",
    "client": "google.golang.org/grpc/interop/client@v1.85.0",
}
_INTEROP_CASES: Final = (
    "empty_unary",
    "large_unary",
    "client_streaming",
    "server_streaming",
    "ping_pong",
    "empty_stream",
    "custom_metadata",
    "status_code_and_message",
    "special_status_message",
    "unimplemented_method",
    "unimplemented_service",
    "cancel_after_begin",
    "cancel_after_first_response",
    "timeout_on_sleeping_server",
)
_RUNS: Final = 3
_SUITE_SECONDS: Final = 600
_CASE_SECONDS: Final = 60


def main() -> int:
    """Run all suites, and return the number of suites that failed."""
    return _suites_of_others() + bool(clients.main()) + cases.main([])


def _suites_of_others() -> int:
    go = shutil.which("go")
    if go is None:
        print("There is no go on PATH: connectconformance, h2spec and grpc-go's interoperability client were not run.")
        return 0
    try:
        _build(go)
    except NoPackagesError as error:
        print(f"The suites of other projects cannot be built, because their packages are not available: {error}")
        return 0
    with TemporaryDirectory() as folder:
        protos = Path(folder)
        _generate(_HERE / "protos", protos)
        _generate(_module_folder(go, _TOOLS["connectconformance"]) / "proto", protos)
        passed = [_connect(protos), _connect_http(protos), _with_interop_server(protos)]
    return passed.count(False)


def _build(go: str) -> None:
    """Build the tools that do not exist in their version. The name of each file has the version."""
    _BIN.mkdir(parents=True, exist_ok=True)
    for name, package in _TOOLS.items():
        built = _tool(name)
        if not built.exists():
            print(f"Building {package} …", flush=True)
            build([go, "install", package], environment={"GOBIN": str(_BIN), "GOFLAGS": "-modcacherw"})
            (_BIN / name).rename(built)


def _tool(name: str) -> Path:
    return _BIN / f"{name}-{_TOOLS[name].rpartition('@')[2]}"


def _module_folder(go: str, package: str) -> Path:
    cache = subprocess.run([go, "env", "GOMODCACHE"], check=True, capture_output=True, text=True).stdout.strip()
    return Path(cache) / f"{_CONNECT}@{package.rpartition('@')[2]}"


def _generate(source: Path, target: Path) -> None:
    files = [str(path.relative_to(source)) for path in source.rglob("*.proto")]
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{source}", f"--python_out={target}", *files]
    subprocess.run(command, check=True, timeout=_CASE_SECONDS)


def _connect(protos: Path) -> bool:
    print("connectconformance: gRPC over HTTP/2 in plaintext, with TLS and with client certificates", flush=True)
    return _connectconformance(protos, "connect_config.yaml", "connect_known_failures.txt", "connect_server")


def _connect_http(protos: Path) -> bool:
    print("connectconformance: Connect and gRPC-Web over HTTP/1.1, in the same three ways", flush=True)
    files = ("connect_http_config.yaml", "connect_http_known_failures.txt")
    return _connectconformance(protos, *files, "connect_http_server")


def _connectconformance(protos: Path, config: str, known_failures: str, server: str) -> bool:
    """Run connectconformance, and return whether every case passed.

    A few cases are decided by a race: the client's deadline can pass while it reads the answer that the server sent at
    its own deadline. So the cases that failed run again, and one has failed if it fails in each of several runs.
    """
    command = [
        str(_tool("connectconformance")),
        *("--mode", "server", "--conf", str(_HERE / config)),
        *("--known-failing", f"@{_HERE / known_failures}"),
    ]
    served = ["--", sys.executable, "-m", f"tests.conformance.{server}", str(protos)]
    failed: list[str] = []
    for _ in range(_RUNS):
        only = [argument for case in failed for argument in ("--run", case)]
        whole = [*command, *only, *served]
        run = subprocess.run(whole, check=False, timeout=_SUITE_SECONDS, cwd=_ROOT, stdout=subprocess.PIPE, text=True)
        print(run.stdout, end="", flush=True)
        if run.returncode == 0:
            return True
        failed = failed_connect_cases(run.stdout)
        if not failed:  # another run would not help
            return False
    return False


def _with_interop_server(protos: Path) -> bool:
    with _interop_server(protos) as port:
        failed = [case for case in _INTEROP_CASES if not _interop(case, port)]
        print(f"interop: {len(_INTEROP_CASES) - len(failed)} passed, {len(failed)} failed {failed or ''}", flush=True)
        unexpected = _h2spec(port, protos / "h2spec.xml")
    return not failed and not unexpected


@contextmanager
def _interop_server(protos: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.conformance.interop_server", str(protos)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=_ROOT) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def _interop(case: str, port: str) -> bool:
    command = [str(_tool("client")), "-server_host", "127.0.0.1", "-server_port", port, "-test_case", case]
    return _succeeds(command, _CASE_SECONDS)


def _h2spec(port: str, report: Path) -> list[tuple[str, str]]:
    """Run h2spec, and return the cases that have failed unexpectedly.

    h2spec sends GET, which a gRPC server answers with 405 at once. The answer can close the stream before the frame
    that a case tests. So a case has failed if it fails in each of several runs.
    """
    known = _known_failures()
    unexpected: set[tuple[str, str]] = set()
    for run in range(_RUNS):
        cases, failed = _h2spec_once(port, report)
        if not cases:
            return [("h2spec", "it has run no case")]
        unexpected = failed - known if not run else unexpected & failed
        print(f"h2spec: {cases - len(failed)} of {cases} passed; {len(failed & known)} are known to fail", flush=True)
        if not unexpected:
            break
    for case in unexpected:
        print(f"h2spec: failed: {' | '.join(case)}")
    return sorted(unexpected)


def _h2spec_once(port: str, report: Path) -> tuple[int, set[tuple[str, str]]]:
    """Run h2spec once, and return the number of its cases, and the failed cases."""
    path = "/grpc.testing.TestService/EmptyCall"
    command = [str(_tool("h2spec")), "-h", "127.0.0.1", "-p", port, "-P", path, "-o", "2", "-j", str(report)]
    subprocess.run(command, check=False, timeout=_SUITE_SECONDS, stdout=subprocess.DEVNULL)
    return h2spec_cases(report.read_bytes())


def _known_failures() -> set[tuple[str, str]]:
    lines = (_HERE / "h2spec_known_failures.txt").read_text().splitlines()
    return {tuple(line.split("|")[:2]) for line in lines if line and not line.startswith("#")}  # type: ignore[misc]


def _succeeds(command: Sequence[str], seconds: float) -> bool:
    return subprocess.run(command, check=False, timeout=seconds, cwd=_ROOT).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
