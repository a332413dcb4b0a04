import gzip
import hashlib
import os
import re
from pathlib import Path

import pytest

from portway.files.mounts import Mount
from portway.files.reading import SMALL
from portway.files.server import FileServer

CSS = b"a { color: green }\n" * 50
BIG = bytes(range(256)) * 400


@pytest.fixture
def css(site) -> Path:
    return site.write("static/css/site.css", CSS)


@pytest.fixture
def big(site) -> Path:
    return site.write("static/big.bin", BIG)


def test_get(site, css):
    answer = site.get("/static/css/site.css")
    assert answer.status == 200
    assert answer.body == CSS
    assert not answer.was_fd
    assert answer.fields == {
        "content-type": "text/css; charset=utf-8",
        "content-length": str(len(CSS)),
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
    assert (answer.status, answer.body, answer.was_fd) == (200, BIG, True)


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
    assert site.get("/static/css/site.css?v=3").body == CSS


@pytest.mark.parametrize(
    "path", ["/static/%63ss/site.css", "/static/css/site%2ecss", "/static/css/site%2Ecss"]
)
def test_percent_encoding_is_decoded_once(site, css, path):
    assert site.get(path).body == CSS


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


# Conditions and ranges


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


@pytest.mark.parametrize(("name", "content"), [("css/site.css", CSS), ("big.bin", BIG)])
def test_parts(site, css, big, name, content):
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
    assert (answer.status, answer.was_fd, answer.body) == (206, True, BIG[256:65536])


def test_a_part_that_is_not_there(site, css):
    answer = site.get("/static/css/site.css", range=f"bytes={len(CSS)}-")
    assert answer.status == 416
    assert answer["Content-Range"] == f"bytes */{len(CSS)}"
    assert answer["Cache-Control"] == "no-store"
    assert answer.body == b"416 Range Not Satisfiable\n"


@pytest.mark.parametrize("value", ["bytes=5-1", "bytes=0-1,5-6", "lines=1-2", "bytes", "bytes=x-y"])
def test_ranges_that_are_ignored(site, css, value):
    answer = site.get("/static/css/site.css", range=value)
    assert (answer.status, answer.body) == (200, CSS)
    assert "Content-Range" not in answer


def test_head_ignores_range(site, css):
    answer = site.get("/static/css/site.css", "HEAD", range="bytes=0-1")
    assert (answer.status, answer["Content-Length"]) == (200, str(len(CSS)))
    assert site.get("/static/css/site.css", "HEAD", range="bytes=999999-").status == 200


def test_if_range(site, css):
    got = site.get("/static/css/site.css")
    for value in (got["ETag"], got["Last-Modified"]):
        assert site.get("/static/css/site.css", range="bytes=0-1", if_range=value).status == 206
    for value in ('"other"', "W/" + got["ETag"], "Sun, 06 Nov 1994 08:49:37 GMT"):
        answer = site.get("/static/css/site.css", range="bytes=0-1", if_range=value)
        assert (answer.status, answer.body) == (200, CSS)


# Precompressed siblings


@pytest.fixture
def compressed(site, css) -> dict[str, bytes]:
    codings = {"": CSS, "gzip": gzip.compress(CSS), "br": b"brotli", "zstd": b"zstandard"}
    for coding, extension in (("gzip", ".gz"), ("br", ".br"), ("zstd", ".zst")):
        site.write("static/css/site.css" + extension, codings[coding])
    return codings


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
    assert answer.body == CSS
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
    assert (answer.status, answer.body) == (206, CSS[2:5])
    assert "Content-Encoding" not in answer
    assert answer["Vary"] == "Accept-Encoding"
    # A range that is ignored changes nothing.
    answer = site.get("/static/css/site.css", accept_encoding="br", range="bytes=0-1,3-4")
    assert (answer.status, answer["Content-Encoding"]) == (200, "br")


# Hashed names


def test_hashed_names_are_for_ever(site):
    name = f"site.{hashlib.md5(CSS).hexdigest()[:12]}.css"
    site.write("static/" + name, CSS)
    for fields in ({}, {"if_none_match": "*"}, {"range": "bytes=0-1"}):
        answer = site.get("/static/" + name, **fields)
        assert answer["Cache-Control"] == "public, max-age=31536000, immutable"


# Files that change under us


@pytest.mark.parametrize("asked_before", [False, True])
@pytest.mark.parametrize("size", [100, SMALL * 2])
def test_a_changed_file_is_sent_as_it_is_now(site, size, asked_before):
    path = site.write("static/file.txt", b"a" * size)
    old = site.get("/static/file.txt", "GET" if asked_before else "HEAD")
    path.write_bytes(b"b" * size + b"more")
    answer = site.get("/static/file.txt")
    assert answer.body == b"b" * size + b"more"
    assert answer["Content-Length"] == str(size + 4)
    assert answer["ETag"] != old["ETag"]
    assert site.get("/static/file.txt", if_none_match=answer["ETag"]).status == 304
    assert site.get("/static/file.txt", if_none_match=old["ETag"]).status == 200


@pytest.mark.parametrize(
    ("method", "conditions", "expected"),
    [
        ("HEAD", {}, 200),
        ("GET", {"if_none_match": "{tag}"}, 200),
        ("HEAD", {"if_none_match": "{tag}"}, 200),
        ("GET", {"if_match": "{tag}"}, 412),
        ("GET", {"range": "bytes=0-1", "if_range": "{tag}"}, 200),
        ("GET", {"range": "bytes=4-"}, 206),
    ],
)
def test_a_change_is_seen_by_every_kind_of_request(site, method, conditions, expected):
    path = site.write("static/file.txt", b"aaaa")
    tag = site.get("/static/file.txt")["ETag"]
    path.write_bytes(b"bbbbb")
    fields = {name: value.format(tag=tag) for name, value in conditions.items()}
    assert site.get("/static/file.txt", method, **fields).status == expected


def test_same_size_and_same_time_with_new_content_is_a_change(site):
    """`cp -p`, rsync and reproducible builds put old times on new content; ctime tells."""
    path = site.write("static/file.txt", b"a" * 100)
    os.utime(path, (1000, 1000))
    old = site.get("/static/file.txt")
    path.write_bytes(b"b" * 100)
    os.utime(path, (1000, 1000))
    answer = site.get("/static/file.txt")
    assert answer.body == b"b" * 100
    assert answer["ETag"] != old["ETag"]


def test_touching_a_file_changes_no_tag(site, css):
    old = site.get("/static/css/site.css")
    os.utime(css, (1000, 1000))
    answer = site.get("/static/css/site.css")
    assert answer["ETag"] == old["ETag"]
    assert answer["Last-Modified"] == "Thu, 01 Jan 1970 00:16:40 GMT"


@pytest.mark.parametrize("asked_before", [False, True])
@pytest.mark.parametrize("size", [100, SMALL * 2])
def test_a_file_that_vanished_is_a_404(site, caplog, size, asked_before):
    path = site.write("static/file.txt", b"a" * size)
    assert site.server
    if asked_before:
        assert site.get("/static/file.txt").status == 200
    path.unlink()
    for fields in ({}, {"if_none_match": "*"}, {"range": "bytes=0-1"}):
        answer = site.get("/static/file.txt", **fields)
        assert answer.status == 404
        assert answer["Cache-Control"] == "no-store"
    assert site.get("/static/file.txt", "HEAD").status == 404
    assert "file.txt' was there at the start and is gone" in caplog.text
    # It may come back.
    path.write_bytes(b"back")
    assert site.get("/static/file.txt").body == b"back"


def test_a_file_that_appears_is_unknown_until_the_next_start(site, css):
    assert site.server
    site.write("static/new.css", b"new")
    assert site.get("/static/new.css").status == 404
    site.restart()
    assert site.get("/static/new.css").status == 200


def test_a_file_that_becomes_something_else_is_a_404(site, caplog):
    for name in ("folder", "fifo", "link"):
        site.write(f"static/{name}", b"x" * 100)
    secret = site.write("elsewhere/secret", b"y" * 100)
    assert site.server
    for name in ("folder", "fifo", "link"):
        (site.static / name).unlink()
    (site.static / "folder").mkdir()
    os.mkfifo(site.static / "fifo")
    (site.static / "link").symlink_to(secret)
    for name in ("folder", "fifo", "link"):
        assert site.get(f"/static/{name}").status == 404
        assert site.get(f"/static/{name}", "HEAD").status == 404


def test_a_hashed_name_is_trusted_for_a_second_and_then_looked_at(site):
    name = f"site.{hashlib.md5(CSS).hexdigest()[:12]}.css"
    path = site.write("static/" + name, CSS)
    assert site.get("/static/" + name).status == 200  # opened
    assert site.get("/static/" + name).status == 200  # from memory, looked at
    path.unlink()
    assert site.get("/static/" + name).status == 200
    site.monotonic += 1.0
    assert site.get("/static/" + name).status == 404
    assert site.get("/static/" + name, "HEAD").status == 404


def test_a_hashed_name_with_other_content_is_no_longer_for_ever(site):
    name = f"site.{hashlib.md5(CSS).hexdigest()[:12]}.css"
    path = site.write("static/" + name, CSS)
    assert site.get("/static/" + name)["Cache-Control"].endswith("immutable")
    path.write_bytes(b"other")
    site.monotonic += 1.0
    answer = site.get("/static/" + name)
    assert answer.body == b"other"
    assert answer["Cache-Control"] == "public, max-age=60"


def test_a_variant_that_vanished_or_fell_behind_is_not_sent(site, css, compressed):
    assert site.get("/static/css/site.css", accept_encoding="br").body == compressed["br"]
    (site.static / "css/site.css.br").unlink()
    assert site.get("/static/css/site.css", accept_encoding="br").body == CSS
    assert site.get("/static/css/site.css", accept_encoding="br, gzip").body == compressed["gzip"]
    # The original changes and its siblings do not.
    css.write_bytes(CSS * 2)
    os.utime(css, (4_000_000_000, 4_000_000_000))
    site.monotonic += 1.0
    answer = site.get("/static/css/site.css", accept_encoding="gzip, zstd")
    assert answer.body == CSS * 2
    assert "Content-Encoding" not in answer
    assert "Vary" not in answer


def test_a_variant_that_changed_is_sent_as_it_is_now(site, css, compressed):
    old = site.get("/static/css/site.css", accept_encoding="br")
    site.write("static/css/site.css.br", b"better")
    answer = site.get("/static/css/site.css", accept_encoding="br")
    assert (answer.body, answer["Content-Encoding"]) == (b"better", "br")
    assert answer["ETag"] != old["ETag"]


def test_a_write_between_the_look_and_the_read_is_seen(site, monkeypatch):
    path = site.write("static/file.txt", b"a" * 100)
    assert site.server
    pread = os.pread
    writes = [b"b" * 100, b"c" * 50]

    def overtaken(fd: int, count: int, offset: int) -> bytes:
        if writes:
            path.write_bytes(writes.pop(0))
        return pread(fd, count, offset)

    monkeypatch.setattr(os, "pread", overtaken)
    answer = site.get("/static/file.txt")
    monkeypatch.undo()
    # Whatever was sent was sent whole, and under its own tag.
    settled = site.get("/static/file.txt")
    assert settled.body == b"c" * 50
    assert answer.status == 503 or (answer.body, answer["ETag"]) == (settled.body, settled["ETag"])


def test_a_file_that_never_holds_still_is_unavailable(site, monkeypatch):
    path = site.write("static/file.txt", b"")
    assert site.server
    pread = os.pread

    def overtaken(fd: int, count: int, offset: int) -> bytes:
        with path.open("ab") as file:
            file.write(b"more")
        return pread(fd, count, offset)

    monkeypatch.setattr(os, "pread", overtaken)
    answer = site.get("/static/file.txt")
    assert answer.status == 503
    assert answer["Retry-After"] == "1"


def test_a_big_file_that_changed_is_not_hashed_while_others_wait(site):
    path = site.write("static/big.bin", b"a")
    assert site.server
    path.write_bytes(b"b" * (4 * 1024 * 1024 + 1))
    answer = site.get("/static/big.bin", range="bytes=0-9")
    assert (answer.status, answer.body) == (206, b"b" * 10)
    # A tag of time and size, and a strong one now that the file is not young.
    assert re.fullmatch('"[0-9a-f]+-400001"', answer["ETag"])


def test_the_tag_of_such_a_file_is_weak_only_while_it_is_young(site):
    path = site.write("static/big.bin", b"a")
    site.offset = 0.0
    assert site.server
    path.write_bytes(b"b" * (4 * 1024 * 1024 + 1))
    young = site.get("/static/big.bin", "HEAD")["ETag"]
    assert young.startswith("W/")
    assert site.get("/static/big.bin", range="bytes=0-9", if_range=young).status == 200
    site.offset = 60.0
    settled = site.get("/static/big.bin", "HEAD")["ETag"]
    assert young == "W/" + settled
    assert site.get("/static/big.bin", range="bytes=0-9", if_range=settled).status == 206


def test_folders_laid_over_each_other_follow_changes(site):
    site.write("one/a.css", b"one")
    second = site.write("two/b.css", b"two")
    site.mounts = [Mount("/s/", str(site.folder / name), "static") for name in ("one", "two")]
    assert site.get("/s/b.css").body == b"two"
    second.write_bytes(b"changed")
    assert site.get("/s/b.css").body == b"changed"


# What memory holds


def test_a_small_file_is_read_once(site, css):
    first, second = site.find("/static/css/site.css"), site.find("/static/css/site.css")
    assert first is second
    assert first.body == CSS


def test_memory_can_be_turned_off(site, css):
    server = FileServer(site.mounts, memory=0)
    site._server = server
    assert site.get("/static/css/site.css").body == CSS
    assert site.find("/static/css/site.css") is not site.find("/static/css/site.css")


def test_no_descriptor_is_left_open(site, css, big, compressed, descriptors):
    assert site.server
    before = descriptors()
    for name in ("css/site.css", "big.bin", "nope"):
        for method in ("GET", "HEAD", "POST"):
            for fields in (
                {},
                {"range": "bytes=0-1"},
                {"range": "bytes=9999999-"},
                {"if_none_match": "*"},
                {"if_match": '"x"'},
            ):
                site.get("/static/" + name, method, **fields)
    assert descriptors() == before


def test_a_response_that_is_not_sent_can_be_closed(site, big, descriptors):
    assert site.server
    before = descriptors()
    response = site.find("/static/big.bin")
    assert descriptors() != before
    response.close()
    response.close()
    assert descriptors() == before
