"""The settings of Sphinx for the site of the documents. `make docs` builds it from the repository's own Markdown.

The pages stay at the paths that GitHub shows, so the root of the repository is the source folder. Links between pages
become links of the site, and each link to a missing target ends the build. Links to files and folders that are no pages
lead to the repository on GitHub.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from docutils import nodes
from sphinx.addnodes import download_reference, pending_xref
from sphinx.application import Sphinx

REPOSITORY: Final = "https://github.com/tallykeeper/tallykeeper"

project = "Tallykeeper"
author = "The Tallykeeper authors"
extensions = ["myst_parser"]
root_doc = "README"
include_patterns = ["*.md", "docs/**.md"]
exclude_patterns = [
    ".*",
    "**/.*",
    "**/node_modules",
    "bench",
    "client",
    "lua",
    "protos",
    "server",
    "site",
    "tests",
    "tools",
]
nitpicky = True

myst_heading_anchors = 4

html_theme = "furo"
html_title = "Tallykeeper"
html_favicon = "../../client/tallykeeper_console/static/favicon.svg"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_use_index = False
html_theme_options = {
    "source_repository": REPOSITORY,
    "source_branch": "main",
    "source_directory": "",
    "top_of_page_buttons": ["view"],
}

linkcheck_timeout = 30
linkcheck_ignore = [r"https?://(127\.0\.0\.1|localhost)[:/]", rf"{REPOSITORY}/(blob|tree)/main/"]
"""Servers of the reader, and files of the repository, which `make docs` has found."""

MENU: Final = {
    "Guides": ("docs/guides/README", "docs/guides/*"),
    "Use": ("docs/sdks", "docs/http", "docs/console", "docs/glossary"),
    "Operate": ("docs/deploy", "docs/security", "docs/on-call", "docs/reliability", "docs/performance", "docs/*"),
    "Understand": ("docs/architecture", "docs/design", "docs/decisions/README"),
    "Project": ("CHANGELOG", "CONTRIBUTING", "CODE_OF_CONDUCT", "SECURITY"),
}
"""The parts of the site's menu, in their order, with their pages. A star stands for the pages that no part names."""


def _menu(source: Path) -> Iterator[str]:
    """Yield the menu of the site. It is here and not in README, because GitHub would show it as text."""
    named = {page for pages in MENU.values() for page in pages}
    for part, patterns in MENU.items():
        found = [
            str(path.relative_to(source).with_suffix(""))
            for pattern in patterns
            for path in sorted(source.glob(f"{pattern}.md"))
        ]
        pages = [page for page in dict.fromkeys(found) if page in patterns or page not in named]
        yield "\n".join(["", "```{toctree}", ":hidden:", f":caption: {part}", "", *pages, "```", ""])


DECISIONS: Final = """

```{toctree}
:hidden:
:glob:

*
```
"""


def _add_menu(app: Sphinx, name: str, source: list[str]) -> None:
    if name == root_doc:
        source[0] += "\n" + "".join(_menu(Path(app.srcdir)))
    elif name == "docs/decisions/README":
        source[0] += DECISIONS


def _link_to_the_repository(app: Sphinx, page: nodes.document) -> None:
    """Let links to files and folders that are not pages of the site lead to the repository, if the targets exist."""
    source = Path(app.srcdir)
    folder = Path(app.env.doc2path(app.env.docname)).parent
    for link in [*page.findall(pending_xref), *page.findall(download_reference)]:
        target = (folder / link["reftarget"]).resolve()
        if link["refdomain"] == "doc":
            if link["reftarget"] in app.env.found_docs:
                continue
            target = source / f"{link['reftarget']}.md"
        if target.exists():
            kind = "tree" if target.is_dir() else "blob"
            anchor = f"#{link['reftargetid']}" if link.get("reftargetid") else ""
            url = f"{REPOSITORY}/{kind}/main/{target.relative_to(source.resolve())}{anchor}"
            link.replace_self(nodes.reference("", "", *link.children, refuri=url))


def _write_front_page(app: Sphinx, error: Exception | None) -> None:
    """Make the page of README the front page, too. All its links are relative."""
    if error is None and app.builder.name == "html":
        shutil.copyfile(Path(app.outdir, f"{root_doc}.html"), Path(app.outdir, "index.html"))


def setup(app: Sphinx) -> None:
    """Connect this site's own steps with Sphinx."""
    app.connect("source-read", _add_menu)
    app.connect("doctree-read", _link_to_the_repository, priority=100)  # before linked files are collected to be copied
    app.connect("build-finished", _write_front_page)
