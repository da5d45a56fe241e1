"""The glossary has one meaning for each word, and each word is in use."""

import re
from collections import Counter
from typing import Final

import pytest

from tests.docs.markdown import ROOT, pages

GLOSSARY: Final = ROOT / "docs" / "glossary.md"
_ROW: Final = re.compile(r"^\| \*\*(.+?)\*\* \| (.+) \|$", re.MULTILINE)
TERMS: Final[dict[str, str]] = dict(_ROW.findall(GLOSSARY.read_text()))


def _uses() -> str:
    """Return the documents and the protos, without the glossary, in lower case, with underscores as spaces."""
    documents = [page.read_text() for page in pages() if page not in {GLOSSARY, ROOT / "CHANGELOG.md"}]
    protos = [proto.read_text() for proto in sorted((ROOT / "protos").rglob("*.proto"))]
    return re.sub(r"[\s_-]+", " ", " ".join(documents + protos).lower())


USES: Final = _uses()


def test_every_row_of_the_glossary_is_read() -> None:
    rows = [
        line for line in GLOSSARY.read_text().splitlines() if line.startswith("| ") and line != "| word | meaning |"
    ]
    assert len(rows) == len(_ROW.findall(GLOSSARY.read_text())) > 0


def test_each_word_has_one_meaning() -> None:
    words = Counter(word.lower() for word, _ in _ROW.findall(GLOSSARY.read_text()))
    assert [word for word, count in words.items() if count > 1] == []


def is_used(word: str) -> bool:
    """Tell whether a word, or a longer word that begins with it, is in the documents or the contract."""
    return re.search(rf"\b{re.escape(word.replace('-', ' '))}", USES) is not None


@pytest.mark.parametrize("word", TERMS)
def test_each_word_is_used_in_the_documents_or_the_contract(word: str) -> None:
    assert is_used(word)


def test_a_word_that_nobody_uses_would_be_found() -> None:
    assert not is_used("stocktaking officer")
