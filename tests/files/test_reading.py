import hashlib
import os
import socket

import pytest

from portway.files.reading import (
    NotServedError,
    OutsideError,
    last_modified,
    measure,
    metadata_tag,
    open_beneath,
    open_regular,
)

NOW = 1_800_000_000.0


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root").mkdir()
    return os.fsencode(os.path.realpath(tmp_path / "root"))


def read(root, relative):
    fd, status, place = open_beneath(root, relative)
    try:
        return os.read(fd, 100), status.st_size, place
    finally:
        os.close(fd)


def test_a_file_beneath_the_root(root):
    os.mkdir(root + b"/a")
    with open(root + b"/a/b.txt", "wb") as file:
        file.write(b"content")
    assert read(root, b"a/b.txt") == (b"content", 7, b"a/b.txt")


def test_links_inside_lead_somewhere_and_links_outside_do_not(root):
    os.mkdir(root + b"/a")
    with open(root + b"/a/b.txt", "wb") as file:
        file.write(b"inside")
    outside = os.path.dirname(root) + b"/root-of-evil.txt"
    with open(outside, "wb") as file:
        file.write(b"outside")
    os.symlink(b"a/b.txt", root + b"/relative")
    os.symlink(root + b"/a/b.txt", root + b"/absolute")
    os.symlink(b"a", root + b"/folder")
    os.symlink(outside, root + b"/out")
    os.symlink(b"../root-of-evil.txt", root + b"/up")
    os.symlink(b"..", root + b"/parent")
    os.symlink(b"loop", root + b"/loop")
    for name in (b"relative", b"absolute", b"folder/b.txt"):
        assert read(root, name) == (b"inside", 6, b"a/b.txt")
    # A folder whose name begins like the root's is not inside it.
    for name in (b"out", b"up", b"parent/root-of-evil.txt"):
        with pytest.raises(OutsideError):
            read(root, name)
    with pytest.raises(OSError):
        read(root, b"loop")


def test_only_regular_files_are_opened(root, descriptors):
    os.mkdir(root + b"/folder")
    os.mkfifo(root + b"/fifo")
    before = descriptors()
    server = socket.socket(socket.AF_UNIX)
    server.bind(root + b"/socket")
    server.close()
    for name in (b"folder", b"fifo", b"socket"):
        with pytest.raises(NotServedError):
            open_beneath(root, name)
    for name in (b"folder", b"fifo"):
        with pytest.raises(NotServedError):
            open_regular(root + b"/" + name)
    with pytest.raises(OSError):
        open_regular(root + b"/socket")
    assert descriptors() == before


def test_a_fifo_is_not_touched(root):
    """A writer that waits for a reader would be woken by an open for reading: it must go on waiting."""
    os.mkfifo(root + b"/fifo")
    with pytest.raises(NotServedError):
        open_beneath(root, b"fifo")
    # ENXIO: nobody has it open for reading.
    with pytest.raises(OSError):
        os.open(root + b"/fifo", os.O_WRONLY | os.O_NONBLOCK)


def test_the_tag_is_of_the_content_alone(tmp_path):
    one, same, other = tmp_path / "one", tmp_path / "same", tmp_path / "other"
    one.write_bytes(b"x" * 300_000)
    same.write_bytes(b"x" * 300_000)
    other.write_bytes(b"x" * 299_999 + b"y")
    os.utime(same, (1, 1))
    tags = [measure(os.fsencode(path), NOW).etag for path in (one, same, other)]
    assert tags[0] == tags[1] != tags[2]
    assert all(tag.startswith('"') and tag.endswith('"') and len(tag) == 24 for tag in tags)


def test_md5_is_computed_on_demand(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"content")
    assert measure(os.fsencode(path), NOW).md5 == ""
    assert measure(os.fsencode(path), NOW, md5=True).md5 == hashlib.md5(b"content").hexdigest()


def test_above_the_limit_the_content_is_not_read(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"content")
    exact, beyond = measure(os.fsencode(path), NOW, limit=7), measure(os.fsencode(path), NOW, limit=6)
    assert exact.etag == measure(os.fsencode(path), NOW).etag
    assert beyond.etag == metadata_tag(os.stat(path), NOW)


def test_a_tag_of_times_is_weak_while_the_file_is_young(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"content")
    status = os.stat(path)
    assert metadata_tag(status, status.st_ctime + 1.9).startswith('W/"')
    settled = metadata_tag(status, status.st_ctime + 2.1)
    assert settled.startswith('"')
    # An old time put on new content does not make it old.
    os.utime(path, (1, 1))
    status = os.stat(path)
    assert metadata_tag(status, status.st_ctime + 1.9).startswith('W/"')
    # Size and time both count.
    os.utime(path, ns=(5, 5))
    by_time = metadata_tag(os.stat(path), NOW * 2)
    path.write_bytes(b"longer content")
    os.utime(path, ns=(5, 5))
    by_size = metadata_tag(os.stat(path), NOW * 2)
    assert len({settled, by_time, by_size}) == 3


def test_last_modified_is_never_in_the_future_nor_before_the_epoch(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"")
    for seconds, expected in ((1_900_000_000, int(NOW)), (1_700_000_000, 1_700_000_000), (-5, 0)):
        os.utime(path, (seconds, seconds))
        assert last_modified(os.stat(path), NOW) == expected
