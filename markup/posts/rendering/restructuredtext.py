"""reStructuredText as a source format: docutils, kept from files, from configuration and from its own memory.

docutils is a tool for one's own documents on one's own machine. Here it renders what somebody typed into a
form, in a process that goes on: directives that read files or pass HTML through are off, no configuration
file is read, no file's content is embedded as an image, and roles that one document defines are forgotten
before the next. That memory belongs to the module, which is why one document is rendered at a time.
"""

import io
import re
import threading

from docutils import nodes
from docutils.core import publish_parts
from docutils.parsers.rst import roles
from docutils.writers import html5_polyglot

from posts.rendering.errors import RenderError

SETTINGS = {
    "_disable_config": True,
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "embed_stylesheet": False,
    "image_loading": "link",
    "line_length_limit": 10_000,
    # Complaints go to the author from "warning" upwards; nothing stops the rendering, and an error of
    # docutils itself comes up as an exception, where the default is to end the process.
    "report_level": 2,
    "halt_level": 5,
    "traceback": True,
    "doctitle_xform": False,
    "docinfo_xform": False,
    "sectsubtitle_xform": False,
    # The post's title is the page's h1.
    "initial_header_level": 2,
    "smart_quotes": True,
    "syntax_highlight": "none",
    "math_output": "MathML",
    "table_style": "colwidths-auto",
    "footnote_references": "superscript",
    "trim_footnote_reference_space": True,
    "id_prefix": "",
    "auto_id_prefix": "part-",
    "input_encoding": "unicode",
    "output_encoding": "unicode",
}

COMPLAINT = re.compile(r"^<string>:(\d*):? ?\((\w+)/\d\) (.+)$", re.MULTILINE)
LANGUAGE = re.compile(r"[A-Za-z0-9+#.-]{1,32}")

_lock = threading.Lock()


class Translator(html5_polyglot.HTMLTranslator):
    """docutils' HTML in fewer words: the same elements as the other formats have for the same things."""

    def visit_literal(self, node: nodes.literal) -> None:
        """Write inline code as `code`, without docutils' division into words."""
        self.body.append(f"<code>{self.encode(node.astext())}</code>")
        raise nodes.SkipNode

    def visit_literal_block(self, node: nodes.literal_block) -> None:
        """Write code as `pre` and `code` with its language, to be coloured where every format's code is."""
        language = next((name for name in node["classes"] if name != "code" and LANGUAGE.fullmatch(name)), "")
        attribute = f' class="language-{language}"' if language else ""
        self.body.append(f"<pre><code{attribute}>{self.encode(node.astext())}\n</code></pre>\n")
        raise nodes.SkipNode

    def visit_footnote_reference(self, node: nodes.footnote_reference) -> None:
        """Write the reference as a superior number."""
        self.body.append(
            f'<sup class="footnote-ref"><a href="#{node["refid"]}" id="{node["ids"][0]}" role="doc-noteref">'
        )

    def depart_footnote_reference(self, node: nodes.footnote_reference) -> None:
        """Close what was opened."""
        self.body.append("</a></sup>")

    def visit_footnote(self, node: nodes.footnote) -> None:
        """Write the note beside its label."""
        self.body.append(f'<div class="footnote" id="{node["ids"][0]}" role="doc-footnote">')

    def depart_footnote(self, node: nodes.footnote) -> None:
        """Close what was opened."""
        self.body.append("</div></div>\n")

    def visit_label(self, node: nodes.label) -> None:
        """Write the label, as a link back where there is one place to go back to."""
        label = self.encode(node.astext())
        if back := node.parent.get("backrefs"):
            label = f'<a href="#{back[0]}" role="doc-backlink">{label}</a>'
        self.body.append(f'<span class="label">{label}</span><div>')
        raise nodes.SkipNode

    visit_citation = visit_footnote
    depart_citation = depart_footnote

    def visit_system_message(self, node: nodes.system_message) -> None:
        """Leave docutils' complaints out of the page: the author gets them in another way."""
        raise nodes.SkipNode

    def visit_problematic(self, node: nodes.problematic) -> None:
        """Show what was not understood as it was written."""
        self.body.append(self.encode(node.astext()))
        raise nodes.SkipNode

    def visit_image(self, node: nodes.image) -> None:
        """Write the image as a link to it, whatever the document says about embedding."""
        node.attributes.pop("loading", None)
        attributes = {
            name: str(node[name]).removesuffix("px") for name in ("width", "height") if name in node
        }
        sizes = "".join(f' {name}="{value}"' for name, value in attributes.items() if value.isdigit())
        alt = self.attval(node.get("alt", ""))
        self.body.append(f'<img src="{self.attval(node["uri"])}" alt="{alt}"{sizes}>')

    def depart_image(self, node: nodes.image) -> None:
        """Nothing is open."""


def to_html(source: str) -> tuple[str, list[str]]:
    """Return the HTML that the reStructuredText stands for, and docutils' complaints about it, one a line.

    Raises RenderError when docutils cannot render it at all.
    """
    complaints = io.StringIO()
    writer = html5_polyglot.Writer()
    writer.translator_class = Translator
    with _lock:
        known_roles = dict(roles._roles)
        try:
            parts = publish_parts(
                source,
                source_path="<string>",
                writer=writer,
                settings_overrides={**SETTINGS, "warning_stream": complaints},
            )
        except RecursionError:
            raise RenderError("The reStructuredText is nested too deeply to be rendered.") from None
        except Exception as error:
            raise RenderError(f"The reStructuredText cannot be rendered: {error}") from error
        finally:
            roles._roles.clear()
            roles._roles.update(known_roles)
    return parts["body"], [_complaint(match) for match in COMPLAINT.finditer(complaints.getvalue())]


def _complaint(match: re.Match[str]) -> str:
    line, _, message = match.groups()
    return f"Line {line}: {message}" if line else message
