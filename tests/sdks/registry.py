"""The suites of all languages: their builds, tests, lints, generated code and examples."""

import sys
from collections.abc import Sequence
from typing import Final

from tests.sdks import csharp, go, java, rust, typescript
from tests.sdks.examples import ROOT, Example, example
from tests.sdks.suites import Command, Suite

_EXAMPLES: Final = ROOT / "examples"
_PYTHON: Final = Suite(
    "python", [example(Example([sys.executable, "first_act.py"], _EXAMPLES / "python", argument=("{address}",)))]
)
_CPP: Final = Suite(
    "cpp",
    [example(Example([_EXAMPLES / "cpp" / "build" / "first_act"], _EXAMPLES / "cpp", argument=("{address}",)))],
    tools=("cmake", "c++", "pkg-config", "protoc", "grpc_cpp_plugin"),
    builds=[
        Command(["cmake", "-S", ".", "-B", "build"], _EXAMPLES / "cpp"),
        Command(["cmake", "--build", "build"], _EXAMPLES / "cpp"),
    ],
)
_RUBY_PROTOS: Final = sorted((ROOT / "protos" / "tallykeeper" / "v1").glob("*.proto"))
_RUBY: Final = Suite(
    "ruby",
    [example(Example(["ruby", "sell.rb"], _EXAMPLES / "ruby", argument=("{address}",)))],
    tools=("ruby", "grpc_tools_ruby_protoc"),
    builds=[
        Command(["mkdir", "-p", "generated"], _EXAMPLES / "ruby"),
        Command(
            [
                *("grpc_tools_ruby_protoc", "-I", ROOT / "protos", "--ruby_out=generated", "--grpc_out=generated"),
                *_RUBY_PROTOS,
            ],
            _EXAMPLES / "ruby",
        ),
    ],
)
_BASH: Final = Suite(
    "bash",
    [example(Example(["bash", "sell.sh"], _EXAMPLES / "bash", argument=("{address}",), uses_http=True))],
    tools=("bash", "curl", "jq"),
)
_PHP: Final = Suite(
    "php",
    [example(Example(["php", "sell.php"], _EXAMPLES / "php", argument=("{address}",), uses_http=True))],
    tools=("php",),
)

SUITES: Final[Sequence[Suite]] = (
    # Those that take longest come first, because two run at the same time.
    rust.SUITE,
    java.SUITE,
    typescript.SUITE,
    go.SUITE,
    typescript.NODE_PROTO_LOADER,
    typescript.BROWSER,
    _CPP,
    _RUBY,
    _PYTHON,
    _BASH,
    _PHP,
    csharp.SUITE,
)
