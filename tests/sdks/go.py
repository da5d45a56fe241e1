"""The Go SDK: its tests, its lints, its generated code, the Go of README, and the example."""

import os
import re
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.sdks.examples import ROOT, Example, example, server
from tests.sdks.readmes import OwnProject, Readme, readme
from tests.sdks.suites import Check, CheckFailedError, Command, Suite

SDK: Final = ROOT / "client" / "go"
EXAMPLE: Final = ROOT / "examples" / "go"
RUNNER: Final = ROOT / "tests" / "conformance" / "runners" / "go"
MODULES: Final = (SDK, EXAMPLE, RUNNER)
PACKAGE: Final = "github.com/tallykeeper/tallykeeper/client/go"
_GENERATE: Final = (Path(sys.executable).with_name("buf"), "generate", "--template", "client/go/buf.gen.yaml")
_PASSED: Final = re.compile(r"^--- PASS", re.MULTILINE)
_README_BLOCK: Final = re.compile(r"^```go\n(.*?)^```", re.MULTILINE | re.DOTALL)
_DOCUMENTED_ADDRESS: Final = "127.0.0.1:50051"
_README_PROGRAM: Final = """package main

import (
	"context"
	"fmt"
	"log"
)

%s

func play(ctx context.Context) error {
%s
	return nil
}

func main() {
	if err := play(context.Background()); err != nil {
		log.Fatal(err)
	}
}
"""
_FIRST_CALL: Final = """package main

import (
	"context"
	"fmt"
	"log"
	"os"

	tallykeeper "github.com/tallykeeper/tallykeeper/client/go"
)

func main() {
	client, err := tallykeeper.NewClient(os.Getenv("TALLYKEEPER_ADDRESS"), tallykeeper.WithNamespace("example-own"))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	visitors, err := client.Increment(context.Background(), "visitors", 1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(visitors.Counter.Value)
}
"""
_OWN_PROGRAM: Final = f"""package main

import (
	"fmt"

	"{PACKAGE}/tallykeeperv1"
)

func main() {{ fmt.Println(tallykeeperv1.CounterService_Increment_FullMethodName) }}
"""


def _tests() -> str:
    race = ["-race"] if any(map(shutil.which, ("cc", "gcc", "clang"))) else []
    output = Command(["go", "test", *race, "-count=1", "-v", "./..."], SDK).output()
    if "--- SKIP" in output:
        message = f"a test was skipped although there is a server:\n{output}"
        raise CheckFailedError(message)
    return f"{len(_PASSED.findall(output))} tests"


def _format() -> str:
    for module in MODULES:
        if found := Command(["gofmt", "-l", "."], module).output():
            message = f"gofmt would change these files of {module}:\n{found}"
            raise CheckFailedError(message)
    return ""


def _vet() -> str:
    for module in MODULES:
        Command(["go", "vet", "./..."], module).output()
    return ""


def _generated() -> str:
    with TemporaryDirectory() as folder:
        Command([*_GENERATE, "--output", folder], ROOT).output()
        fresh, committed = (
            {path.name: path.read_text() for path in root.glob("*.go")}
            for root in (Path(folder, "client", "go", "tallykeeperv1"), SDK / "tallykeeperv1")
        )
    if not fresh or fresh != committed:
        message = "client/go/tallykeeperv1 is not what the protos give: run make gen-sdks"
        raise CheckFailedError(message)
    return f"{len(fresh)} files"


def _own_code() -> str:
    """Generate code as client/go/README.md says, by protoc's own options, and run a program with it."""
    with TemporaryDirectory() as folder:
        own, program, plugins = (Path(folder, name) for name in ("own", "program", "plugins"))
        for each in (own, program, plugins):
            each.mkdir()
        Command(["go", "build", "-o", f"{plugins}/", "tool"], SDK / "tools").output()
        options = [
            f"--{plugin}{option}"
            for plugin in ("go", "go-grpc")
            for option in (f"_out={own}", f"_opt=module={PACKAGE}")
        ]
        protos = sorted((ROOT / "protos").rglob("*.proto"))
        path = f"{plugins}{os.pathsep}{os.environ['PATH']}"
        protoc = (sys.executable, "-m", "grpc_tools.protoc", f"-I{ROOT / 'protos'}")
        Command([*protoc, *options, *protos], Path(folder), {"PATH": path}).output()
        for name in ("go.mod", "go.sum"):
            shutil.copy(SDK / name, own)
        output = _run_program(program, _OWN_PROGRAM, sdk=own)
    if output.splitlines()[-1:] != ["/tallykeeper.v1.CounterService/Increment"]:
        message = f"a program with its own generated code printed something else:\n{output}"
        raise CheckFailedError(message)
    return ""


def _readme() -> str:
    """Run the Go of the root's README, as the body of a function."""
    blocks = _README_BLOCK.findall((ROOT / "README.md").read_text())
    with server() as serving, TemporaryDirectory() as folder:
        for block in blocks:
            output = _run_program(Path(folder), _program(block.replace(_DOCUMENTED_ADDRESS, serving.target)), sdk=SDK)
            if output != "1\n":
                message = f"the program of README printed something else than 1:\n{output}"
                raise CheckFailedError(message)
    if len(blocks) != 1:
        message = f"README has {len(blocks)} blocks of Go, and this check runs exactly one"
        raise CheckFailedError(message)
    return ""


def _program(block: str) -> str:
    """Return a program: the imports of a block, and its statements in a function."""
    lines = block.splitlines()
    imports = "\n".join(line for line in lines if line.startswith("import "))
    return _README_PROGRAM % (imports, "\n".join(line for line in lines if not line.startswith("import ")))


def _run_program(folder: Path, source: str, *, sdk: Path) -> str:
    """Run a program with an SDK, with the versions of the example: go mod tidy would ask for the newest ones."""
    for name in ("go.mod", "go.sum"):
        shutil.copy(EXAMPLE / name, folder)
    Path(folder, "main.go").write_text(source)
    Command(["go", "mod", "edit", f"-replace={PACKAGE}={sdk}"], folder).output()
    return Command(["go", "run", "-mod=mod", "."], folder).output()


SUITE: Final = Suite(
    "go",
    [
        Check("tests", _tests),
        Check("gofmt", _format, tools=("gofmt",)),
        Check("vet", _vet),
        Check("generated code", _generated),
        Check("own generated code", _own_code),
        Check("Go of README", _readme),
        readme(Readme(SDK / "README.md", OwnProject({"main.go": _FIRST_CALL}, ["go", "run", "."]))),
        example(Example(["go", "run", "."], EXAMPLE, argument=("{address}",))),
    ],
    tools=("go",),
    builds=[
        *(Command(["go", "build", "-o", os.devnull, "."], module) for module in MODULES),
        Command(["go", "build", "-o", os.devnull, "tool"], SDK / "tools"),
        Command(["go", "test", "-run", "^$", "."], SDK),
    ],
    generates=[Command(_GENERATE, ROOT)],
)
