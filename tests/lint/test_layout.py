"""The layout of the packages: few modules beside the folders, no folder with too many, and names that are nouns."""

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
PARTICIPLES = ("ing", "ed")
NOUNS = {"embedded", "tracing"}
"""Names that look like participles: the embedded store comes with the server, and tracing is the name of a field."""


def modules(folder: Path) -> list[str]:
    """Return the names of a folder's modules."""
    return sorted(path.stem for path in folder.glob("*.py") if path.name not in {"__init__.py", "__main__.py"})


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.relative_to(ROOT).as_posix())
def test_a_folder_has_few_modules_and_they_are_named_by_nouns(folder: Path) -> None:
    names = modules(folder)

    assert len(names) <= MODULES_MAX
    assert [name for name in [folder.name, *names] if name.endswith(PARTICIPLES) and name not in NOUNS] == []


def test_the_server_has_few_modules_beside_its_folders() -> None:
    assert len(modules(PACKAGES[0])) <= MODULES_BESIDE_FOLDERS_MAX


def test_the_layers_that_the_linter_holds_are_the_folders() -> None:
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    (contract,) = (each for each in linter["contracts"] if each.get("containers") == ["tallykeeper_server"])
    layers = {name.strip() for layer in contract["layers"] for name in layer.split("|")}
    folders = {folder.name for folder in PACKAGES[0].iterdir() if (folder / "__init__.py").is_file()}

    assert layers == folders | set(modules(PACKAGES[0]))
    assert contract["exhaustive"]
