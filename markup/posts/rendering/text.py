"""The plain text of a rendered post, and the beginning of it: for excerpts, descriptions and search."""

from html.parser import HTMLParser

# Characters of the excerpt: two or three lines in a list of posts, and as much as others show of a
# description.
EXCERPT = 240
# A paragraph shorter than this is an aside ("Updated twice."), and does not say what a post is about.
TELLING = 60
BLOCKS = {
    "p",
    "div",
    "section",
    "aside",
    "li",
    "dt",
    "dd",
    "pre",
    "blockquote",
    "figcaption",
    "td",
    "th",
    "tr",
    "br",
}
BLOCKS |= {"h2", "h3", "h4", "h5", "h6", "table", "ul", "ol", "dl", "figure", "caption", "hr", "summary"}


# Characters that no page needs and no XML may contain: the C0 controls but tab and line feed.
CONTROLS = dict.fromkeys(code for code in range(32) if chr(code) not in "\t\n")


def without_controls(text: str) -> str:
    """Return `text` without characters that cannot be in a feed."""
    return text.translate(CONTROLS)


class _Text(HTMLParser):
    """Collects the text of a page by block; footnote marks are left out."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks: list[tuple[str, str]] = []
        self._pieces: list[str] = []
        self._tag = ""
        self._skipping = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if (
            self._skipping
            or (tag == "sup" and ("class", "footnote-ref") in attrs)
            or ("class", "backref") in attrs
        ):
            self._skipping += tag not in ("img", "br", "hr", "wbr", "col")
        elif tag in BLOCKS:
            self.close_block()
            self._tag = tag

    def handle_endtag(self, tag: str) -> None:
        if self._skipping:
            self._skipping -= 1
        elif tag in BLOCKS:
            self.close_block()

    def handle_data(self, data: str) -> None:
        if not self._skipping:
            self._pieces.append(data)

    def close_block(self) -> None:
        """End the block of text that is being collected."""
        text = " ".join("".join(self._pieces).split())
        if text:
            self.blocks.append((self._tag, text))
        self._pieces.clear()
        self._tag = ""


def _blocks(html: str) -> list[tuple[str, str]]:
    parser = _Text()
    parser.feed(html)
    parser.close()
    parser.close_block()
    return parser.blocks


def text_of(html: str) -> str:
    """Return the text of sanitised HTML, a line for each block."""
    return "\n".join(text for _, text in _blocks(html))


def excerpt_of(html: str) -> str:
    """Return the first paragraph that says something, cut at a word to EXCERPT characters."""
    blocks = _blocks(html)
    paragraphs = [text for tag, text in blocks if tag == "p"]
    text = next((text for text in paragraphs if len(text) >= TELLING), " ".join(paragraphs))
    if not text:
        text = " ".join(text for _, text in blocks)
    if len(text) <= EXCERPT:
        return text[:-1] + "…" if text.endswith(":") else text
    return text[:EXCERPT].rpartition(" ")[0].rstrip(" ,;:.–—-") + "…"
