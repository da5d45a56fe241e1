"""The example in C#: it needs no package, and runs with .NET or with Mono."""

import shutil
from typing import Final

from tests.sdks.examples import ROOT, Example, example
from tests.sdks.suites import Check, CheckSkipped, Command, Suite

_FOLDER: Final = ROOT / "examples" / "csharp"
_DOTNET: Final = ("dotnet", "build", "--nologo", "--verbosity", "quiet", "--output", "build")
_MONO: Final = (
    *("mcs", "-warnaserror", "-out:build/Sell.exe", "Sell.cs"),
    *("-r:System.Net.Http", "-r:System.Runtime.Serialization", "-r:System.Xml.Linq"),
)


def _suite() -> Suite:
    if shutil.which("dotnet"):
        return Suite(
            "csharp",
            [example(Example(["dotnet", "build/Sell.dll"], _FOLDER, argument=("{address}",), uses_http=True))],
            builds=[Command(_DOTNET, _FOLDER)],
        )
    if shutil.which("mcs") and shutil.which("mono"):
        return Suite(
            "csharp",
            [example(Example(["mono", "build/Sell.exe"], _FOLDER, argument=("{address}",), uses_http=True))],
            builds=[Command(["mkdir", "-p", "build"], _FOLDER), Command(_MONO, _FOLDER)],
        )
    return Suite("csharp", [Check("example", _skip)])


def _skip() -> str:
    message = "neither dotnet on PATH, nor mcs and mono"
    raise CheckSkipped(message)


SUITE: Final = _suite()
