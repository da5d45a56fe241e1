"""The store's user, as the documentation gives it."""

import re
from pathlib import Path
from typing import Final

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "security.md"
PASSWORD: Final = "correct-horse"  # noqa: S105  # of stores that live for a test


def user_line(*, also: str = "") -> str:
    """Return the user from the documentation, with the additional rights that a test asks for."""
    text = DOCUMENT.read_text()
    (line,) = re.findall(r"^user tallykeeper .*(?:\n +\+.*)*", text, re.MULTILINE)
    if also:
        (further,) = re.findall(rf"^\* {also}: `([^`]*)`", text, re.MULTILINE)
        line += f" {further}"
    return " ".join(line.split()).replace(">PASSWORD", f">{PASSWORD}")
