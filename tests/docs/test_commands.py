"""Every command of README, the guides and the page for the person on call runs, and prints what the page shows."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.docs.markdown import ROOT, Block, blocks
from tests.docs.session import NEVER, OUTPUT_LANGUAGE, OUTPUT_OF_TERMINAL, RUNNABLE, session

GUIDES: Final = ROOT / "docs" / "guides"
ON_CALL: Final = ROOT / "docs" / "on-call.md"
HTTP: Final = ROOT / "docs" / "http.md"
PAGES: Final = (ROOT / "README.md", ON_CALL, HTTP, *sorted(GUIDES.glob("*.md")))
CLUSTER: Final = GUIDES / "run-on-a-cluster.md"

QUICK: Final = {ROOT / "README.md"}
"""The page whose commands make test runs. The others take 50 s of CPU time together, and run in make test-long."""

NEEDS: Final[Mapping[Path, tuple[str, ...]]] = {
    ON_CALL: ("curl",),
    HTTP: ("curl",),
    CLUSTER: ("redis-server", "redis-cli"),
    GUIDES / "tune.md": ("curl",),
}
"""The programs that a page needs and that the project does not install."""

NEVER_RUN: Final = {
    (
        "README.md",
        """grpcurl -plaintext -d '{"counter": "visitors"}' 127.0.0.1:50051 tallykeeper.v1.CounterService/Increment""",
        "it needs grpcurl",
    ),
    (
        "README.md",
        ".venv/bin/tallykeeper certificates certs --host localhost --client web",
        "tests/access/test_readme.py runs it at other addresses",
    ),
    (
        "README.md",
        ".venv/bin/tallykeeper certificates certs --host localhost",
        "tests/access/test_readme.py runs it at other addresses",
    ),
    (
        "docs/on-call.md",
        "tallykeeper restore tallykeeper-data.damaged --until 2026-11-24T11:59:59.999Z --data-dir tallykeeper-before",
        "the guide about backups runs it with another time",
    ),
    (
        "docs/guides/reserve-a-basket.md",
        """grpcurl -plaintext -d '{"namespace": "shop", "reservation_id": "basket-21", "request_id": "basket-21",""",
        "it needs grpcurl",
    ),
}
"""The blocks that no test runs: the page, the first line of the block, and the reason that stands on the page."""


def _steps(page: Path) -> list[tuple[Block, str | None]]:
    """Return each block that runs, with the output that the page shows for it, and each output of a terminal."""
    found = [block for block in blocks(page) if not block.directive.startswith(NEVER)]
    steps: list[tuple[Block, str | None]] = []
    for block, following in zip(found, [*found[1:], None], strict=bool(found)):
        if block.directive == OUTPUT_OF_TERMINAL:
            steps.append((block, None))
        elif block.language in RUNNABLE:
            shows_output = following and following.language == OUTPUT_LANGUAGE and not following.directive
            steps.append((block, following.text if following and shows_output else None))
    return steps


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=str(page.relative_to(ROOT)), marks=[] if page in QUICK else [pytest.mark.long])
        for page in PAGES
        if _steps(page)
    ],
)
def test_every_command_runs_and_prints_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    missing = [program for program in NEEDS.get(page, ()) if not shutil.which(program)]
    if missing:
        pytest.skip(f"not on PATH: {', '.join(missing)}")
    with session(tmp_path / "page") as opened:
        for block, expected in _steps(page):
            if block.directive == OUTPUT_OF_TERMINAL:
                opened.compare_terminal(block)
            else:
                opened.run(block, expected)
        opened.close_terminals()


def test_each_guide_has_commands_and_a_start() -> None:
    for guide in GUIDES.glob("*.md"):
        if guide.name != "README.md":
            assert [block for block, _ in _steps(guide) if block.directive == "server"], guide


def test_the_index_of_the_guides_names_each() -> None:
    index = (GUIDES / "README.md").read_text()
    assert [
        guide.name for guide in GUIDES.glob("*.md") if guide.name != "README.md" and f"]({guide.name})" not in index
    ] == []


def test_the_blocks_that_no_test_runs_are_known_with_their_reasons() -> None:
    found = {
        (str(page.relative_to(ROOT)), block.text.splitlines()[0], block.directive.removeprefix(NEVER))
        for page in PAGES
        for block in blocks(page)
        if block.directive.startswith(NEVER)
    }
    assert found == NEVER_RUN


def test_a_reason_that_names_a_test_names_one_that_exists() -> None:
    named = [reason.split()[0] for _, _, reason in NEVER_RUN if reason.startswith("tests/")]
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_guides_give_every_change_a_request_id() -> None:
    changes = ("increment", "decrement", "set", "configure", "move", "reserve", "commit", "release", "extend")
    command = re.compile(rf"tallykeeper (?:counter|reservation|stock) (?:{'|'.join(changes)}) [^`\n]*")
    found = [shown for page in GUIDES.glob("*.md") for shown in command.findall(page.read_text())]
    assert found
    assert [shown for shown in found if "--request-id" not in shown] == []
