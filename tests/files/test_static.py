"""Static files that are served as they are, and what is not served."""

import pytest

from portway.files.mounts import Mount
from portway.files.reading import SMALL


def test_get(site, css):
    answer = site.get("/static/css/site.css")
    assert answer.status == 200
    assert answer.body == css.read_bytes()
    assert not answer.was_fd
    assert answer.fields == {
        "content-type": "text/css; charset=utf-8",
        "content-length": str(css.stat().st_size),
        "accept-ranges": "bytes",
        "x-content-type-options": "nosniff",
        "cache-control": "public, max-age=60",
        "etag": answer["ETag"],
        "last-modified": answer["Last-Modified"],
    }
    assert answer["ETag"].startswith('"')
    assert answer["Last-Modified"].endswith(" GMT")


def test_a_big_file_comes_as_a_descriptor(site, big):
    answer = site.get("/static/big.bin")
    assert (answer.status, answer.body, answer.was_fd) == (200, big.read_bytes(), True)


@pytest.mark.parametrize("size", [0, 1, SMALL - 1, SMALL, SMALL + 1])
def test_the_threshold(site, size):
    site.write("static/file", b"x" * size)
    for _ in range(2):  # from disk, then from memory
        answer = site.get("/static/file")
        assert answer.body == b"x" * size
        assert answer["Content-Length"] == str(size)
        assert answer.was_fd == (size > SMALL)


@pytest.mark.parametrize("name", ["/static/css/site.css", "/static/big.bin"])
def test_head_has_the_fields_and_no_content(site, css, big, name):
    got, head = site.get(name), site.get(name, "HEAD")
    assert head.fields == got.fields
    assert (head.status, head.body, head.was_fd) == (200, b"", False)


def test_a_query_does_not_matter(site, css):
    assert site.get("/static/css/site.css?v=3").body == css.read_bytes()


@pytest.mark.parametrize(
    "path", ["/static/%63ss/site.css", "/static/css/site%2ecss", "/static/css/site%2Ecss"]
)
def test_percent_encoding_is_decoded_once(site, css, path):
    assert site.get(path).body == css.read_bytes()


def test_odd_names(site):
    site.write("static/größe 100%.txt", b"x")
    site.write("static/a%41.txt", b"percent")
    site.write("static/aA.txt", b"letter")
    assert site.get("/static/gr%C3%B6%c3%9fe%20100%25.txt").body == b"x"
    assert site.get("/static/a%41.txt").body == b"letter"
    assert site.get("/static/a%2541.txt").body == b"percent"


# What is not served


@pytest.mark.parametrize(
    "path",
    [
        "/static/",
        "/static/css",
        "/static/css/",
        "/static/nope.css",
        "/static//css/site.css",
        "/static/./css/site.css",
        "/static/css/../css/site.css",
        "/static/css/site.css/",
        "/static/css%2Fsite.css",
        "/static/css%2fsite.css",
        "/static/css/site.css%00",
        "/static/CSS/site.css",
        "/static/../media/upload.txt",
        "/static/%2e%2e/media/upload.txt",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_unknown_name_is_a_404_that_nobody_keeps(site, css, path, method):
    site.write("media/upload.txt", b"x")
    answer = site.get(path, method)
    assert answer.status == 404
    assert answer["Cache-Control"] == "no-store"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer.body == (b"404 Not Found\n" if method == "GET" else b"")
    assert answer["Content-Length"] == "14"
    assert "ETag" not in answer


@pytest.mark.parametrize(
    "path", ["/", "/static", "/statically/x", "/st%61tic/css/site.css", "//static/css/site.css"]
)
def test_other_urls_are_the_application_s(site, css, path):
    assert site.find(path) is None


def test_under_the_root_the_application_has_what_is_no_file(site):
    path = site.write("public/robots.txt", b"User-agent: *\n")
    site.mounts = [Mount("/", str(site.folder / "public"), "static")]
    assert site.get("/robots.txt").status == 200
    assert site.get("/robots.txt", "HEAD").status == 200
    for target, method in (
        ("/", "GET"),
        ("/nope", "GET"),
        ("/a%2Fb", "GET"),
        ("/robots.txt", "POST"),
        ("*", "OPTIONS"),
    ):
        assert site.find(target, method) is None
    path.unlink()
    assert site.find("/robots.txt") is None


def test_a_mount_may_pass_on_what_it_does_not_know(site, css):
    site.mounts[0] = Mount("/static/", str(site.static), "static", unknown="pass")
    assert site.get("/static/css/site.css").status == 200
    assert site.find("/static/nope.css") is None
    assert site.find("/static/css/site.css", "DELETE") is None


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "get", "PROPFIND"])
@pytest.mark.parametrize("path", ["/static/css/site.css", "/static/nope.css", "/media/upload.txt"])
def test_other_methods(site, css, method, path):
    answer = site.get(path, method)
    assert answer.status == 405
    assert answer["Allow"] == "GET, HEAD, OPTIONS"
    assert answer["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/static/css/site.css", "/media/upload.txt"])
def test_options(site, css, path):
    answer = site.get(path, "OPTIONS")
    assert (answer.status, answer.body) == (204, b"")
    assert answer.fields == {"allow": "GET, HEAD, OPTIONS"}
