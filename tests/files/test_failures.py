"""A disk or a descriptor table that fails: a status and a line in the log, never an exception."""

import errno
import os
import resource

import pytest

from portway.files.failures import Failures
from portway.files.reading import SMALL


@pytest.fixture
def no_descriptors():
    """A function that uses up every descriptor of this process, until the end of the test."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []

    def take() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))

        def until_refused() -> None:
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))

        with pytest.raises(OSError, match="Too many open files"):
            until_refused()

    yield take
    for fd in taken:
        os.close(fd)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_no_descriptor_left(site, caplog, no_descriptors):
    site.write("static/small.css", b"x")
    site.write("static/big.css", b"x" * SMALL * 2)
    site.write("static/changed.css", b"x")
    site.write("media/file.txt", b"x")
    assert site.get("/static/small.css").status == 200
    site.write("static/changed.css", b"changed")
    no_descriptors()
    for path in ("/static/big.css", "/static/changed.css", "/media/file.txt"):
        answer = site.get(path)
        assert answer.status == 503
        assert answer["Retry-After"] == "1"
        assert answer["Cache-Control"] == "no-store"
    assert "Too many open files" in caplog.text
    # What needs no descriptor goes on.
    assert site.get("/static/small.css").status == 200
    assert site.get("/static/big.css", "HEAD").status == 200
    assert site.get("/static/big.css", if_none_match="*").status == 304
    assert site.get("/static/nope.css").status == 404


def test_no_permission(caplog, unprivileged):
    site, give_up_privileges = unprivileged
    static, media = site.write("static/file.css", b"x" * SMALL * 2), site.write("media/file.txt", b"x")
    assert site.server
    static.chmod(0)
    media.chmod(0)
    give_up_privileges()
    assert site.get("/static/file.css").status == 404
    assert "file.css': Permission denied" in caplog.text
    assert "is gone" not in caplog.text
    site.monotonic += 1.0
    assert site.get("/media/file.txt").status == 404
    assert "file.txt': Permission denied" in caplog.text


@pytest.mark.parametrize(
    ("code", "status", "logged"),
    [
        (errno.ENOENT, 404, False),
        (errno.ENOTDIR, 404, False),
        (errno.ELOOP, 404, False),
        (errno.ENAMETOOLONG, 404, False),
        (errno.EACCES, 404, True),
        (errno.EPERM, 404, True),
        (errno.EMFILE, 503, True),
        (errno.ENFILE, 503, True),
        (errno.ENOMEM, 503, True),
        (errno.EIO, 500, True),
        (errno.ESTALE, 500, True),
        (errno.EBUSY, 500, True),
    ],
)
def test_what_an_error_means(caplog, code, status, logged):
    failures = Failures(lambda: 0.0)
    assert failures.status(OSError(code, os.strerror(code)), b"/srv/f\xff\nile") == status
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ([f"files: cannot read '/srv/f\\udcff\\nile': {os.strerror(code)}"] if logged else [])


def test_lines_are_rationed_by_kind_and_counted(caplog):
    now = 0.0
    failures = Failures(lambda: now)
    for _ in range(1000):
        failures.status(OSError(errno.EMFILE, "full"), b"/a")
    failures.status(OSError(errno.EIO, "broken"), b"/b")
    assert [record.getMessage() for record in caplog.records] == [
        "files: cannot read '/a': full",
        "files: cannot read '/b': broken",
    ]
    caplog.clear()
    now = 1.0
    failures.status(OSError(errno.EMFILE, "full"), b"/c")
    assert [record.getMessage() for record in caplog.records] == [
        "files: cannot read '/c': full (and 999 more like it)"
    ]


def test_a_mistake_of_our_own_is_a_500_and_not_an_exception(site, caplog):
    site.write("static/a.css", b"x")

    class Broken:
        method = "GET"
        path = "/static/a.css"

        @property
        def fields(self):
            raise RuntimeError("broken")

    response = site.server.find(Broken())
    assert response.status_code == 500
    assert "cannot answer GET '/static/a.css'" in caplog.text
    assert "RuntimeError: broken" in caplog.text
