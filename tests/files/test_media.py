import os
import socket
import threading

import pytest

from portway.files.mounts import Mount
from portway.files.reading import SMALL
from portway.http.request import Request


def test_a_file_is_found_when_it_is_there(site):
    assert site.get("/media/2026/photo.jpg").status == 404
    path = site.write("media/2026/photo.jpg", b"jpeg")
    answer = site.get("/media/2026/photo.jpg")
    assert (answer.status, answer.body) == (200, b"jpeg")
    assert answer.fields == {
        "content-type": "image/jpeg",
        "content-length": "4",
        "accept-ranges": "bytes",
        "x-content-type-options": "nosniff",
        "cache-control": "max-age=60",
        "etag": answer["ETag"],
        "last-modified": answer["Last-Modified"],
    }
    path.unlink()
    answer = site.get("/media/2026/photo.jpg")
    assert answer.status == 404
    assert answer["Cache-Control"] == "no-store"


@pytest.mark.parametrize("size", [0, SMALL, SMALL + 1])
def test_get_head_and_parts(site, size):
    content = os.urandom(size)
    site.write("media/file.bin", content)
    got, head = site.get("/media/file.bin"), site.get("/media/file.bin", "HEAD")
    assert (got.status, got.body, got.was_fd) == (200, content, size > SMALL)
    assert head.fields == got.fields
    assert (head.body, head.was_fd) == (b"", False)
    if size:
        answer = site.get("/media/file.bin", range="bytes=10-19")
        assert (answer.status, answer.body) == (206, content[10:20])
        assert answer["Content-Range"] == f"bytes 10-19/{size}"
        assert site.get("/media/file.bin", range=f"bytes={size}-").status == 416


def test_conditions(site):
    site.write("media/file.txt", b"content")
    got = site.get("/media/file.txt")
    answer = site.get("/media/file.txt", if_none_match=got["ETag"])
    assert (answer.status, answer.body) == (304, b"")
    assert answer.fields == {"etag": got["ETag"], "cache-control": "max-age=60"}
    assert site.get("/media/file.txt", if_modified_since=got["Last-Modified"]).status == 304
    assert site.get("/media/file.txt", if_match='"other"').status == 412
    assert site.get("/media/file.txt", range="bytes=0-1", if_range=got["ETag"]).status == 206


def test_every_change_is_seen(site):
    site.write("media/file.txt", b"one")
    first = site.get("/media/file.txt")
    site.write("media/file.txt", b"other")
    second = site.get("/media/file.txt", if_none_match=first["ETag"])
    assert (second.status, second.body) == (200, b"other")
    assert second["ETag"] != first["ETag"]


def test_the_tag_of_a_young_file_is_weak(site):
    site.write("media/file.txt", b"one")
    site.offset = 0.0
    young = site.get("/media/file.txt")["ETag"]
    assert young.startswith('W/"')
    assert site.get("/media/file.txt", if_none_match=young).status == 304
    assert site.get("/media/file.txt", range="bytes=0-0", if_range=young).status == 200
    site.offset = 60.0
    settled = site.get("/media/file.txt")["ETag"]
    assert young == "W/" + settled
    assert site.get("/media/file.txt", if_none_match=young).status == 304
    assert site.get("/media/file.txt", range="bytes=0-0", if_range=settled).status == 206


@pytest.mark.parametrize("name", ["page.html", "image.svg", "feed.xml", "page.XHTML", "page.htm"])
def test_what_could_run_scripts_is_put_in_a_sandbox(site, name):
    site.write("media/" + name, b"<script>alert(1)</script>")
    for fields in ({}, {"range": "bytes=0-3"}):
        answer = site.get("/media/" + name, **fields)
        assert answer["Content-Security-Policy"] == "sandbox"
        assert answer["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("name", ["photo.jpg", "paper.pdf", "page", "page.unknown"])
def test_other_types_need_no_sandbox(site, name):
    site.write("media/" + name, b"<script>alert(1)</script>")
    answer = site.get("/media/" + name)
    assert "Content-Security-Policy" not in answer
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_static_files_are_not_put_in_a_sandbox(site):
    site.write("static/icon.svg", b"<svg/>")
    assert "Content-Security-Policy" not in site.get("/static/icon.svg")


def test_codings_are_for_static_files(site):
    site.write("media/data.json", b"{}" * 100)
    site.write("media/data.json.gz", b"x")
    answer = site.get("/media/data.json", accept_encoding="gzip")
    assert answer.body == b"{}" * 100
    assert "Vary" not in answer


def test_names(site):
    site.write("media/größe 100% (1).txt", b"x")
    site.write("media/%2e%2e", b"literal")
    assert site.get("/media/gr%C3%B6%C3%9Fe%20100%25%20(1).txt").body == b"x"
    assert site.get("/media/%252e%252e").body == b"literal"
    with open(os.fsencode(site.media) + b"/latin-\xe9.txt", "wb") as file:
        file.write(b"latin")
    assert site.get("/media/latin-%E9.txt").body == b"latin"


def test_a_mount_may_pass_on_what_is_no_file(site):
    site.mounts[1] = Mount("/media/", str(site.media), "media", unknown="pass")
    site.write("media/file.txt", b"x")
    assert site.get("/media/file.txt").status == 200
    for target in ("/media/protected.pdf", "/media/../x", "/media/"):
        assert site.find(target) is None
    assert site.find("/media/file.txt", "POST") is None


def test_a_root_that_does_not_exist_yet(site):
    site.mounts = [Mount("/media/", str(site.folder / "later"), "media")]
    assert site.get("/media/file.txt").status == 404
    site.write("later/file.txt", b"x")
    assert site.get("/media/file.txt").status == 200


# Nothing leaves the root

TRAVERSAL = [
    "/media/../secret.txt",
    "/media/a/../../secret.txt",
    "/media/a/../b.txt",
    "/media/./b.txt",
    "/media/a/./b.txt",
    "/media/..",
    "/media/../",
    "/media/.",
    "/media/...",
    "/media/%2e%2e/secret.txt",
    "/media/%2E%2e/secret.txt",
    "/media/.%2e/secret.txt",
    "/media/%2e./secret.txt",
    "/media/%2e%2e%2fsecret.txt",
    "/media/..%2fsecret.txt",
    "/media/..%2Fsecret.txt",
    "/media/a%2Fb.txt",
    "/media/%2fetc%2fpasswd",
    "/media//etc/passwd",
    "/media///etc/passwd",
    "/media//b.txt",
    "/media/a//b.txt",
    "/media/%252e%252e/secret.txt",
    "/media/%252e%252e%252fsecret.txt",
    "/media/%25252e%25252e/secret.txt",
    "/media/..%252fsecret.txt",
    "/media/..%5csecret.txt",
    "/media/..\\secret.txt",
    "/media/a\\..\\..\\secret.txt",
    "/media/%5c..%5csecret.txt",
    "/media/C:%5cboot.ini",
    "/media/a%5cb.txt",
    "/media/b.txt%00",
    "/media/b.txt%00.png",
    "/media/%00",
    "/media/..%00/secret.txt",
    "/media/%c0%ae%c0%ae/secret.txt",
    "/media/%c0%ae%c0%ae%c0%afsecret.txt",
    "/media/%e0%80%ae%e0%80%ae/secret.txt",
    "/media/%uff0e%uff0e/secret.txt",
    "/media/\uff0e\uff0e/secret.txt".encode().decode("latin-1"),
    "/media/%ef%bc%8e%ef%bc%8e/secret.txt",
    "/media/..;/secret.txt",
    "/media/;/../secret.txt",
    "/media/~root/secret.txt",
    "/media/file:///etc/passwd",
    "/media/b.txt/",
    "/media/b.txt/x",
    "/media/b.txt/../b.txt",
    "/media/a",
    "/media/a/",
    "/media/",
    "/media/.env",
    "/media/.git/config",
    "/media/a/.hidden/b.txt",
    "/media/%2eenv",
    "/media/..env",
    "/media/" + "x" * 256,
    "/media/" + "a/" * 1500 + "b.txt",
    "/media/" + "../" * 1000 + "etc/passwd",
    "/media/link-out/passwd",
    "/media/link-file",
    "/media/link-up/secret.txt",
    "/media/link-similar/secret.txt",
    "/media/link-chain",
    "/media/link-loop",
    "/media/link-broken",
    "/media/link-hidden",
    "/media/link-hidden-folder/config",
    "/media/link-proc/environ",
    "/media/link-root/etc/passwd",
]


@pytest.fixture
def full(site):
    """A media folder with what an attacker would like to find in and beside it."""
    site.write("secret.txt", b"secret")
    site.write("media-evil/secret.txt", b"secret")
    site.write("media/b.txt", b"fine")
    site.write("media/a/b.txt", b"fine")
    site.write("media/.env", b"secret")
    site.write("media/..env", b"secret")
    site.write("media/.git/config", b"secret")
    site.write("media/a/.hidden/b.txt", b"secret")
    for name in ("..\\secret.txt", "a\\b.txt", "a\\..\\..\\secret.txt"):
        site.write("media/" + name, b"secret")
    for name, target in {
        "link-out": "/etc",
        "link-file": "/etc/passwd",
        "link-up": "..",
        "link-similar": "../media-evil",
        "link-chain": "link-file",
        "link-loop": "link-loop",
        "link-broken": "nowhere",
        "link-hidden": ".env",
        "link-hidden-folder": ".git",
        "link-proc": "/proc/self",
        "link-root": "/",
        "link-in": "a/b.txt",
    }.items():
        (site.media / name).symlink_to(target)
    return site


@pytest.mark.parametrize("path", TRAVERSAL, ids=lambda path: path[:60])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_no_path_leaves_the_root(full, descriptors, path, method):
    assert full.server
    before = descriptors()
    # Past the parser, which refuses some of these itself.
    response = full.server.find(Request(method, path, path))
    assert response.status_code == 404
    assert b"Cache-Control: no-store\r\n" in response.fields
    assert response.fd == -1
    assert b"secret" not in response.body
    assert descriptors() == before


def test_the_folder_of_the_corpus_does_have_files(full):
    for path in ("/media/b.txt", "/media/a/b.txt", "/media/a/%62.txt", "/media/link-in"):
        assert full.get(path).body == b"fine"
    full.write("media/.well-known/security.txt", b"Contact:")
    assert full.get("/media/.well-known/security.txt").status == 200


def test_a_link_that_leads_out_is_said_to_the_operator(full, caplog):
    full.get("/media/link-file")
    assert "link-file' leads out of its folder and is not served" in caplog.text


def test_links_are_followed_where_the_mount_says_so(full):
    full.mounts[1] = Mount("/media/", str(full.media), "media", follow_links=True)
    assert full.get("/media/link-similar/secret.txt").body == b"secret"
    # Names are checked all the same.
    for path in ("/media/../secret.txt", "/media/.env", "/media/%2e%2e/secret.txt"):
        assert full.get(path).status == 404


def test_a_root_that_is_a_link_itself(site):
    site.write("volume/file.txt", b"x")
    (site.folder / "alias").symlink_to("volume")
    site.mounts = [Mount("/media/", str(site.folder / "alias"), "media")]
    assert site.get("/media/file.txt").body == b"x"


# Things that are no regular files never block


def test_no_regular_file_no_answer(site):
    os.mkfifo(site.media / "fifo")
    (site.media / "folder").mkdir()
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(site.media / "socket"))
    server.close()
    for name in ("fifo", "folder", "socket"):
        for method in ("GET", "HEAD"):
            assert site.get(f"/media/{name}", method).status == 404


def test_devices_are_not_read_even_where_links_are_followed(site):
    (site.media / "zero").symlink_to("/dev/zero")
    (site.media / "tty").symlink_to("/dev/tty")
    (site.media / "fifo").symlink_to(site.folder / "fifo")
    os.mkfifo(site.folder / "fifo")
    site.mounts[1] = Mount("/media/", str(site.media), "media", follow_links=True)
    for name in ("zero", "tty", "fifo"):
        assert site.get(f"/media/{name}").status == 404


def test_a_writer_of_a_fifo_is_left_waiting(site):
    """Looking at a FIFO must not wake who waits at its other end."""
    path = site.media / "fifo"
    os.mkfifo(path)
    opened = threading.Event()

    def write() -> None:
        fd = os.open(path, os.O_WRONLY)
        opened.set()
        os.close(fd)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(50):
            assert site.get("/media/fifo").status == 404
        assert not opened.is_set()
    finally:
        # O_NONBLOCK: succeeds with nobody writing, and lets the writer go.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        assert opened.wait(10)
        writer.join()
        os.close(fd)
