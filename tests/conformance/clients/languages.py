"""The load programs: the tools that each needs, its build, and the command that runs it."""

import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.conformance.build_tools import CARGO, build

_HERE: Final = Path(__file__).parent
_ROOT: Final = _HERE.parents[2]
_PROTOS: Final = _ROOT / "protos"
_BUILT: Final = _ROOT / ".venv" / "conformance" / "clients"
_GO_MODULE: Final = "github.com/tallykeeper/tallykeeper"


@dataclass(frozen=True, slots=True)
class Language:
    """A load program."""

    name: str
    """The program's folder."""
    client: str
    """The gRPC client of the program."""
    tools: Sequence[str]
    """The programs that must be on PATH."""
    build: Callable[[], Sequence[str]]
    """A function that builds the program and returns its command. Raises NoPackagesError and CalledProcessError."""

    def missing(self) -> list[str]:
        """Return the tools that are not on PATH."""
        return [tool for tool in self.tools if shutil.which(tool) is None]


def _build_go() -> Sequence[str]:
    folder = _sources("go")
    tools = folder / "bin"
    plugins = ("google.golang.org/protobuf/cmd/protoc-gen-go", "google.golang.org/grpc/cmd/protoc-gen-go-grpc")
    _run("go", "build", "-o", f"{tools}/", *plugins, folder=folder, environment={"GOFLAGS": "-modcacherw"})
    options = [
        f"--{plugin}{option}" for plugin in ("go", "go-grpc") for option in ("_out=.", f"_opt=module={_GO_MODULE}")
    ]
    _protoc(*options, folder=folder, environment={"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"})
    _run("go", "build", "-o", str(tools / "load"), ".", folder=folder, environment={"GOFLAGS": "-modcacherw"})
    return [str(tools / "load")]


def _build_java() -> Sequence[str]:
    folder = _sources("java")
    _copy(_PROTOS, folder / "protos", "*.proto")
    _run("mvn", "--batch-mode", "--quiet", "-Dstyle.color=never", "compile", folder=folder)
    classes = os.pathsep.join((str(folder / "target" / "classes"), str(folder / "target" / "libraries" / "*")))
    return ["java", "-cp", classes, "Load"]


def _build_javascript() -> Sequence[str]:
    folder = _sources("javascript")
    _run("npm", "ci", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", folder=folder)
    return ["node", str(folder / "load.js"), "--protos", str(_PROTOS)]


def _build_python() -> Sequence[str]:
    return [sys.executable, "-m", "tests.conformance.clients.python.load"]


def _build_rust() -> Sequence[str]:
    folder = _sources("rust")
    _protoc("--include_imports", "--descriptor_set_out=new.binpb", folder=folder)
    _replace_if_new(folder / "new.binpb", folder / "tallykeeper.binpb")
    _run("cargo", "build", "--quiet", "--locked", folder=folder, environment=CARGO)
    return [str(Path(CARGO["CARGO_TARGET_DIR"], "debug", "tallykeeper-load"))]


LANGUAGES: Final = (
    Language("go", "grpc-go", ("go",), _build_go),
    Language("java", "grpc-java", ("java", "mvn"), _build_java),
    Language("javascript", "grpc-js", ("node", "npm"), _build_javascript),
    Language("python", "grpcio", (), _build_python),
    Language("rust", "tonic", ("cargo",), _build_rust),
)


def _sources(name: str) -> Path:
    """Copy a program's folder to its build folder, and return the copy. Unchanged files keep their time."""
    folder = _BUILT / name
    _copy(_HERE / name, folder, "*")
    return folder


def _copy(source: Path, target: Path, pattern: str) -> None:
    for path in source.rglob(pattern):
        copy = target / path.relative_to(source)
        if path.is_file() and not (copy.exists() and copy.read_bytes() == path.read_bytes()):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)


def _replace_if_new(new: Path, old: Path) -> None:
    """Replace a file by another one, if they differ, because a newer file would be built again."""
    if old.exists() and old.read_bytes() == new.read_bytes():
        new.unlink()
    else:
        new.replace(old)


def _protoc(*options: str, folder: Path, environment: Mapping[str, str] | None = None) -> None:
    files = sorted(str(path.relative_to(_PROTOS)) for path in _PROTOS.rglob("*.proto"))
    command = (sys.executable, "-m", "grpc_tools.protoc", f"-I{_PROTOS}", *options, *files)
    _run(*command, folder=folder, environment=environment)


def _run(*command: str, folder: Path, environment: Mapping[str, str] | None = None) -> None:
    build(command, folder=folder, environment=environment)
