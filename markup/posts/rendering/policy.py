"""The one policy that decides which HTML a post may contain, whatever it was written in.

Everything named here passes, everything else goes: no script, no style, no frame, no form, no object, no
SVG in the page (as an image by its address it is harmless), no address but http, https, mailto and those on
this site. An id gets a prefix, so that nothing in a post can take the place of something in the page around
it.

The policy is idempotent, and holds for the finished page too: `sanitise(stored) == stored`.
"""

import re

import nh3

ID_PREFIX = "s-"

TAGS = {
    *("p", "br", "hr", "div", "span", "section", "aside", "nav", "details", "summary"),
    *("h1", "h2", "h3", "h4", "h5", "h6"),
    *("ul", "ol", "li", "dl", "dt", "dd", "blockquote", "pre", "figure", "figcaption", "img"),
    *("table", "caption", "colgroup", "col", "thead", "tbody", "tfoot", "tr", "th", "td"),
    *("a", "abbr", "b", "bdi", "bdo", "cite", "code", "del", "dfn", "em", "i", "ins", "kbd", "mark", "q"),
    *("s", "samp", "small", "strong", "sub", "sup", "time", "u", "var", "wbr", "ruby", "rt", "rp"),
    *("math", "mrow", "mi", "mn", "mo", "ms", "mtext", "mspace", "mfrac", "msqrt", "mroot", "msub", "msup"),
    *("msubsup", "munder", "mover", "munderover", "mtable", "mtr", "mtd", "mstyle", "mpadded", "mphantom"),
}

ATTRIBUTES = {
    "*": {"id", "class", "lang", "dir", "role"},
    "a": {"href", "title", "aria-label"},
    "abbr": {"title"},
    "blockquote": {"cite"},
    "col": {"span"},
    "colgroup": {"span"},
    "del": {"cite", "datetime"},
    "details": {"open"},
    "dfn": {"title"},
    "img": {"src", "alt", "title", "width", "height", "loading", "decoding"},
    "ins": {"cite", "datetime"},
    "li": {"value"},
    "math": {"display"},
    "mo": {"stretchy", "form", "fence", "separator"},
    "mspace": {"width"},
    "ol": {"start", "reversed", "type"},
    "pre": {"tabindex"},
    "div": {"tabindex"},
    "q": {"cite"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope", "abbr"},
    "time": {"datetime"},
}

# Classes that the site's style sheet knows. A post cannot use others, such as those of the page around it.
CLASSES = {
    *("admonition", "admonition-title", "note", "tip", "hint", "important", "warning", "caution"),
    *("danger", "attention", "error", "footnotes", "footnote", "footnote-ref", "backref", "label"),
    *("epigraph", "attribution", "contents", "topic", "topic-title", "sidebar", "sidebar-title"),
    *("line-block", "line", "right", "center", "lead", "table"),
}
LANGUAGE_CLASS = re.compile(r"language-[a-z0-9+#.-]{1,32}", re.IGNORECASE)
# Pygments' short names for kinds of tokens.
TOKEN_CLASS = re.compile(r"[a-z][a-z0-9]{0,2}")
ROLES = {"doc-noteref", "doc-backlink", "doc-footnote", "doc-endnotes", "doc-toc"}
ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,199}")
SOURCE = re.compile(r"https?://|mailto:|/|#")
NUMBER = re.compile(r"-?[0-9]{1,5}")
NUMBERS = {"width", "height", "start", "value", "colspan", "rowspan", "span"}
CHOICES = {
    "dir": {"ltr", "rtl", "auto"},
    "display": {"block", "inline"},
    "loading": {"lazy"},
    "decoding": {"async"},
    "role": ROLES,
    "scope": {"row", "col", "rowgroup", "colgroup"},
    "tabindex": {"0"},
    "type": {"1", "a", "A", "i", "I"},
}


def _attribute(tag: str, name: str, value: str) -> str | None:
    """Return the value an allowed attribute keeps, or None to drop the attribute."""
    if name == "class":
        return " ".join(part for part in value.split() if _class_passes(tag, part)) or None
    if name == "id":
        return _prefixed(value) if ID.fullmatch(value) else None
    if name == "href" and value.startswith("#"):
        return "#" + _prefixed(value[1:]) if ID.fullmatch(value[1:]) else None
    if name == "cite":
        # Unlike href and src, this one is an address that the sanitiser itself lets pass whatever its scheme.
        return value if SOURCE.match(value) else None
    if name in NUMBERS and tag != "mspace":
        return value if NUMBER.fullmatch(value) else None
    if name in CHOICES:
        return value if value in CHOICES[name] else None
    return value


def _class_passes(tag: str, name: str) -> bool:
    return (
        name in CLASSES
        or (tag == "code" and LANGUAGE_CLASS.fullmatch(name) is not None)
        or (tag == "span" and TOKEN_CLASS.fullmatch(name) is not None)
    )


def _prefixed(identifier: str) -> str:
    return identifier if identifier.startswith(ID_PREFIX) else ID_PREFIX + identifier


CLEANER = nh3.Cleaner(
    tags=TAGS,
    clean_content_tags={
        "script",
        "style",
        "iframe",
        "object",
        "embed",
        "svg",
        "template",
        "noscript",
        "title",
    },
    attributes=ATTRIBUTES,
    attribute_filter=_attribute,
    url_schemes={"http", "https", "mailto"},
    link_rel=None,
)


def sanitise(html: str) -> str:
    """Return what the policy lets pass of `html`: HTML with lower-case names and quoted values."""
    return CLEANER.clean(html)
