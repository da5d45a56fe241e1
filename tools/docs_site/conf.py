"""The settings of Sphinx for the site of the documents. `make docs` builds it from the repository's own Markdown.

The pages stay at the paths that GitHub shows, so the root of the repository is the source folder. Links between pages
become links of the site, and each link to a missing target ends the build. Linked files that are no pages are copied,
and a link to a folder becomes plain text.
"""

from pathlib import Path
from typing import Final

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

ROOT: Final = Path(__file__).parents[2]

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
html_show_sourcelink = False
html_copy_source = False

CONTENTS: Final = """

```{toctree}
:hidden:
:glob:
:caption: Guides

docs/guides/README
docs/guides/*
```

```{toctree}
:hidden:
:glob:
:caption: Behind the API

docs/*
```

```{toctree}
:hidden:
:caption: Project

docs/decisions/README
CONTRIBUTING
CODE_OF_CONDUCT
SECURITY
CHANGELOG
```
"""
"""The site's menu. It is here and not in README, because GitHub would show it as text."""

DECISIONS: Final = """

```{toctree}
:hidden:
:glob:

*
```
"""

FRONT_PAGE: Final = (
    '<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url=README.html">'
    "<title>Tallykeeper</title>"
)


def _add_menu(_app: Sphinx, name: str, source: list[str]) -> None:
    source[0] += {"README": CONTENTS, "docs/decisions/README": DECISIONS}.get(name, "")


def _unlink_what_the_site_lacks(app: Sphinx, page: nodes.document) -> None:
    """Turn links to folders, and to Markdown that is not part of the site, into their texts, if the targets exist."""
    folder = Path(app.env.doc2path(app.env.docname)).parent
    for link in list(page.findall(pending_xref)):
        is_other_page = link["refdomain"] == "doc" and link["reftarget"] not in app.env.found_docs
        if is_other_page or (folder / link["reftarget"]).is_dir():
            link.replace_self(link.children)


def _write_front_page(app: Sphinx, error: Exception | None) -> None:
    if error is None:
        Path(app.outdir, "index.html").write_text(FRONT_PAGE, encoding="utf-8")


def setup(app: Sphinx) -> None:
    """Connect this site's own steps with Sphinx."""
    app.connect("source-read", _add_menu)
    app.connect("doctree-read", _unlink_what_the_site_lacks)
    app.connect("build-finished", _write_front_page)
