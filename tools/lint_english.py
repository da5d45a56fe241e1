"""Checks the English of this repository: no word of the list below, and no docstring that begins with a question word.

It reads comments, docstrings, string literals and the names of tests in Python, comments of the other languages, and
the prose of Markdown without code. `python -m tools.lint_english [FILE ...]` prints the faults that it finds.
"""

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

WORDS: Final = {
    "told": "name what it is: a message, a reply, a report",
    "besides": "beside, in addition, or except",
    "whom": "who, or another sentence",
    "in vain": "without effect",
    "comes by": "gets",
    "come by": "get",
    "all the same": "still, or equal",
    "is no more": "has ended",
    "are no more": "have ended",
    "at length": "name the length",
    "for good": "permanently",
    "lest": "so that … not",
    "meanwhile": "at the same time",
    "of its own": "its own",
    "of their own": "their own",
    "of ours": "our",
    "of theirs": "their",
    "is to be": "active and present: must, or will",
    "are to be": "active and present: must, or will",
    "may not have": "must not have, or might not have",
    "will have to be": "must be",
    "so many": "name the number",
    "so much": "name the amount",
    "wherever that is": "name the place",
    "by now": "now",
    "hither": "here",
    "thereof": "its",
    "whence": "from where",
    "thence": "from there",
    "be it": "whether",
    "for want of": "because … lacks",
    "what for": "why",
    "the like": "name them",
    "not long ago": "name the time",
    "over again": "again",
    "and not what": "name it",
    "became of": "the outcome of",
    "become of": "the outcome of",
    "becomes of": "the outcome of",
    "as above": "name the thing",
    "as below": "name the thing, or link to it",
    "if need be": "if necessary",
    "shall": "must, or will",
    "anew": "again, or from the beginning",
    "vouch for": "name, or sign",
    "vouches for": "names, or signs",
    "can be had": "is available",
    "by turns": "alternately",
    "but for": "except",
    "all but": "all except",
    "nothing but": "only",
    "anything but": "anything except",
    "none but": "only",
    "without a word": "without an error, or without a message",
    "dealt with": "name what happened",
}
"""Words and phrases that are hard to understand, each with its replacement."""

_BEGINNINGS: Final = re.compile(r"(what|which|who|how|where|by|return (what|which|who|how|where))\b", re.IGNORECASE)
_PHRASES: Final = re.compile(
    r"\b(" + "|".join(re.escape(word).replace(r"\ ", r"\s+") for word in sorted(WORDS, key=len, reverse=True)) + r")\b",
    re.IGNORECASE,
)
_MARKDOWN_CODE: Final = re.compile(
    r"^(```|~~~).*?^\1[^\n]*$|`[^`\n]*`|\]\([^)]*\)|<!--.*?-->", re.MULTILINE | re.DOTALL
)
_EXCEPT: Final = {Path("tools/lint_english.py"), Path("tests/lint/test_lint_english.py")}
"""The files that list the words."""
_SHELL_LIKE: Final = {"Makefile", "Dockerfile", "run"}
"""Files without a suffix whose comments begin as those of a shell."""
_GENERATED: Final = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py", ".pb.go", "_pb.ts")
_NOT_OURS: Final = (Path("client/typescript/protos"), Path("client/rust/src/generated"))
"""Folders of files that other projects wrote, or that are generated."""
_SLASHES: Final = re.compile(r"/\*.*?\*/|(?<![:\"'`/])//[^\n]*", re.DOTALL)
"""Comments of C and its relatives. The slashes of an address, and of a text that begins with them, begin no comment."""
_COMMENTS: Final = {
    ".c": _SLASHES,
    ".cc": _SLASHES,
    ".cs": _SLASHES,
    ".go": _SLASHES,
    ".java": _SLASHES,
    ".js": _SLASHES,
    ".rs": _SLASHES,
    ".ts": _SLASHES,
    ".tpl": re.compile(r"/\*.*?\*/", re.DOTALL),
    ".service": re.compile(r"^#[^\n]*", re.MULTILINE),
    ".lua": re.compile(r"--(?!\[\[)[^\n]*"),
    ".proto": re.compile(r"//[^\n]*"),
    ".sh": re.compile(r"(?<![$\w])#[^\n]*"),
    ".toml": re.compile(r"#[^\n]*"),
    ".yaml": re.compile(r"#[^\n]*"),
    ".yml": re.compile(r"#[^\n]*"),
}


class Fault(NamedTuple):
    """A fault in a file's prose."""

    path: Path
    line: int
    """The line's number, from 1."""
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


class _Text(NamedTuple):
    """A piece of prose, and the number of its first line."""

    line: int
    text: str
    is_docstring: bool = False


def faults(path: Path, source: str) -> Iterator[Fault]:
    """Yield the faults in a file's prose."""
    for piece in _texts(path, source):
        if piece.is_docstring and _BEGINNINGS.match(piece.text):
            begins = " ".join(piece.text.split()[:3])
            yield Fault(path, piece.line, f"a docstring begins with a verb or a noun, not with {begins!r}")
        for match in _PHRASES.finditer(piece.text):
            word = " ".join(match[0].lower().split())
            line = piece.line + piece.text.count("\n", 0, match.start())
            yield Fault(path, line, f"{word!r}: write {WORDS[word]!r}, or another sentence")


def _texts(path: Path, source: str) -> Iterator[_Text]:
    if path.suffix == ".py":
        yield from _python(source)
    elif path.suffix == ".md":
        yield _Text(1, _MARKDOWN_CODE.sub(lambda match: "\n" * match[0].count("\n"), source))
    elif comments := _COMMENTS.get(path.suffix, _COMMENTS[".sh"] if path.name in _SHELL_LIKE else None):
        yield from _joined((source.count("\n", 0, match.start()) + 1, match[0]) for match in comments.finditer(source))


def _python(source: str) -> Iterator[_Text]:
    tree = ast.parse(source)
    documenting = {
        (statement.value.lineno, statement.value.col_offset)
        for node in ast.walk(tree)
        for statement in _statements(node)
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield _Text(node.lineno, node.value, (node.lineno, node.col_offset) in documenting)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_"):
            yield _Text(node.lineno, node.name.replace("_", " "))
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    yield from _joined((token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT)


def _statements(node: ast.AST) -> list[ast.stmt]:
    body = getattr(node, "body", None)
    return body if isinstance(body, list) else []


def _joined(comments: Iterator[tuple[int, str]]) -> Iterator[_Text]:
    """Join comments on consecutive lines, so that a phrase over two lines is found."""
    begin, end, text = 0, -1, ""
    for line, comment in comments:
        words = re.sub(r"^\s*(//+!?|--+|#+:?|/\*+|\*+(?!/))", "", comment, flags=re.MULTILINE)
        if line != end + 1 and text:
            yield _Text(begin, text)
            text = ""
        begin, text = (begin, f"{text}\n{words}") if text else (line, words)
        end = line + comment.count("\n")
    if text:
        yield _Text(begin, text)


def _tracked() -> Iterator[Path]:
    """Yield the files of the repository that people wrote."""
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, check=True)  # noqa: S607
    for name in filter(None, listed.stdout.split("\0")):
        path = Path(name)
        if path in _EXCEPT or name.endswith(_GENERATED) or any(map(path.is_relative_to, _NOT_OURS)):
            continue
        if path.is_file():
            yield path


def main(arguments: list[str]) -> int:
    """Print the faults of the files, or of the whole repository, and return 1 if there are any."""
    found = 0
    for path in map(Path, arguments) if arguments else _tracked():
        try:
            source = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for fault in faults(path, source):
            print(fault)
            found += 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
