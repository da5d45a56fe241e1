"""The protos: changes that break clients are found, and the generators of all languages accept the protos."""

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PROTOS: Final = ROOT / "protos"
RELEASED: Final = ROOT / "tools" / "released_protos.binpb"
BUF: Final = Path(sys.executable).with_name("buf")
SOURCES: Final = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto"))
GRPC_TOOLS: Final = (sys.executable, "-m", "grpc_tools.protoc")
"""The protoc of the requirements, which generates only Python."""
BUILT_IN: Final = ("cpp", "csharp", "java", "kotlin", "objc", "php", "ruby")
"""The other languages that protoc generates without a plugin."""
PLUGINS: Final = {
    "go": ("protoc-gen-go", "protoc-gen-go-grpc"),
    "typescript": ("protoc-gen-es",),
    "rust": ("protoc-gen-prost", "protoc-gen-tonic"),
    "c++ with gRPC": ("grpc_cpp_plugin",),
    "java with gRPC": ("protoc-gen-grpc-java",),
}


@pytest.fixture
def contract(tmp_path: Path) -> Path:
    """A copy of the protos with buf's rules for them, which a test may change."""
    shutil.copytree(PROTOS, tmp_path / "protos", ignore=shutil.ignore_patterns("*.py", "*.pyi", "__pycache__"))
    shutil.copy(ROOT / "buf.yaml", tmp_path)
    return tmp_path


def break_of(contract: Path) -> str:
    """Return buf's report of the differences from the released contract. It is empty if they break no client."""
    command = [str(BUF), "breaking", "--against", str(RELEASED)]
    done = subprocess.run(command, cwd=contract, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode == 0) == (not done.stdout), done.stderr
    return done.stdout


def change(contract: Path, file: str, pattern: str, replacement: str) -> None:
    path = contract / "protos/tallykeeper/v1" / file
    text, count = re.subn(pattern, replacement, path.read_text(), count=1)
    assert count == 1
    path.write_text(text)


def test_the_contract_is_compatible_with_the_one_that_was_released(contract: Path) -> None:
    assert break_of(contract) == ""


def test_a_new_field_breaks_nothing(contract: Path) -> None:
    change(contract, "counter.proto", r"(message Counter \{\n)", r"\1  // New.\n  string fresh = 99;\n")

    assert break_of(contract) == ""


@pytest.mark.parametrize(
    ("file", "pattern", "replacement", "expected"),
    [
        ("counter.proto", r"  int64 value = 2;\n", "", 'field "2" with name "value" on message "Counter" was deleted'),
        ("counter.proto", r"int64 value = 2;", "int64 value = 22;", 'field "2" with name "value" on message "Counter"'),
        ("counter.proto", r"int64 value = 2;", "string value = 2;", "changed type"),
        ("counter.proto", r"int64 value = 2;", "int64 amount = 2;", "changed name"),
        ("counter.proto", r"  rpc GetCounter\(.*\n", "", 'RPC "GetCounter" on service "CounterService" was deleted'),
        (
            "inventory.proto",
            r"  SHORTAGE_POLICY_REJECT = 1;\n",
            "",
            'enum value "1" on enum "ShortagePolicy" was deleted',
        ),
    ],
)
def test_a_change_that_breaks_clients_is_found(
    contract: Path, file: str, pattern: str, replacement: str, expected: str
) -> None:
    change(contract, file, pattern, replacement)

    assert expected in break_of(contract)


def generate(folder: Path, compiler: Sequence[str], *options: str) -> list[Path]:
    """Generate code from the protos. Imports are found only in their folder and in the compiler's own."""
    command = [*compiler, "-I", "protos", *options, *SOURCES]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return [path for path in folder.rglob("*") if path.is_file()]


def on_path(program: str) -> str:
    """Return the path of a program, or skip the test if it is not on PATH."""
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"no {program} on PATH")
    return path


def own_protoc(folder: Path) -> str:
    """Return the path of protoc, or skip the test if it is not on PATH or lacks the files of google/protobuf.

    Some distributions have these files in a separate package.
    """
    program = on_path("protoc")
    probe = folder / "probe.proto"
    probe.write_text('syntax = "proto3";\nimport "google/protobuf/any.proto";\n')
    command = [program, f"-I{folder}", f"--descriptor_set_out={folder / 'probe.binpb'}", str(probe)]
    if subprocess.run(command, capture_output=True, timeout=120, check=False).returncode:
        pytest.skip(f"{program} has no google/protobuf/any.proto")
    return program


@pytest.mark.parametrize("language", ["python", "pyi", "grpc_python"])
def test_python_is_generated_from_the_protos_alone(tmp_path: Path, language: str) -> None:
    assert len(generate(tmp_path, GRPC_TOOLS, f"--{language}_out={tmp_path}")) == len(SOURCES)


@pytest.mark.parametrize("language", BUILT_IN)
def test_protoc_generates_a_language_from_the_protos_alone(tmp_path: Path, language: str) -> None:
    compiler = own_protoc(tmp_path)
    made = tmp_path / "made"
    made.mkdir()

    assert generate(made, [compiler], f"--{language}_out={made}")


@pytest.mark.parametrize("plugins", PLUGINS.values(), ids=PLUGINS)
def test_the_plugins_of_a_language_generate_from_the_protos_alone(tmp_path: Path, plugins: Sequence[str]) -> None:
    for number, path in enumerate([on_path(plugin) for plugin in plugins]):
        folder = tmp_path / str(number)
        folder.mkdir()
        name = f"made{number}"
        assert generate(folder, GRPC_TOOLS, f"--plugin=protoc-gen-{name}={path}", f"--{name}_out={folder}")


def test_the_protos_import_nothing_from_outside() -> None:
    imports = {
        imported
        for source in SOURCES
        for imported in re.findall(r'^import "(.*)";', (PROTOS / source).read_text(), re.MULTILINE)
    }

    assert {each for each in imports if not each.startswith("google/protobuf/")} <= set(SOURCES)


def test_make_lint_compares_with_the_released_contract() -> None:
    assert f"buf breaking --against {RELEASED.relative_to(ROOT)}" in (ROOT / "Makefile").read_text()
