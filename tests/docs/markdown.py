"""Reads the repository's Markdown: fenced blocks with their directives, headings with their anchors, and links.

The form that it understands is the one that these pages use: fences and headings begin at the start of a line.
"""

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
_NOT_PAGES: Final = frozenset({".git", ".venv", "node_modules", "site", "target", "tallykeeper-data"})

_DIRECTIVE: Final = re.compile(r"<!-- run: (.*?) -->")
_HIDDEN: Final = re.compile(r"<!-- run: hidden(?: (.*))?")
CLOSE: Final = "close the terminals"
"""The directive that stands by itself."""
_FENCE: Final = re.compile(r"^(`{3,}|~{3,})(\S*)")
_HEADING: Final = re.compile(r"^#{1,6} +(.*?)(?: +#+)?$")
_INLINE_CODE: Final = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)", re.DOTALL)
_INLINE_LINK: Final = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\(<?([^()\s>]+)>?(?: \"[^\"]*\")?\)")
_REFERENCE: Final = re.compile(r"^\[([^\]]+)\]: *<?(\S+?)>?$", re.MULTILINE)
_COMMENT: Final = re.compile(r"<!--.*?-->", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, its text, the number of its first line, and the directive before it, if any."""

    page: Path
    line: int
    language: str
    text: str
    directive: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """Return every Markdown file of the repository, without what is installed, built or ignored."""
    found = ROOT.rglob("*.md")
    return sorted(path for path in found if not _NOT_PAGES.intersection(path.relative_to(ROOT).parts))


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page in order. A directive counts for the block that follows it."""
    found: list[Block] = []
    directive = fence = language = ""
    begun, body = 0, list[str]()
    for number, line in enumerate(page.read_text().splitlines(), start=1):
        if fence:
            if line.rstrip() == fence:
                found.append(Block(page, begun, language, "\n".join(body), directive))
                directive = fence = ""
            else:
                body.append(line)
        elif opening := _FENCE.match(line):
            fence, language = opening.groups()
            begun, body = number, []
        elif hidden := _HIDDEN.fullmatch(line):
            fence, language, directive = "-->", "sh", hidden[1] or ""
            begun, body = number, []
        elif line == f"<!-- run: {CLOSE} -->":
            found.append(Block(page, number, "sh", "", CLOSE))
        elif stated := _DIRECTIVE.fullmatch(line):
            directive = stated[1]
        elif line and directive:
            message = f"{page.relative_to(ROOT)}:{number}: a directive is followed by text and not by a block"
            raise ValueError(message)
    return found


def prose(text: str) -> str:
    """Return a page without its fenced blocks, inline code and comments."""
    kept: list[str] = []
    fence = ""
    for line in text.splitlines():
        if fence:
            fence = "" if line.rstrip() == fence else fence
        elif opening := _FENCE.match(line):
            fence = opening[1]
        else:
            kept.append(line)
    return _COMMENT.sub("", "\n".join(kept))


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    seen: Counter[str] = Counter()
    found: set[str] = set()
    for line in prose(page.read_text()).splitlines():
        if heading := _HEADING.match(line):
            anchor = _anchor(heading[1])
            found.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
            seen[anchor] += 1
    return found


def links(page: Path) -> list[str]:
    """Return the targets of a page's links, images and reference definitions."""
    text = _INLINE_CODE.sub("`code`", prose(page.read_text()))
    return [target for _, target in _INLINE_LINK.findall(text)] + [target for _, target in _REFERENCE.findall(text)]


def _anchor(heading: str) -> str:
    """Return a heading's anchor: lower case, without punctuation, with hyphens for spaces."""
    visible = _INLINE_LINK.sub(r"\1", heading).replace("`", "").replace("*", "").lower()
    kept = (c for c in visible if c in " -_" or unicodedata.category(c)[0] in "LMN")
    return "".join(kept).strip().replace(" ", "-")
