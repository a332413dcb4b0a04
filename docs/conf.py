"""How `make docs` builds these pages: Sphinx reads the same Markdown that people read in the repository.

Warnings are errors there (a link that leads nowhere, a diagram that cannot be drawn). Nothing is loaded from
the network, neither while building nor by the pages that come out.
"""

import re
import sys
import tomllib
from pathlib import Path

from sphinx.application import Sphinx

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "_extensions"))

with open(HERE.parent / "pyproject.toml", "rb") as _file:
    project: str = tomllib.load(_file)["project"]["name"].capitalize()
author = copyright = "The Portway maintainers"
release = re.search(
    r'^__version__ = "(.+)"$', (HERE.parent / "src/portway/__init__.py").read_text("utf-8"), re.MULTILINE
)[1]

extensions = ["myst_parser", "mermaid"]
exclude_patterns = ["_extensions"]
myst_enable_extensions = []
myst_fence_as_directive = ["mermaid"]
# Links to a heading of another page, by the same anchors that the repository's web pages give it.
myst_heading_anchors = 4
nitpicky = True

html_theme = "furo"
html_title = f"{project} {release}"
html_show_copyright = False
html_copy_source = False
html_use_index = False
html_theme_options = {"top_of_page_buttons": []}

#: The folders, in the order of the sidebar, with their headings there.
SECTIONS = {
    "tutorial": "Tutorial",
    "how-to": "How to",
    "reference": "Reference",
    "explanation": "Explanation",
    "adr": "Decisions",
}


def add_contents(app: Sphinx, docname: str, source: list[str]) -> None:
    """Append the sidebar to the start page: what it links to, in its order, then what else there is.

    So the page in the repository is plain Markdown, and a new page needs no second list.
    """
    if docname != "index":
        return
    page = source[0]
    for folder, caption in SECTIONS.items():
        linked = re.findall(rf"\]\(({folder}/[^)#]+)\.md[^)]*\)", page)
        others = sorted(name for name in app.env.found_docs if name.startswith(f"{folder}/"))
        names = "\n".join(dict.fromkeys([*linked, *others]))
        source[0] += f"\n\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{names}\n```\n"


def setup(app: Sphinx) -> None:
    """Connect to Sphinx."""
    app.connect("source-read", add_contents)
    # The start page lists the others, so it is read again whenever something is built.
    app.connect("env-get-outdated", lambda *_: ["index"])
