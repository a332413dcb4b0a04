"""Links between the repository's Markdown pages: the file is there, and so is the heading.

External addresses are not followed.
"""

import re
from collections import Counter
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token


def inline_text(token: Token) -> str:
    return "".join(
        child.content for child in token.children or () if child.type in ("text", "code_inline", "softbreak")
    )


def slug(heading: str) -> str:
    """Return the anchor of a heading, as GitHub and MyST make it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def read(path: Path) -> tuple[list[str], set[str]]:
    """Return the targets of a page's links and images, and the anchors of its headings."""
    tokens = MarkdownIt("commonmark").enable("table").parse(path.read_text("utf-8"))
    links: list[str] = []
    anchors: Counter[str] = Counter()
    for before, token in zip([None, *tokens], tokens, strict=False):
        for child in token.children or ():
            target = child.attrGet("href") or child.attrGet("src")
            if target:
                links.append(str(target))
        if before is not None and before.type == "heading_open":
            anchors[slug(inline_text(token))] += 1
    numbered = {f"{anchor}-{n}" for anchor, count in anchors.items() for n in range(1, count)}
    return links, set(anchors) | numbered


@pytest.fixture(scope="module")
def pages(root: Path, files: list[Path]) -> list[Path]:
    # What stands in the samples of the markup project is content of that site, with its own addresses.
    return [path for path in files if path.suffix == ".md" and "samples" not in path.parts]


def test_links_lead_somewhere(root: Path, pages: list[Path]) -> None:
    anchors = {path: read(path)[1] for path in pages}
    broken = []
    count = 0
    for page in pages:
        for link in read(page)[0]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            count += 1
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            if not target.exists() or not target.is_relative_to(root):
                broken.append(f"{page.relative_to(root)}: {link}")
            elif parts.fragment and target.suffix == ".md" and parts.fragment not in anchors[target]:
                broken.append(f"{page.relative_to(root)}: {link} (no such heading)")
    assert broken == []
    assert count > 20, "the links of the pages were not found"


def test_every_page_of_the_documentation_can_be_reached(root: Path, pages: list[Path]) -> None:
    """By following links from docs/index.md."""
    docs = root / "docs"
    reached = {docs / "index.md"}
    waiting = [docs / "index.md"]
    while waiting:
        page = waiting.pop()
        for link in read(page)[0]:
            path = urlsplit(link).path
            target = (page.parent / unquote(path)).resolve()
            if path.endswith(".md") and target.exists() and target not in reached:
                reached.add(target)
                waiting.append(target)
    lost = [path for path in pages if path.is_relative_to(docs) and path not in reached]
    assert [str(path.relative_to(root)) for path in lost] == []
