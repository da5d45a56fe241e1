"""The way in names the files of one request, each with its step, and every function that it names is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "architecture.md"
PYTHON_FILES_MAX = 20
ROW = re.compile(r"^\| *(\d*) *\| \[([^]]+)\]\(([^)]+)\) \| (.*) \|$", re.MULTILINE)


def rows() -> list[tuple[str, Path, str]]:
    """Return the rows of the path: the number, the file and the step."""
    path, _, _ = PAGE.read_text(encoding="utf-8").partition("## Where to look for the rest")
    return [(number, (PAGE.parent / link).resolve(), step) for number, _, link, step in ROW.findall(path)]


def test_the_path_has_few_python_files_and_numbers_each_once() -> None:
    numbered = [(int(number), file) for number, file, _ in rows() if number]
    python = {file for _, file, _ in rows() if file.suffix == ".py"}

    assert [number for number, _ in numbered] == list(range(1, len(numbered) + 1))
    assert {file for _, file in numbered} == python
    assert len(python) <= PYTHON_FILES_MAX


def test_every_file_has_the_functions_that_the_page_names() -> None:
    for _, file, step in rows():
        source = file.read_text(encoding="utf-8")
        for name in re.findall(r"`(?:\w+\.)?(\w+)`", step):
            assert re.search(rf"\b{name}\b", source), f"{file.name} has no {name}"


def test_the_path_goes_through_every_layer() -> None:
    layers = {
        file.relative_to(ROOT / "server/tallykeeper_server").parts[0] for _, file, _ in rows() if file.suffix == ".py"
    }

    assert layers == {"transport", "rpc", "engine", "store"}
