"""Builds the Go services of the benchmark, if ``go`` is on PATH.

The module is assembled in .venv/bench-go from the sources of bench/servers/go and the package ``contract``, which
protoc generates from the protos. A second build takes about a second, because Go keeps unchanged parts.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parents[2]
_SOURCES: Final = Path(__file__).with_name("go")
_BUILD: Final = _ROOT / ".venv" / "bench-go"
_MODULE: Final = "tallykeeper.bench/servers"
_PLUGINS: Final = {
    "protoc-gen-go": "google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12",
    "protoc-gen-go-grpc": "google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2",
}
_PROTOS: Final = ("tallykeeper/v1/counter.proto", "tallykeeper/v1/inventory.proto")
_BUILD_SECONDS: Final = 600


def go_servers() -> Path | None:
    """Return the program with the Go services, or None if there is no ``go`` on PATH.

    :raises subprocess.CalledProcessError: the build failed. The compiler's message is on stderr.
    """
    go = shutil.which("go")
    if go is None:
        return None
    _BUILD.mkdir(parents=True, exist_ok=True)
    plugins = [_plugin(go, name) for name in _PLUGINS]
    module = _BUILD / "module"
    shutil.rmtree(module, ignore_errors=True)
    shutil.copytree(_SOURCES, module)
    _generate(plugins, module)
    program = _BUILD / "servers"
    _run(go, "build", "-mod=readonly", "-o", program, ".", directory=module)
    return program


def _plugin(go: str, name: str) -> Path:
    """Return a plugin of protoc. Build it if it does not exist in its version, which is part of its file's name."""
    package = _PLUGINS[name]
    plugin = _BUILD / package.rpartition("@")[2] / name
    if not plugin.exists():
        plugin.parent.mkdir(exist_ok=True)
        _run(go, "install", package, environment={"GOBIN": str(plugin.parent)})
    return plugin


def _generate(plugins: list[Path], module: Path) -> None:
    options = [f"M{proto}={_MODULE}/contract;contract" for proto in _PROTOS]
    words: list[str | Path] = [f"-I{_ROOT / 'protos'}"]
    for plugin in plugins:
        kind = plugin.name.removeprefix("protoc-gen-")
        words.append(f"--plugin={plugin.name}={plugin}")
        words.append(f"--{kind}_out={module}")
        words += [f"--{kind}_opt={option}" for option in (f"module={_MODULE}", *options)]
    _run(sys.executable, "-m", "grpc_tools.protoc", *words, *_PROTOS, directory=_ROOT)


def _run(*command: str | Path, directory: Path | None = None, environment: dict[str, str] | None = None) -> None:
    variables = {**os.environ, "GOFLAGS": "-modcacherw", **(environment or {})}
    subprocess.run(command, cwd=directory, env=variables, check=True, timeout=_BUILD_SECONDS)  # noqa: S603  # Go and protoc
