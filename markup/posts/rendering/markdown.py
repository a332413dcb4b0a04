"""Markdown as a source format: CommonMark, with tables, strikethrough, footnotes and typographic quotes.

Inline HTML is part of CommonMark and goes through; the policy decides about it as about everything else.
"""

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from mdit_py_plugins.footnote import footnote_plugin

from posts.rendering.errors import RenderError


def _align_by_class(state: StateCore) -> None:
    """Replace the style attribute of aligned table cells, which the policy does not let pass, by a class."""
    for token in state.tokens:
        if token.type in ("th_open", "td_open") and (style := token.attrs.pop("style", None)):
            alignment = str(style).partition(":")[2]
            if alignment in ("right", "center"):
                token.attrSet("class", alignment)


def _footnote_reference(self, tokens, index, options, env):
    meta = tokens[index].meta
    number, again = meta["id"] + 1, meta.get("subId", 0)
    anchor = f"fnref{number}-{again}" if again else f"fnref{number}"
    return (
        f'<sup class="footnote-ref"><a href="#fn{number}" id="{anchor}" role="doc-noteref">{number}</a></sup>'
    )


def _footnote_open(self, tokens, index, options, env):
    return f'<li id="fn{tokens[index].meta["id"] + 1}">'


def _footnote_back(self, tokens, index, options, env):
    meta = tokens[index].meta
    number, again = meta["id"] + 1, meta.get("subId", 0)
    anchor = f"fnref{number}-{again}" if again else f"fnref{number}"
    return f' <a class="backref" href="#{anchor}" role="doc-backlink" aria-label="Back to the text">↩</a>'


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"typographer": True})
    parser.enable(["table", "strikethrough", "replacements", "smartquotes"])
    parser.use(footnote_plugin)
    parser.core.ruler.push("align_by_class", _align_by_class)
    parser.add_render_rule("footnote_ref", _footnote_reference)
    parser.add_render_rule(
        "footnote_block_open", lambda *_: '<section class="footnotes" role="doc-endnotes">\n<ol>\n'
    )
    parser.add_render_rule("footnote_block_close", lambda *_: "</ol>\n</section>\n")
    parser.add_render_rule("footnote_open", _footnote_open)
    parser.add_render_rule("footnote_anchor", _footnote_back)
    return parser


# Rendering keeps its state in objects of its own, so one parser serves every thread.
PARSER = _parser()


def to_html(source: str) -> tuple[str, list[str]]:
    """Return the HTML that the Markdown stands for; raise RenderError when it is nested too deeply."""
    try:
        return PARSER.render(source), []
    except RecursionError:
        raise RenderError("The Markdown is nested too deeply to be rendered.") from None
