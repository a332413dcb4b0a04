"""What each format makes of a text, and what all of them have in common when they are done."""

import threading

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from posts.rendering.errors import RenderError
from posts.rendering.images import _size
from posts.rendering.pipeline import FORMATS, render
from posts.rendering.policy import sanitise


def html(source, format="markdown"):
    return render(source, format).html


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("*a* **b** `c`", "<p><em>a</em> <strong>b</strong> <code>c</code></p>"),
        ("[a](/b 'c')", '<p><a href="/b" title="c">a</a></p>'),
        ("~~gone~~", "<p><s>gone</s></p>"),
        ('"it\'s" -- so...', "<p>“it’s” – so…</p>"),
        ("> said", "<blockquote>\n<p>said</p>\n</blockquote>"),
        ("<b>bold</b> & x < y", "<p><b>bold</b> &amp; x &lt; y</p>"),
    ],
)
def test_markdown(source, expected):
    assert html(source) == expected


def test_markdown_tables_align_by_class_and_scroll_by_themselves():
    page = html("| a | b |\n|--:|:-:|\n| 1 | 2 |\n")
    assert page.startswith('<div class="table" tabindex="0"><table>')
    assert page.endswith("</table></div>")
    assert '<td class="right">1</td>' in page
    assert '<th class="center">b</th>' in page


def test_markdown_footnotes_lead_there_and_back():
    page = html("Text.[^a] More.[^a]\n\n[^a]: The note.")
    assert '<a href="#s-fn1" id="s-fnref1" role="doc-noteref">1</a>' in page
    assert '<a href="#s-fn1" id="s-fnref1-1" role="doc-noteref">1</a>' in page
    assert '<li id="s-fn1">' in page
    assert 'href="#s-fnref1"' in page
    assert 'href="#s-fnref1-1"' in page


def rst(source):
    return html(source, "restructuredtext")


NOTE = """<aside class="admonition note">
<p class="admonition-title">Note</p>
<p>Mind this.</p>
</aside>"""


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("*a* **b** ``c``", "<p><em>a</em> <strong>b</strong> <code>c</code></p>"),
        ("`a </b>`_", '<p><a href="/b">a</a></p>'),
        ('"it\'s" -- so...', "<p>“it’s” – so…</p>"),
        ("::\n\n  x < y", '<pre tabindex="0"><code>x &lt; y\n</code></pre>'),
        ("H\\ :sub:`2`\\ O", "<p>H<sub>2</sub>O</p>"),
        (".. note:: Mind this.", NOTE),
    ],
)
def test_restructuredtext(source, expected):
    assert rst(source) == expected


def test_restructuredtext_sections_begin_at_the_second_level():
    page = rst("One\n===\n\nText.\n\nTwo\n---\n\nText.\n\nThree\n=====\n\nText.")
    assert [page.count(f"<h{level}") for level in range(1, 5)] == [0, 2, 1, 0]


def test_restructuredtext_footnotes_lead_there_and_back():
    page = rst("Text. [#a]_\n\n.. [#a] The note.")
    assert '<p>Text.<sup class="footnote-ref"><a href="#s-a" id="s-part-1"' in page
    assert '<div class="footnote" id="s-a" role="doc-footnote">' in page
    assert '<a href="#s-part-1" role="doc-backlink">1</a>' in page


def test_restructuredtext_mathematics_is_mathml():
    page = rst(":math:`a^2`")
    assert "<math><msup>" in page.replace("\n", "").replace("  ", "")


def test_restructuredtext_complaints_are_for_the_author_and_not_on_the_page():
    rendered = render("Text *unfinished\n\n.. nonsense:: x\n", "restructuredtext")
    assert len(rendered.complaints) == 2
    assert rendered.complaints[0] == "Line 1: Inline emphasis start-string without end-string."
    assert 'Unknown directive type "nonsense".' in rendered.complaints[1]
    assert rendered.html == "<p>Text *unfinished</p>"


def test_a_role_of_one_document_is_unknown_to_the_next():
    render(".. role:: mine(code)\n\n.. default-role:: mine\n\n:mine:`x` `y`", "restructuredtext")
    after = render(":mine:`x` `y`", "restructuredtext")
    assert 'Unknown interpreted text role "mine".' in after.complaints[-1]
    assert "<cite>y</cite>" in after.html


def test_a_redefined_role_is_itself_again_in_the_next_document():
    render(".. role:: emphasis(strong)\n\n:emphasis:`x`", "restructuredtext")
    assert rst(":emphasis:`x`") == "<p><em>x</em></p>"


def test_documents_rendered_at_the_same_time_do_not_see_each_other():
    results = {}

    def work(name, source):
        results[name] = [render(source, "restructuredtext").complaints for _ in range(5)]

    defining = ".. role:: secret\n\n:secret:`x`\n\n" + "Text.\n\n" * 50
    using = ":secret:`x`\n\n" + "Text.\n\n" * 50
    threads = [
        threading.Thread(target=work, args=arguments)
        for arguments in (("a", defining), ("b", using), ("c", defining), ("d", using))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results["a"] == results["c"] == [()] * 5
    assert all("secret" in complaints[-1] for complaints in results["b"] + results["d"])


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("One\nline.\n\nTwo.", "<p>One\nline.</p>\n<p>Two.</p>"),
        ("*a* <b>b</b> &amp;", "<p>*a* &lt;b&gt;b&lt;/b&gt; &amp;amp;</p>"),
        ("See http://a.org/b(c), yes.", '<p>See <a href="http://a.org/b(c)">http://a.org/b(c)</a>, yes.</p>'),
        ("(http://a.org/?b&c).", '<p>(<a href="http://a.org/?b&amp;c">http://a.org/?b&amp;c</a>).</p>'),
        (
            "Text:\n\n    a = 1\n\n    b = 2\n\nText.",
            '<p>Text:</p>\n<pre tabindex="0">a = 1\n\nb = 2</pre>\n<p>Text.</p>',
        ),
        ("\tx\n\t  y", '<pre tabindex="0">x\n  y</pre>'),
        ("  \n\n\nOnly this.\n\n\n", "<p>Only this.</p>"),
        ("", ""),
    ],
)
def test_plain_text(source, expected):
    assert html(source, "plain") == expected


def test_html_is_taken_as_it_is_and_made_well_formed():
    assert html("<P>One<P>Two <B>bold", "html") == "<p>One</p><p>Two <b>bold</b></p>"


CODE = {
    "markdown": '```python\ndef f(): return "<x>"\n```',
    "restructuredtext": '.. code-block:: python\n\n   def f(): return "<x>"',
    "html": '<pre><code class="language-python">def f(): return "&lt;x&gt;"\n</code></pre>',
}


COLOURED = """<pre tabindex="0"><code class="language-python">\
<span class="k">def</span> <span class="nf">f</span>(): \
<span class="k">return</span> <span class="s2">"&lt;x&gt;"</span>
</code></pre>"""


def test_code_comes_out_of_every_format_the_same():
    pages = {html(source, format) for format, source in CODE.items()}
    assert pages == {COLOURED}


def test_code_in_an_unknown_language_stays_as_it_is():
    assert html("```klingon\nx < y\n```") == (
        '<pre tabindex="0"><code class="language-klingon">x &lt; y\n</code></pre>'
    )


def test_headings_begin_below_the_title_and_skip_no_level():
    page = html("# A\n\n### B\n\n# C\n\n###### D")
    assert page.split("\n") == [
        '<h2 id="s-a">A</h2>',
        '<h3 id="s-b">B</h3>',
        '<h2 id="s-c">C</h2>',
        '<h4 id="s-d">D</h4>',
    ]


def test_headings_have_different_ids():
    page = html("## A\n\n## A\n\n## ?\n\n<h2 id='a-3'>A</h2>\n\n## A")
    ids = [part.split('"')[0] for part in page.split('id="')[1:]]
    assert ids == ["s-a", "s-a-2", "s-part", "s-a-3", "s-a-4"]


def test_links_inside_a_post_follow_their_targets_new_names():
    assert html('<p id="x">a</p><p><a href="#x">b</a></p>', "html") == (
        '<p id="s-x">a</p><p><a href="#s-x">b</a></p>'
    )


def test_images_have_their_sizes_an_alternative_and_wait(db):
    default_storage.save("t/x.svg", ContentFile(b'<svg width="30" height="20px"/>'))
    assert html("![A, b](/media/t/x.svg)") == (
        '<p><img src="/media/t/x.svg" alt="A, b" width="30" height="20" loading="lazy" decoding="async"></p>'
    )
    assert html('<img alt="a > b" src="x">', "html").count("loading") == 1
    assert html('<img src="https://example.org/x.png">', "html") == (
        '<img src="https://example.org/x.png" alt="" loading="lazy" decoding="async">'
    )
    assert 'width="7"' in html('<img src="/media/t/x.svg" width="7">', "html")
    assert "width" not in html("![x](/media/../manage.py)")
    assert "width" not in html("![x](/media/t/none.svg)")


@pytest.mark.parametrize(
    ("head", "size"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x10\0\0\0\x08", (16, 8)),
        (b"GIF89a\x10\0\x08\0", (16, 8)),
        (b"\xff\xd8\xff\xe0\0\x04ab\xff\xc2\0\x11\x08\0\x08\0\x10\3", (16, 8)),
        (b"\xff\xd8\xff\xe0\0\x04ab\xff", None),
        (b'<?xml version="1.0"?>\n<svg x="1"\n width="16" height="8"', (16, 8)),
        (b'<svg width="100%" height="100%"', None),
        (b"\x89PNG\r\n\x1a\n", None),
        (b"", None),
    ],
)
def test_sizes_are_read_from_the_beginning_of_a_file(head, size):
    assert _size(head) == size


@pytest.mark.parametrize("format", FORMATS)
def test_nothing_makes_an_empty_page(format):
    rendered = render("", format)
    assert (rendered.html, rendered.text, rendered.excerpt, rendered.words) == ("", "", "", 0)


@pytest.mark.parametrize("format", FORMATS)
def test_line_ends_and_control_characters_make_no_difference(format):
    assert html("a\r\n\r\nb\x00\x0b\x1f", format) == html("a\n\nb", format)


def test_text_and_excerpt():
    source = """## Heading

Short.

A paragraph that says enough about the *post* to stand for it.[^1] And on.

- one
- two

![not text](/x.png)

[^1]: Note.
"""
    rendered = render(source, "markdown")
    assert rendered.excerpt == "A paragraph that says enough about the post to stand for it. And on."
    assert rendered.text.split("\n") == ["Heading", "Short.", rendered.excerpt, "one", "two", "Note."]


def test_an_excerpt_does_not_promise_what_is_left_out():
    assert render("It is like this:\n\n    code", "markdown").excerpt == "It is like this…"


def test_a_long_excerpt_ends_with_a_word():
    excerpt = render("many words, " * 50, "markdown").excerpt
    assert excerpt.endswith("words…")
    assert 200 < len(excerpt) <= 241


@pytest.mark.parametrize(
    ("format", "source"),
    [
        ("markdown", ">" * 5000 + " x"),
        ("markdown", "[" * 20_000),
        ("markdown", "*a " * 20_000),
        ("html", "<div>" * 20_000),
        ("html", "<b>" * 20_000),
        ("plain", " " * 50_000 + "x"),
        ("plain", "http://" + "(" * 20_000 + ")" * 20_000),
    ],
)
def test_strange_texts_are_rendered(format, source):
    rendered = render(source, format)
    assert sanitise(rendered.html) == rendered.html


def test_restructuredtext_that_is_nested_too_deeply_is_refused():
    source = "\n\n".join(" " * depth + "x" for depth in range(600))
    with pytest.raises(RenderError, match="nested too deeply"):
        render(source, "restructuredtext")


def test_substitutions_do_not_multiply_without_end():
    source = "|a9|\n\n.. |a0| replace:: " + "x" * 100 + "\n"
    for n in range(1, 10):
        source += f".. |a{n}| replace:: " + f"|a{n - 1}| " * 10 + "\n"
    rendered = render(source, "restructuredtext")
    assert len(rendered.html) < 200_000
    assert any("line" in complaint.lower() for complaint in rendered.complaints)
