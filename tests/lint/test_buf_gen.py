"""The template for the generated code of other languages, with plugins that only record their options."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parents[2]
_BUF: Final = Path(sys.executable).with_name("buf")
_PROTOC: Final = f"""#!{sys.executable}
import pathlib, re, sys

if "--version" in sys.argv:
    print("libprotoc 33.1")
for argument in sys.argv:
    if found := re.fullmatch(r"--([a-z]+)_out=(?:.*:)?(/.*)", argument):
        pathlib.Path(found[2], "protoc").write_text(found[1])
"""
_PLUGIN: Final = f"""#!{sys.executable}
import pathlib, sys
from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse

request = CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
response = CodeGeneratorResponse(supported_features=CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL)
response.file.add(name=pathlib.Path(sys.argv[0]).name, content=request.parameter)
sys.stdout.buffer.write(response.SerializeToString())
"""
_OPTIONS: Final = {
    "go/protoc-gen-go": "paths=source_relative",
    "go/protoc-gen-go-grpc": "paths=source_relative",
    "java/protoc": "java",
    "java/protoc-gen-grpc-java": "@generated=omit",
    "typescript/protoc-gen-es": "target=ts,import_extension=js",
    "rust/protoc-gen-prost": "",
    "rust/protoc-gen-tonic": "no_server",
    "cpp/protoc": "cpp",
    "cpp/grpc_cpp_plugin": "",
}


def _program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def test_buf_generate_calls_each_plugin_with_its_options(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in {Path(path).name for path in _OPTIONS}:
        _program(programs / name, _PROTOC if name == "protoc" else _PLUGIN)

    subprocess.run(
        [_BUF, "generate", "--output", tmp_path],
        cwd=_ROOT,
        env={**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"},
        check=True,
    )

    generated = tmp_path / "gen"
    assert {name: (generated / name).read_text() for name in _OPTIONS} == _OPTIONS
