import pytest

from portway.files.media_types import is_active, media_type


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("css/site.css", "text/css; charset=utf-8"),
        ("index.HTML", "text/html; charset=utf-8"),
        ("app.js", "text/javascript; charset=utf-8"),
        ("app.mjs", "text/javascript; charset=utf-8"),
        ("robots.txt", "text/plain; charset=utf-8"),
        ("data.json", "application/json"),
        ("app.js.map", "application/json"),
        ("site.webmanifest", "application/manifest+json"),
        ("logo.svg", "image/svg+xml"),
        ("a.b.woff2", "font/woff2"),
        ("photo.JPeG", "image/jpeg"),
        ("app.wasm", "application/wasm"),
        # A compressed file asked for by its own name is an archive, not a coding of something.
        ("data.json.gz", "application/gzip"),
        ("data.json.br", "application/x-brotli"),
        ("data.json.zst", "application/zstd"),
        ("README", "application/octet-stream"),
        ("css.d/README", "application/octet-stream"),
        (".css", "application/octet-stream"),
        ("trailing.", "application/octet-stream"),
        ("x.unheard-of", "application/octet-stream"),
        ("apple-app-site-association", "application/json"),
    ],
)
def test_the_type_of_a_name(name, expected):
    assert media_type(name) == expected


@pytest.mark.parametrize("name", ["a.html", "a.htm", "a.xhtml", "a.svg", "a.xml", "a.rss", "a.xsl"])
def test_documents_that_run_scripts_are_active(name):
    assert is_active(media_type(name))


@pytest.mark.parametrize("name", ["a.png", "a.pdf", "a.txt", "a.json", "a.css", "a.zip", "a", "a.mp4"])
def test_other_types_are_not_active(name):
    assert not is_active(media_type(name))
