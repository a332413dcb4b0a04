"""Every public page of the samples as a validator sees it, and every link on it followed."""

import re
from pathlib import Path
from urllib.parse import urldefrag, urljoin, urlsplit

import html5lib
import pytest
from django.conf import settings
from django.test import Client

HTML = "{http://www.w3.org/1999/xhtml}"
MATHML = "{http://www.w3.org/1998/Math/MathML}"
VOID = {"br", "hr", "img", "meta", "link", "wbr", "col"}
PHRASING = {
    *(
        "a",
        "abbr",
        "b",
        "bdi",
        "bdo",
        "br",
        "cite",
        "code",
        "del",
        "dfn",
        "em",
        "i",
        "img",
        "ins",
        "kbd",
        "mark",
    ),
    *("math", "q", "ruby", "s", "samp", "small", "span", "strong", "sub", "sup", "time", "u", "var", "wbr"),
}
ONLY_PHRASING = {
    "p",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "pre",
    "dt",
    "span",
    "em",
    "strong",
    "code",
    "summary",
}
CHILDREN = {
    "ul": {"li"},
    "ol": {"li"},
    "dl": {"dt", "dd", "div"},
    "table": {"caption", "colgroup", "thead", "tbody", "tfoot", "tr"},
    "thead": {"tr"},
    "tbody": {"tr"},
    "tr": {"td", "th"},
}
ATTRIBUTES = {
    "*": {
        "id",
        "class",
        "lang",
        "dir",
        "title",
        "role",
        "tabindex",
        "aria-label",
        "aria-hidden",
        "aria-current",
    },
    "a": {"href", "rel"},
    "img": {"src", "alt", "width", "height", "loading", "decoding"},
    "link": {"rel", "href", "type"},
    "meta": {"charset", "name", "content", "property"},
    "time": {"datetime"},
    "th": {"scope", "colspan", "rowspan"},
    "td": {"colspan", "rowspan"},
    "ol": {"start", "reversed", "type"},
    "li": {"value"},
    "blockquote": {"cite"},
    "details": {"open"},
    "math": {"display", "xmlns"},
}


@pytest.fixture(scope="module")
def pages(samples):
    """Every page that can be come to from the front page by links: its path, and its text."""
    client, found, waiting = Client(), {}, ["/", "/sitemap.xml"]
    while waiting:
        path = waiting.pop()
        response = client.get(path)
        assert response.status_code == 200, path
        found[path] = response
        text = response.content.decode()
        links = re.findall(r'href="([^"]*)"', text) + re.findall(r"<loc>([^<]*)</loc>", text)
        for link in links:
            parts = urlsplit(urljoin(f"http://testserver{path}", link))
            if parts.netloc == "testserver" and not parts.path.startswith(("/static/", "/media/")):
                assert not parts.query, link
                if parts.path not in found and parts.path not in waiting:
                    waiting.append(parts.path)
    return {
        path: response.content.decode()
        for path, response in found.items()
        if response.headers["Content-Type"].startswith("text/html")
    }


def tree(page):
    """The page as a tree; raises an error for anything that the HTML standard calls a parse error."""
    return html5lib.HTMLParser(html5lib.getTreeBuilder("etree"), strict=True).parse(page)


def name(element):
    return str(element.tag).removeprefix(HTML).removeprefix(MATHML)


def walk(element, ancestors=()):
    yield element, ancestors
    for child in element:
        yield from walk(child, (*ancestors, element))


def check(page):
    """Hold a page against the rules of HTML that parsing does not know, and some of our own."""
    root = tree(page)
    html = root if name(root) == "html" else next(iter(root))
    assert html.get("lang") == "en"
    elements = list(walk(html))
    ids = [element.get("id") for element, _ in elements if element.get("id")]
    assert len(ids) == len(set(ids)), "an id twice"
    counts = {
        tag: sum(name(e) == tag for e, _ in elements) for tag in ("title", "h1", "main", "script", "style")
    }
    assert counts == {"title": 1, "h1": 1, "main": 1, "script": 0, "style": 0}
    level = 0
    for element, ancestors in elements:
        tag = name(element)
        assert str(element.tag).startswith((HTML, MATHML)), tag
        if str(element.tag).startswith(MATHML) and tag != "math":
            continue
        for attribute, value in element.items():
            allowed = ATTRIBUTES["*"] | ATTRIBUTES.get(tag, set())
            assert attribute in allowed, f"<{tag} {attribute}>"
            assert value or attribute in ("alt", "open", "reversed"), f"<{tag} {attribute}> is empty"
        if tag in CHILDREN:
            assert {name(child) for child in element} <= CHILDREN[tag], f"in <{tag}>"
            assert not (element.text or "").strip(), f"text in <{tag}>"
        if tag in ONLY_PHRASING:
            assert {name(child) for child in element} <= PHRASING, f"in <{tag}>"
        if tag == "a":
            assert not any(name(ancestor) == "a" for ancestor in ancestors)
            assert "".join(element.itertext()).strip() or element.get("aria-label"), "a link without text"
            fragment = element.get("href").removeprefix("#")
            assert not element.get("href").startswith("#") or fragment in ids, f"#{fragment} is nowhere"
        if tag == "img":
            assert {"src", "alt", "width", "height"} <= set(element.keys())
            assert element.get("alt"), "an image without words"
        if re.fullmatch("h[1-6]", tag):
            assert int(tag[1]) <= level + 1, f"<{tag}> after <h{level}>"
            level = int(tag[1])
        if tag not in VOID and tag in ("p", "li", "td", "h2", "h3"):
            content = "".join(element.itertext()).strip() or any(name(c) == "img" for c in element.iter())
            assert content or tag == "td", f"<{tag}> is empty"


def test_every_public_page_is_valid_html(pages):
    assert len(pages) == 3 + 25 + 1 + 17 + 1
    for path, page in pages.items():
        try:
            check(page)
        except (AssertionError, html5lib.html5parser.ParseError) as error:
            error.add_note(path)
            raise


def test_the_pages_for_what_is_not_there_and_what_failed_are_valid(samples, db):
    client = Client()
    check(client.get("/nowhere/").content.decode())
    failure = (Path(settings.BASE_DIR) / "templates/500.html").read_text(encoding="utf-8")
    assert tree(failure) is not None


def test_the_check_finds_what_is_wrong(pages):
    good = pages["/posts/the-shape-of-a-request/"]
    check(good)
    for before, after in (
        ("</main>", ""),
        ('lang="en"', ""),
        ("<h1>", "<h1><h1>"),
        ('id="content"', 'id="s-fn1"'),
        ("</p>\n", "</p><script></script>\n"),
        ("<h2 ", "<h4 "),
        ('<h2 id="s-what-the-line-ends-hide">What the line ends hide</h2>', "<h3>x</h3>"),
        ('alt="A request', 'title="A request'),
        ("<p>", '<p align="center">'),
        ("<p>", "<p><font>"),
        ('href="#s-fn1"', 'href="#s-fn9"'),
        ("<thead>", "<thead><p>x</p>"),
        ("<p>Before", "<p><Before"),
    ):
        bad = good.replace(before, after, 1)
        assert bad != good
        with pytest.raises((AssertionError, html5lib.html5parser.ParseError, ValueError)):
            check(bad)


def test_every_file_that_a_page_asks_for_is_there(pages):
    asked = set()
    for page in pages.values():
        asked |= {
            urldefrag(link)[0] for link in re.findall(r'(?:href|src)="(/(?:static|media)/[^"]*)"', page)
        }
    assert len([path for path in asked if path.startswith("/media/")]) == 6
    assert len([path for path in asked if path.startswith("/static/")]) == 2
    for path in asked:
        root = settings.STATIC_ROOT if path.startswith("/static/") else settings.MEDIA_ROOT
        assert (Path(root) / path.split("/", 2)[2]).is_file(), path


def test_static_files_have_their_hash_in_their_names(pages):
    files = re.findall(r'"/static/([^"]*)"', pages["/"])
    assert len(files) == 2
    assert all(re.fullmatch(r"[a-z]+\.[0-9a-f]{12}\.(css|svg)", file) for file in files)


def test_every_page_can_be_used_by_the_keyboard_and_read_aloud(pages):
    for path, page in pages.items():
        body = page.partition("<body>")[2]
        assert body.strip().startswith('<a class="skip" href="#content">'), path
        assert '<main id="content" tabindex="-1">' in body, path
        assert '<nav aria-label="Site">' in body, path
        for scrolling in re.findall(r'<pre[^>]*>|<div class="table"[^>]*>', body):
            assert 'tabindex="0"' in scrolling, path


def test_every_title_and_description_is_its_own(pages):
    for pattern in (r"<title>([^<]*)</title>", r'rel="canonical" href="([^"]*)"'):
        found = [re.search(pattern, page)[1] for page in pages.values()]
        assert len(found) == len(set(found))
