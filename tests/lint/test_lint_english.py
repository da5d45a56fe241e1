"""The lint of English finds each word of its list, in each kind of text, and leaves code alone."""

import re
from pathlib import Path

import pytest

from tools.lint_english import WORDS, faults


def faults_in(name: str, source: str) -> list[str]:
    return [str(fault) for fault in faults(Path(name), source)]


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.py", "# Callers are {} here.\n"),
        ("a.py", '"""Callers are {} here."""\n'),
        ("a.py", 'message = f"callers are {} at {{address}}"\n'),
        ("a.lua", "local a = 1 -- callers are {} here\n"),
        ("a.proto", "// Callers are {} here.\n"),
        ("a.md", "Callers are {} here.\n"),
        ("Makefile", "test: ## callers are {} here\n"),
        ("Dockerfile", "# Callers are {} here.\n"),
        ("a.go", "// Callers are {} here.\n"),
        ("a.java", "/** Callers are {} here. */\n"),
        ("a.rs", "/// Callers are {} here.\n"),
        ("a.ts", "/**\n * Callers are {} here.\n */\n"),
        ("a.tpl", "{{{{- /* Callers are {} here. */}}}}\n"),
    ],
)
def test_each_word_is_found_in_each_kind_of_text(name: str, text: str, word: str) -> None:
    (fault,) = faults_in(name, text.format(word))

    assert re.match(rf"{name}:[12]: {re.escape(repr(word))}: write ", fault)


def test_the_name_of_a_test_is_read_as_a_sentence() -> None:
    assert faults_in("a.py", "async def test_a_reply_is_all_the_same_late() -> None: ...\n") == [
        "a.py:1: 'all the same': write 'still, or equal', or another sentence"
    ]
    assert faults_in("a.py", "def all_the_same() -> None: ...\n") == []


def test_a_phrase_over_two_lines_is_found() -> None:
    assert faults_in("a.py", "x = 1\n# The reply is, all\n# the same, late.\n") == [
        "a.py:2: 'all the same': write 'still, or equal', or another sentence"
    ]
    assert faults_in("a.md", "One.\n\nThe reply is, all\nthe same, late.\n")[0].startswith("a.md:3: ")
    assert faults_in("a.ts", "/**\n * The reply is, all\n * the same, late.\n */\n")[0].startswith("a.ts:2: ")


@pytest.mark.parametrize("beginning", ["What", "Which", "Who", "How", "Where", "By", "Return what", "Return who"])
def test_a_docstring_that_begins_with_a_question_word_is_found(beginning: str) -> None:
    source = f'def f() -> None:\n    """{beginning} it does."""\n'

    (fault,) = faults_in("a.py", source)

    assert fault.startswith("a.py:2: a docstring begins with a verb or a noun, not with ")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.py", "told = lest(besides)\n"),
        ("a.py", 'words = {"what": 1, "which": 2}\n'),
        ("a.py", '"""Whatever the caller sends is counted."""\n'),
        ("a.py", "# Return the reply. What the caller sends is counted.\n"),
        ("a.lua", "local told = besides\n"),
        ("a.go", 'told := "https://besides.example"\n'),
        ("a.md", "The field `told` is text.\n\n```python\ntold = 1  # in vain\n```\n"),
        ("a.md", "[a page](besides.md) <!-- told -->\n"),
        ("a.json", '{"told": 1}\n'),
    ],
)
def test_code_and_plain_words_are_left_alone(name: str, text: str) -> None:
    assert faults_in(name, text) == []
