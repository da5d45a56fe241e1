"""The Go SDK: its own tests, its generated code, its example, and what it must have in common with the server.

Without ``go``, or where the packages cannot be had, the tests that need them are skipped, and say so.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tallykeeper_server.rpc.statuses import CODES
from tests.conformance.building import NoPackagesError, build
from tests.support.server import ServerProcess

ROOT = Path(__file__).parents[2]
SDK = ROOT / "client" / "go"
EXAMPLE = ROOT / "examples" / "go"
RUNNER = ROOT / "tests" / "conformance" / "runners" / "go"
SHARED_CONFIG = ROOT / "client" / "service_config.json"
MODULES = (SDK, EXAMPLE, RUNNER)
PREFIX = "github.com/tallykeeper/tallykeeper/client/go"
TEST_SECONDS = 240

_OWN_PROGRAM = f"""package main

import (
	"fmt"

	"{PREFIX}/tallykeeperv1"
)

func main() {{ fmt.Println(tallykeeperv1.CounterService_Increment_FullMethodName) }}
"""


def run(*command: str | Path, folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a command that must succeed, and return what it printed on both streams."""
    ran = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        text=True,
        timeout=TEST_SECONDS,
    )
    assert ran.returncode == 0, ran.stdout
    return ran.stdout


@pytest.fixture(scope="module")
def go() -> str:
    """The go command, once all packages are there."""
    command = shutil.which("go")
    if command is None:
        pytest.skip("there is no go on PATH: the Go SDK is not tested")
    try:
        for module in MODULES:
            build([command, "build", "-o", os.devnull, "."], folder=module)
        build([command, "build", "-o", os.devnull, "tool"], folder=SDK / "tools")
        build([command, "test", "-run", "^$", "."], folder=SDK)
    except NoPackagesError as error:
        pytest.skip(f"the packages of the Go SDK cannot be had: {error}")
    return command


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess("--data-dir", str(tmp_path / "data")) as serving:
        yield serving


@pytest.mark.long
def test_the_go_sdk_passes_its_own_tests(go: str) -> None:
    race = ["-race"] if shutil.which("cc") or shutil.which("gcc") or shutil.which("clang") else []

    output = run(go, "test", *race, "-count=1", "-v", "./...", folder=SDK)

    assert "--- SKIP" not in output


@pytest.mark.long
def test_the_go_code_is_formatted_and_vetted(go: str) -> None:
    for module in MODULES:
        assert run(Path(go).with_name("gofmt"), "-l", ".", folder=module) == ""
        run(go, "vet", "./...", folder=module)


@pytest.mark.long
@pytest.mark.usefixtures("go")
def test_the_generated_go_code_is_what_the_protos_give(tmp_path: Path) -> None:
    buf = Path(sys.executable).with_name("buf")

    run(buf, "generate", "--template", "client/go/buf.gen.yaml", "--output", tmp_path, folder=ROOT)

    fresh, committed = (
        {path.name: path.read_text() for path in folder.glob("*.go")}
        for folder in (tmp_path / "client" / "go" / "tallykeeperv1", SDK / "tallykeeperv1")
    )
    assert len(fresh) == 12
    assert fresh == committed


@pytest.mark.long
def test_the_go_example_prints_what_all_examples_print(go: str, server: ServerProcess) -> None:
    lines = [
        "sold 1 of 3, 2 left",
        "sold 2 of 3, 1 left",
        "sold 3 of 3, 0 left",
        "sold out: INSUFFICIENT_STOCK, 0 available",
        "retried with the same request id: counter 1, replayed true",
    ]

    first = run(go, "run", ".", server.target, folder=EXAMPLE)
    second = run(go, "run", ".", folder=EXAMPLE, environment={"TALLYKEEPER_ADDRESS": server.target})

    assert first.splitlines() == lines
    assert second.splitlines() == lines


@pytest.mark.long
def test_a_program_can_have_go_code_that_it_generates_itself(go: str, tmp_path: Path) -> None:
    """As README.md says, by protoc's own options."""
    own, program, plugins = (tmp_path / name for name in ("own", "program", "plugins"))
    for folder in (own, program, plugins):
        folder.mkdir()
    run(go, "build", "-o", f"{plugins}/", "tool", folder=SDK / "tools")
    options = [
        f"--{plugin}{option}" for plugin in ("go", "go-grpc") for option in (f"_out={own}", f"_opt=module={PREFIX}")
    ]
    protos = sorted(str(path) for path in (ROOT / "protos").rglob("*.proto"))
    path = f"{plugins}{os.pathsep}{os.environ['PATH']}"
    protoc = (sys.executable, "-m", "grpc_tools.protoc", f"-I{ROOT / 'protos'}")
    run(*protoc, *options, *protos, folder=tmp_path, environment={"PATH": path})
    # go mod tidy would ask for the newest versions; those of the SDK are there.
    for copied in ("go.mod", "go.sum"):
        shutil.copy(SDK / copied, own)
        shutil.copy(EXAMPLE / copied, program)
    (program / "main.go").write_text(_OWN_PROGRAM)
    run(go, "mod", "edit", f"-replace={PREFIX}={own}", folder=program)

    output = run(go, "run", "-mod=mod", ".", folder=program)

    assert output.splitlines()[-1] == "/tallykeeper.v1.CounterService/Increment"


def test_the_go_sdk_knows_every_reason_of_the_server() -> None:
    source = (SDK / "reasons.go").read_text()

    known = set(re.findall(r'Reason = "([A-Z_]+)"', source))

    # The other three are names of gRPC codes, each for several reasons or for none.
    assert known == {*CODES, "NOT_FOUND", "UNAUTHENTICATED", "UNAVAILABLE"}


@pytest.mark.skipif(not SHARED_CONFIG.exists(), reason="there is no service config that all languages share")
def test_the_go_sdk_embeds_the_service_config_of_all_languages() -> None:
    assert (SDK / "service_config.json").read_text() == SHARED_CONFIG.read_text()


def test_the_go_modules_name_one_version_of_each_package() -> None:
    """The versions that are tested are those that the example and the runner use."""
    pinned = re.compile(r"^\s(\S+) (v\S+)(?: // indirect)?$", re.MULTILINE)
    sdk = dict(pinned.findall((SDK / "go.mod").read_text()))

    for module in (EXAMPLE, RUNNER):
        others = dict(pinned.findall((module / "go.mod").read_text()))
        assert {name: version for name, version in others.items() if name != PREFIX} == sdk
