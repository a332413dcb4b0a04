"""Static files that change, vanish or appear while the server runs; hashed names do not."""

import hashlib
import os
import re

import pytest

from portway.files.mounts import Mount
from portway.files.reading import SMALL

HASHED = b"a { color: green }\n"


def test_hashed_names_are_for_ever(site):
    name = f"site.{hashlib.md5(HASHED).hexdigest()[:12]}.css"
    site.write("static/" + name, HASHED)
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
    name = f"site.{hashlib.md5(HASHED).hexdigest()[:12]}.css"
    path = site.write("static/" + name, HASHED)
    assert site.get("/static/" + name).status == 200  # opened
    assert site.get("/static/" + name).status == 200  # from memory, looked at
    path.unlink()
    assert site.get("/static/" + name).status == 200
    site.monotonic += 1.0
    assert site.get("/static/" + name).status == 404
    assert site.get("/static/" + name, "HEAD").status == 404


def test_a_hashed_name_with_other_content_is_no_longer_for_ever(site):
    name = f"site.{hashlib.md5(HASHED).hexdigest()[:12]}.css"
    path = site.write("static/" + name, HASHED)
    assert site.get("/static/" + name)["Cache-Control"].endswith("immutable")
    path.write_bytes(b"other")
    site.monotonic += 1.0
    answer = site.get("/static/" + name)
    assert answer.body == b"other"
    assert answer["Cache-Control"] == "public, max-age=60"


def test_a_variant_that_vanished_or_fell_behind_is_not_sent(site, css, compressed):
    assert site.get("/static/css/site.css", accept_encoding="br").body == compressed["br"]
    (site.static / "css/site.css.br").unlink()
    assert site.get("/static/css/site.css", accept_encoding="br").body == compressed[""]
    assert site.get("/static/css/site.css", accept_encoding="br, gzip").body == compressed["gzip"]
    # The original changes and its siblings do not.
    css.write_bytes(compressed[""] * 2)
    os.utime(css, (4_000_000_000, 4_000_000_000))
    site.monotonic += 1.0
    answer = site.get("/static/css/site.css", accept_encoding="gzip, zstd")
    assert answer.body == compressed[""] * 2
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
