"""Renders a post: the one way from source text to the HTML that is stored and served.

    source --format--> HTML --policy--> clean HTML --finish--> the stored page, its plain text and its excerpt

A format only has to turn its notation into HTML, and need not be safe: every format's output goes through the
same policy. This runs when a post is saved, in the thread that saves it, and never when it is read.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from posts.rendering import html, markdown, plain, restructuredtext
from posts.rendering.errors import RenderError
from posts.rendering.finish import finish
from posts.rendering.policy import sanitise
from posts.rendering.text import excerpt_of, text_of, without_controls

# Characters of source. The longest essays have a quarter of this; renderers take time and memory in
# proportion.
MAX_SOURCE = 200_000


@dataclass(frozen=True, slots=True)
class Format:
    """A notation that posts can be written in: its name for people, and the function that makes HTML of it.

    The function returns the HTML and a list of complaints about the source, for the author.
    """

    label: str
    to_html: Callable[[str], tuple[str, list[str]]]


FORMATS: dict[str, Format] = {
    "markdown": Format("Markdown", markdown.to_html),
    "restructuredtext": Format("reStructuredText", restructuredtext.to_html),
    "plain": Format("Plain text", plain.to_html),
    "html": Format("HTML", html.to_html),
}


@dataclass(frozen=True, slots=True)
class Rendered:
    """What is stored with a post: safe HTML, its text, how that begins, how many words, the hash."""

    html: str
    text: str
    excerpt: str
    words: int
    content_hash: str
    complaints: tuple[str, ...]


def render(source: str, format: str) -> Rendered:
    """Render `source`, written in the format of that name.

    Raises RenderError, with a message for the author, when there is too much of it or it cannot be rendered.
    """
    if len(source) > MAX_SOURCE:
        raise RenderError(f"The text has {len(source):,} characters; {MAX_SOURCE:,} are the limit.")
    raw, complaints = FORMATS[format].to_html(without_controls(source))
    page = finish(sanitise(raw))
    text = text_of(page)
    return Rendered(
        html=page,
        text=text,
        excerpt=excerpt_of(page),
        words=len(text.split()),
        content_hash=hashlib.sha256(page.encode()).hexdigest(),
        complaints=tuple(complaints),
    )
