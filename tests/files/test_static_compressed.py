"""Precompressed siblings of static files: which of them is sent, and how caches tell them apart."""

import pytest


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip, deflate", "gzip"),
        ("br;q=0, zstd", "zstd"),
        ("gzip;q=0", ""),
        ("identity;q=0", ""),
        ("deflate", ""),
        ("", ""),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_coding_follows_accept_encoding(site, compressed, accept, coding, method):
    for _ in range(2):
        answer = site.get("/static/css/site.css", method, accept_encoding=accept)
        assert answer.body == (compressed[coding] if method == "GET" else b"")
        assert answer.fields.get("content-encoding", "") == coding
        assert answer["Content-Length"] == str(len(compressed[coding]))
        assert answer["Content-Type"] == "text/css; charset=utf-8"
        assert answer["Vary"] == "Accept-Encoding"


def test_without_the_field_nothing_is_compressed(site, compressed):
    answer = site.get("/static/css/site.css")
    assert answer.body == compressed[""]
    assert "Content-Encoding" not in answer
    assert answer["Vary"] == "Accept-Encoding"


def test_each_coding_has_a_tag_of_its_own(site, compressed):
    tags = {
        site.get("/static/css/site.css", accept_encoding=accept)["ETag"]
        for accept in ("gzip", "br", "zstd", "")
    }
    assert len(tags) == 4
    gzip_tag = site.get("/static/css/site.css", accept_encoding="gzip")["ETag"]
    answer = site.get("/static/css/site.css", accept_encoding="gzip", if_none_match=gzip_tag)
    assert answer.fields == {
        "etag": gzip_tag,
        "cache-control": "public, max-age=60",
        "vary": "Accept-Encoding",
    }
    # The copy of another coding does not do.
    assert site.get("/static/css/site.css", accept_encoding="br", if_none_match=gzip_tag).status == 200


def test_a_range_is_of_the_file_as_it_is(site, compressed):
    answer = site.get("/static/css/site.css", accept_encoding="gzip, br", range="bytes=2-4")
    assert (answer.status, answer.body) == (206, compressed[""][2:5])
    assert "Content-Encoding" not in answer
    assert answer["Vary"] == "Accept-Encoding"
    # A range that is ignored changes nothing.
    answer = site.get("/static/css/site.css", accept_encoding="br", range="bytes=0-1,3-4")
    assert (answer.status, answer["Content-Encoding"]) == (200, "br")
