"""The site of the documents can be built, and its build finds a link that leads nowhere."""

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest

from tests.docs.markdown import ROOT, pages

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not find_spec("sphinx"), reason="Sphinx is not installed: make docs installs it"),
]

_CONFIGURATION: Final = Path("tools", "docs_site")
_FAVICON: Final = Path("client", "tallykeeper_console", "static", "favicon.svg")
_OPTIONS: Final = ("--fail-on-warning", "--keep-going", "--quiet", "--fresh-env")


def _build(source: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    settings = ("--conf-dir", source / _CONFIGURATION, "--doctree-dir", folder / "doctrees")
    return subprocess.run(
        [sys.executable, "-m", "sphinx", *_OPTIONS, *settings, source, folder / "site"],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_makefile_builds_with_the_same_options() -> None:
    lines = (ROOT / "Makefile").read_text().splitlines()
    (command,) = (line for line in lines if "-m sphinx" in line and "linkcheck" not in line)
    assert [option for option in (*_OPTIONS, f"--conf-dir {_CONFIGURATION}") if option not in command] == []


def test_the_site_has_every_document(tmp_path: Path) -> None:
    built = _build(ROOT, tmp_path)
    assert built.returncode == 0, built.stderr
    documents = [page.relative_to(ROOT) for page in pages() if page.is_relative_to(ROOT / "docs")]
    expected = [Path("index.html"), Path("README.html"), *(page.with_suffix(".html") for page in documents)]
    assert [page for page in expected if not (tmp_path / "site" / page).exists()] == []
    front_page = (tmp_path / "site" / "index.html").read_text()
    assert front_page == (tmp_path / "site" / "README.html").read_text()
    menu = front_page.partition('<div class="sidebar-tree">')[2].partition("</div>")[0]
    assert [page for page in documents if menu.count(f'href="{page.with_suffix(".html")}"') != 1] == []


def test_links_to_files_that_are_no_pages_lead_to_the_repository(tmp_path: Path) -> None:
    _build(ROOT, tmp_path)
    front_page = (tmp_path / "site" / "README.html").read_text()
    assert 'href="https://github.com/tallykeeper/tallykeeper/tree/main/tests/conformance/clients"' in front_page
    assert 'href="https://github.com/tallykeeper/tallykeeper/blob/main/client/go/README.md"' in front_page
    assert not (tmp_path / "site" / "_downloads").exists()


def test_a_link_that_leads_nowhere_ends_the_build(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(ROOT / _CONFIGURATION, source / _CONFIGURATION)
    (source / _FAVICON).parent.mkdir(parents=True)
    shutil.copy(ROOT / _FAVICON, source / _FAVICON)
    for page in ("glossary.md", "guides/README.md", "guides/task.md", "decisions/README.md", "decisions/0001.md"):
        target = source / "docs" / page
        target.parent.mkdir(exist_ok=True, parents=True)
        target.write_text("# A page\n")
    for page in ("CONTRIBUTING.md", "CODE_OF_CONDUCT.md", "SECURITY.md", "CHANGELOG.md"):
        (source / page).write_text("# A page\n")
    (source / "README.md").write_text("# Home\n\n[The words](docs/glossary.md#a-page)\n")
    assert _build(source, tmp_path).returncode == 0

    (source / "README.md").write_text("# Home\n\n[The words](docs/glossary.md#nowhere), [a page](docs/missing.md)\n")
    built = _build(source, tmp_path)
    assert built.returncode != 0
    assert "nowhere" in built.stderr
    assert "missing.md" in built.stderr
