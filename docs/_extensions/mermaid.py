"""A Sphinx extension: draws ```mermaid blocks while the pages are built, as SVG inside the page.

The usual extensions leave the drawing to a script that browsers fetch from elsewhere, and then a mistake in a
diagram shows itself to readers only. Here it is a warning of the build, which is an error in `make docs`.
"""

import re

from docutils import nodes
from mermaidx import render
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

log = logging.getLogger(__name__)

#: Mermaid's theme without colours; the panel around a diagram is light in the dark theme of the pages too.
THEME = "neutral"
#: Sequence diagrams with wrapped texts, which makes them half as wide.
LAYOUT = {"sequence": {"actorMargin": 20, "width": 110, "wrap": True}}
#: How much of its size a diagram keeps on narrow pages.
SMALLEST = 0.6
PANEL = (
    '<figure class="mermaid" style="background: #fff; border-radius: 4px; margin: 1rem 0; overflow-x: auto; '
    'padding: 1rem; text-align: center">{}</figure>'
)


def _keep_readable(width: re.Match[str]) -> str:
    """Let a diagram become as wide as it was drawn, but not so small that nobody can read it: it scrolls then."""
    return f"{width[0]} min-width: {float(width[1]) * SMALLEST:.0f}px;"


class Mermaid(SphinxDirective):
    """The content of the block is the diagram's text."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the drawing, or the text where it cannot be drawn."""
        text = "\n".join(self.content)
        try:
            svg = render(text, theme=THEME, config=LAYOUT).svg()
        except RuntimeError as error:
            log.warning("the diagram cannot be drawn: %s", error, location=self.get_location())
            return [nodes.literal_block(text, text)]
        # Several drawings share a page: what they call themselves must differ.
        name = f"diagram-{self.env.new_serialno('mermaid')}"
        svg = svg.replace("my-svg", f"{self.env.docname.replace('/', '-')}-{name}")
        svg = re.sub(r"max-width: ([\d.]+)px;", _keep_readable, svg, count=1)
        return [nodes.raw("", PANEL.format(svg), format="html")]


def setup(app: Sphinx) -> dict[str, object]:
    """Connect to Sphinx."""
    app.add_directive("mermaid", Mermaid)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
