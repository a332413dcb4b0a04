"""Plain text as a source format: text as people have always sent it by mail.

Blank lines part paragraphs; a block that is indented throughout (by two spaces or a tab) keeps its lines and
spaces; web addresses become links. Nothing else has a meaning, and that is the point of the format.
"""

import re
from html import escape
from itertools import groupby
from textwrap import dedent

ADDRESS = re.compile(r"https?://[^\s<>\"]+")
GAP = re.compile(r"\n(?:[ \t]*\n)+")
# Punctuation at the end of an address belongs to the sentence it stands in.
TRAILING = ".,;:!?'\"”’"


def to_html(source: str) -> tuple[str, list[str]]:
    """Return paragraphs, preformatted blocks and links as HTML."""
    blocks = [block for block in GAP.split(source.expandtabs(4)) if block.strip()]
    html = []
    for indented, run in groupby(blocks, _is_indented):
        if indented:
            lines = dedent("\n\n".join(run)).strip("\n")
            html.append(f"<pre>{escape(lines, quote=False)}</pre>")
        else:
            html.extend(f"<p>{_linked(block.strip())}</p>" for block in run)
    return "\n".join(html), []


def _is_indented(block: str) -> bool:
    return all(line.startswith("  ") for line in block.strip("\n").split("\n"))


def _linked(text: str) -> str:
    parts, end = [], 0
    for match in ADDRESS.finditer(text):
        address = match[0].rstrip(TRAILING)
        # A closing bracket is the sentence's too, unless the address has the one that it closes.
        while address.endswith(")") and address.count(")") > address.count("("):
            address = address[:-1].rstrip(TRAILING)
        parts.append(escape(text[end : match.start()], quote=False))
        parts.append(f'<a href="{escape(address)}">{escape(address, quote=False)}</a>')
        end = match.start() + len(address)
    parts.append(escape(text[end:], quote=False))
    return "".join(parts)
