"""Every relative link of every Markdown file leads to a file, and every anchor to a heading."""

import re
from pathlib import Path
from typing import Final

import pytest

from tests.docs.markdown import ROOT, anchors, links, pages

_ELSEWHERE: Final = re.compile(r"^(?:[a-z][a-z0-9+.-]*:|//)")
_PAGES_MIN: Final = 20


def broken(page: Path) -> list[str]:
    """Return the relative links of a page that lead nowhere."""
    return [target for target in links(page) if not _ELSEWHERE.match(target) and not _leads_somewhere(page, target)]


def _leads_somewhere(page: Path, target: str) -> bool:
    name, _, anchor = target.partition("#")
    file = (page.parent / name).resolve() if name else page
    if not file.exists():
        return False
    return not anchor or (file.suffix == ".md" and anchor in anchors(file))


def test_every_page_is_looked_at() -> None:
    found = pages()
    assert len(found) >= _PAGES_MIN
    assert {ROOT / "README.md", ROOT / "docs" / "glossary.md", ROOT / "docs" / "decisions" / "README.md"} <= set(found)


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    assert broken(page) == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached:
            continue
        reached.add(page)
        targets = (target.partition("#")[0] for target in links(page) if not _ELSEWHERE.match(target))
        files = ((page.parent / target).resolve() for target in targets if target)
        waiting += [file for file in files if file.suffix == ".md" and file.exists()]
    documents = {page for page in pages() if page.is_relative_to(ROOT / "docs")}
    assert documents - reached == set()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a](missing.md)", ["missing.md"]),
        ("[a](other.md)", []),
        ("[a](other.md#the-first-part)", []),
        ("[a](other.md#the-first-part-1)", []),
        ("[a](other.md#the-last-part)", ["other.md#the-last-part"]),
        ("[a](#nowhere)", ["#nowhere"]),
        ("[a `b` [c]](missing.md)", ["missing.md"]),
        ("![picture](missing.svg)", ["missing.svg"]),
        ("[a][b]\n\n[b]: missing.md", ["missing.md"]),
        ("`[a](missing.md)`", []),
        ("```md\n[a](missing.md)\n```", []),
        ("<!-- [a](missing.md) -->", []),
        ("[a](https://example.org/missing.md)", []),
    ],
)
def test_a_broken_link_is_found_and_no_other(tmp_path: Path, text: str, expected: list[str]) -> None:
    (tmp_path / "other.md").write_text(
        "# Other\n\n## The *first* `part`\n\n## The first part\n\n```\n# The last part\n```\n"
    )
    page = tmp_path / "page.md"
    page.write_text(text)
    assert broken(page) == expected
