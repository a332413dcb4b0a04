"""Static files that a client asks for on a condition, or a part of."""

import pytest


def test_not_modified_repeats_what_caches_need(site, css):
    etag = site.get("/static/css/site.css")["ETag"]
    for method in ("GET", "HEAD"):
        answer = site.get("/static/css/site.css", method, if_none_match=f'"x", W/{etag}')
        assert (answer.status, answer.body) == (304, b"")
        assert answer.fields == {"etag": etag, "cache-control": "public, max-age=60"}


def test_not_modified_since(site, css):
    modified = site.get("/static/css/site.css")["Last-Modified"]
    assert site.get("/static/css/site.css", if_modified_since=modified).status == 304


def test_precondition_failed(site, css):
    answer = site.get("/static/css/site.css", if_match='"other"')
    assert (answer.status, answer.body) == (412, b"412 Precondition Failed\n")
    assert answer["Cache-Control"] == "no-store"
    assert site.get("/static/css/site.css", "HEAD", if_match='"other"').body == b""


@pytest.mark.parametrize("name", ["css/site.css", "big.bin"])
def test_parts(site, css, big, name):
    content = (site.static / name).read_bytes()
    whole = site.get("/static/" + name)
    for _ in range(2):
        answer = site.get("/static/" + name, range="bytes=100-199")
        assert (answer.status, answer.body) == (206, content[100:200])
        expected = dict(whole.fields)
        expected["content-range"] = f"bytes 100-199/{len(content)}"
        expected["content-length"] = "100"
        assert answer.fields == expected
    assert site.get("/static/" + name, range="bytes=-5").body == content[-5:]
    assert site.get("/static/" + name, range="bytes=7-").body == content[7:]
    assert site.get("/static/" + name, range="bytes=0-").status == 206
    # The whole is still the whole.
    assert site.get("/static/" + name).body == content


def test_a_big_part_comes_as_a_descriptor(site, big):
    answer = site.get("/static/big.bin", range="bytes=256-65535")
    assert (answer.status, answer.was_fd, answer.body) == (206, True, big.read_bytes()[256:65536])


def test_a_part_that_is_not_there(site, css):
    answer = site.get("/static/css/site.css", range=f"bytes={css.stat().st_size}-")
    assert answer.status == 416
    assert answer["Content-Range"] == f"bytes */{css.stat().st_size}"
    assert answer["Cache-Control"] == "no-store"
    assert answer.body == b"416 Range Not Satisfiable\n"


@pytest.mark.parametrize("value", ["bytes=5-1", "bytes=0-1,5-6", "lines=1-2", "bytes", "bytes=x-y"])
def test_ranges_that_are_ignored(site, css, value):
    answer = site.get("/static/css/site.css", range=value)
    assert (answer.status, answer.body) == (200, css.read_bytes())
    assert "Content-Range" not in answer


def test_head_ignores_range(site, css):
    answer = site.get("/static/css/site.css", "HEAD", range="bytes=0-1")
    assert (answer.status, answer["Content-Length"]) == (200, str(css.stat().st_size))
    assert site.get("/static/css/site.css", "HEAD", range="bytes=999999-").status == 200


def test_if_range(site, css):
    got = site.get("/static/css/site.css")
    for value in (got["ETag"], got["Last-Modified"]):
        assert site.get("/static/css/site.css", range="bytes=0-1", if_range=value).status == 206
    for value in ('"other"', "W/" + got["ETag"], "Sun, 06 Nov 1994 08:49:37 GMT"):
        answer = site.get("/static/css/site.css", range="bytes=0-1", if_range=value)
        assert (answer.status, answer.body) == (200, css.read_bytes())
