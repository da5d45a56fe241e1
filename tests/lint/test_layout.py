"""The layout: few modules beside the folders of the server, no folder with too many, and names that are nouns."""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = [
    ROOT / "server/tallykeeper_server",
    ROOT / "client/tallykeeper_client",
    ROOT / "client/tallykeeper_cli",
    ROOT / "client/tallykeeper_console",
    ROOT / "lua/tallykeeper_lua",
]
FOLDERS = sorted(
    folder for package in PACKAGES for folder in [package, *package.rglob("*")] if (folder / "__init__.py").is_file()
)
MODULES_MAX = 16
MODULES_BESIDE_FOLDERS_MAX = 3
SOURCES = [
    ROOT / name for name in ("bench", "client", "deploy", "examples", "lua", "protos", "server", "tests", "tools")
]
NOT_OURS = {"node_modules", "target", "build", "dist"}
PARTICIPLES = ("ing", "ed")
NOUNS = {"embedded", "packaging", "test_monitoring", "tracing"}
"""Names that look like participles: the embedded store comes with the server, and the others are names of fields."""


def modules(folder: Path) -> list[str]:
    """Return the names of a folder's modules."""
    return sorted(path.stem for path in folder.glob("*.py") if path.name not in {"__init__.py", "__main__.py"})


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.relative_to(ROOT).as_posix())
def test_a_folder_has_few_modules(folder: Path) -> None:
    assert len(modules(folder)) <= MODULES_MAX


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_modules_and_packages_are_named_by_nouns(source: Path) -> None:
    files = [
        path
        for kind in ("*.py", "*.lua")
        for path in source.rglob(kind)
        if NOT_OURS.isdisjoint(path.relative_to(ROOT).parts)
    ]
    names = {path.stem for path in files} | {path.parent.name for path in files}

    assert [name for name in sorted(names) if name.endswith(PARTICIPLES) and name not in NOUNS] == []


def test_the_server_has_few_modules_beside_its_folders() -> None:
    assert len(modules(PACKAGES[0])) <= MODULES_BESIDE_FOLDERS_MAX


def test_the_layers_that_the_linter_holds_are_the_folders() -> None:
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    (contract,) = (each for each in linter["contracts"] if each.get("containers") == ["tallykeeper_server"])
    layers = {name.strip() for layer in contract["layers"] for name in layer.split("|")}
    folders = {folder.name for folder in PACKAGES[0].iterdir() if (folder / "__init__.py").is_file()}

    assert layers == folders | set(modules(PACKAGES[0]))
    assert contract["exhaustive"]
