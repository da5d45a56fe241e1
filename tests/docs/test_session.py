"""The runner of the documents' commands finds what is wrong with a page, and ends what it started."""

from pathlib import Path

import pytest

from tests.docs.markdown import ROOT, Block, blocks
from tests.docs.session import matches, session

PAGE = ROOT / "README.md"


def _shell(text: str, directive: str = "") -> Block:
    return Block(page=PAGE, line=1, language="sh", text=text, directive=directive)


def _python(text: str) -> Block:
    return Block(page=PAGE, line=1, language="python", text=text, directive="")


def test_an_output_that_differs_fails(tmp_path: Path) -> None:
    with session(tmp_path / "page") as opened, pytest.raises(AssertionError, match="this was printed"):
        opened.run(_shell("echo two"), "one")


def test_a_command_that_fails_fails_the_page_although_others_follow(tmp_path: Path) -> None:
    with session(tmp_path / "page") as opened, pytest.raises(AssertionError, match="a command failed"):
        opened.run(_shell("false\necho after"), None)


def test_python_that_raises_fails(tmp_path: Path) -> None:
    with session(tmp_path / "page") as opened, pytest.raises(AssertionError, match="ZeroDivisionError"):
        opened.run(_python("1 / 0"), None)


def test_a_server_that_does_not_start_fails(tmp_path: Path) -> None:
    with session(tmp_path / "page") as opened, pytest.raises(AssertionError, match="no server at"):
        opened.run(_shell("echo no server here", "server"), None)


def test_a_terminal_whose_command_fails_fails_the_page(tmp_path: Path) -> None:
    with session(tmp_path / "page") as opened:
        opened.run(_shell("echo begun\nfalse", "terminal"), None)
        opened.compare_terminal(_shell("begun"))
        opened.wait_for_terminal()
        with pytest.raises(AssertionError, match="a command in a terminal failed"):
            opened.close_terminals()


def test_an_unknown_directive_fails(tmp_path: Path) -> None:
    with session(tmp_path / "page") as opened, pytest.raises(AssertionError, match="unknown directive"):
        opened.run(_shell("true", "sometimes"), None)


def test_the_blocks_of_a_page_share_a_shell_and_its_folder(tmp_path: Path) -> None:
    with session(tmp_path / "page") as opened:
        opened.run(_shell("export COLOUR=blue\nmkdir inner && cd inner"), None)
        opened.run(_shell('basename "$PWD"; echo $COLOUR'), "inner\nblue")
        opened.run(_python("import os\nprint(os.environ['COLOUR'])"), "blue")


def test_documented_ports_are_free_ports_in_commands_and_documented_ones_in_outputs(tmp_path: Path) -> None:
    with session(tmp_path / "page") as opened:
        opened.run(_shell("echo 127.0.0.1:50051; test 50051 -lt 50000; echo 500510"), "127.0.0.1:50051\n500510")


@pytest.mark.parametrize(
    ("expected", "output"),
    [
        ("at … o'clock", "at 12:30 o'clock\n"),
        ("first\n…\nlast", "first\nlast\n"),
        ("first\n…\nlast", "first\nany\nmore\nlast\n"),
        ("a  b", "a  b   \n"),
        ("…", "anything\n"),
        ("(1.0) [x]*", "(1.0) [x]*\n"),
    ],
)
def test_a_placeholder_stands_for_text_of_a_line_or_for_lines(expected: str, output: str) -> None:
    assert matches(expected, output)


@pytest.mark.parametrize(
    ("expected", "output"),
    [
        ("at … o'clock", "at 12:30\no'clock\n"),
        ("one", "one\ntwo\n"),
        ("one\ntwo", "one\n"),
        ("1.0", "100\n"),
        ("a  b", "a b\n"),
    ],
)
def test_all_else_must_be_equal(expected: str, output: str) -> None:
    assert not matches(expected, output)


def test_a_directive_that_no_block_follows_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.docs.markdown.ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text("<!-- run: server -->\n\nText.\n")
    with pytest.raises(ValueError, match="followed by text"):
        blocks(page)
