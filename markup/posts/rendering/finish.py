"""The finish of every post's HTML: headings in place, code coloured, tables and images made to fit.

Works on what the policy returned, which is what makes expressions enough: tags have lower-case names and
quoted values, and a `<` that is not a tag's does not occur.
"""

import re
from html import unescape

from django.utils.text import slugify
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

from posts.rendering.images import size_of
from posts.rendering.policy import ID_PREFIX

ATTRIBUTES = r'((?: [a-z-]+="[^"]*")*)'
CODE = re.compile(r'<pre><code class="language-([^" ]+)">([^<]*)</code></pre>')
HEADING = re.compile(rf"<h([1-6]){ATTRIBUTES}>(.*?)</h\1>", re.DOTALL)
IMAGE = re.compile(rf"<img{ATTRIBUTES}>")
ATTRIBUTE = re.compile(r' ([a-z-]+)="([^"]*)"')
TAG = re.compile(r"<[^>]*>")

# The kinds of token that site.css has a colour for. The rest, two thirds of a page of code, stays plain text.
COLOURED = {
    *("c", "c1", "cm", "ch", "cs", "cp", "cpf", "go"),
    *("k", "kd", "kn", "kr", "kt", "kc", "ow", "gd"),
    *("s", "s1", "s2", "sa", "sb", "sd", "sh", "si", "sr", "se", "l", "gi"),
    *("m", "mi", "mf", "mh", "mo", "il", "no", "bp", "nd"),
    *("nf", "nc", "fm", "na", "ne", "nn", "gh", "nt", "gp"),
}


class _Formatter(HtmlFormatter):
    """Pygments' HTML with classes, for the tokens that have a colour."""

    def _get_css_class(self, ttype):
        name = super()._get_css_class(ttype)
        return name if name in COLOURED else ""


FORMATTER = _Formatter(nowrap=True)


def finish(html: str) -> str:
    """Return sanitised HTML with headings from h2 on and linkable, colours in code, images with sizes."""
    html = _with_headings(html)
    html = CODE.sub(_coloured, html)
    html = html.replace("<pre>", '<pre tabindex="0">')
    # A wide table scrolls in a box of its own, which the keyboard must reach.
    html = re.sub(rf"<table{ATTRIBUTES}>", r'<div class="table" tabindex="0"><table\1>', html)
    html = html.replace("</table>", "</table></div>")
    return IMAGE.sub(_image, html).strip()


def _with_headings(html: str) -> str:
    """Make the post's first level h2, below the page's h1; skip no level; give each heading an id."""
    levels = sorted({int(match[1]) for match in HEADING.finditer(html)})
    ranks = {level: min(rank, 6) for rank, level in enumerate(levels, start=2)}
    used = {match[1] for match in re.finditer(r' id="([^"]+)"', html)}

    def heading(match: re.Match[str]) -> str:
        rank, attributes = ranks[int(match[1])], match[2]
        if ' id="' not in attributes:
            stem = ID_PREFIX + (slugify(unescape(TAG.sub("", match[3])))[:60].strip("-") or "part")
            identifier, number = stem, 1
            while identifier in used:
                number += 1
                identifier = f"{stem}-{number}"
            used.add(identifier)
            attributes += f' id="{identifier}"'
        return f"<h{rank}{attributes}>{match[3]}</h{rank}>"

    return HEADING.sub(heading, html)


def _coloured(match: re.Match[str]) -> str:
    language, code = match.groups()
    try:
        lexer = get_lexer_by_name(language.lower(), stripnl=False)
    except ClassNotFound:
        return match[0]
    spans = highlight(unescape(code), lexer, FORMATTER).rstrip("\n")
    return f'<pre><code class="language-{language}">{spans}\n</code></pre>'


def _image(match: re.Match[str]) -> str:
    attributes = dict(ATTRIBUTE.findall(match[1]))
    if "src" not in attributes:
        return ""
    attributes.setdefault("alt", "")
    if (
        "width" not in attributes
        and "height" not in attributes
        and (size := size_of(unescape(attributes["src"])))
    ):
        # With its proportions known, the browser keeps the place free and the text does not jump.
        attributes["width"], attributes["height"] = map(str, size)
    attributes |= {"loading": "lazy", "decoding": "async"}
    return "<img" + "".join(f' {name}="{value}"' for name, value in attributes.items()) + ">"
