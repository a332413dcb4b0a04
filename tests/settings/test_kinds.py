"""What values the kinds of settings accept, what they become, and what a refusal says."""

import grp
import os
import pwd
from typing import Any

import pytest

from portway.settings import kinds
from portway.settings.kinds import Kind
from portway.settings.worker_class import worker_class


def refused(kind: Kind, value: Any) -> str:
    with pytest.raises(ValueError) as caught:
        kind.parse(value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "number"), [("3", 3), (" 3 ", 3), (3, 3), ("0x10", 16), ("0o10", 8), ("1_0", 10)]
)
def test_whole_numbers(value: Any, number: int) -> None:
    assert kinds.integer(1, 100).parse(value) == number


@pytest.mark.parametrize(
    "value", ["", "x", "3.5", "010", "-1", "0", "101", 0, 101, True, 3.0, None, [3], b"3"]
)
def test_what_is_no_whole_number_in_bounds(value: Any) -> None:
    assert refused(kinds.integer(1, 100), value) == "it must be a whole number from 1 to 100"


@pytest.mark.parametrize(
    ("value", "mask"), [("022", 0o22), ("0o27", 0o27), ("0", 0), (18, 0o22), ("18", 18), (None, None)]
)
def test_masks(value: Any, mask: int | None) -> None:
    assert kinds.umask().parse(value) == mask


def test_a_mask_is_shown_as_the_shell_writes_it() -> None:
    assert kinds.umask().show(0o22) == "0022"
    assert kinds.umask().show(None) == ""


@pytest.mark.parametrize("value", ["01000", "-1", "x", 512, "089", True])
def test_what_is_no_mask(value: Any) -> None:
    assert "octal" in refused(kinds.umask(), value)


@pytest.mark.parametrize(("value", "number"), [("30", 30), ("0.5", 0.5), (2.0, 2), (7, 7), ("1e2", 100)])
def test_seconds(value: Any, number: float) -> None:
    found = kinds.seconds(0, 3600).parse(value)
    assert found == number
    assert isinstance(found, int) == (number == int(number))


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "-1", "3601", "soon", "", None, True, []])
def test_what_are_no_seconds(value: Any) -> None:
    assert "from 0 to 3600" in refused(kinds.seconds(0, 3600), value)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("512", 512),
        (512, 512),
        ("64k", 65536),
        ("64K", 65536),
        ("64kb", 65536),
        ("64KiB", 65536),
        ("20m", 20 * 1024**2),
        ("20 MB", 20 * 1024**2),
        ("1g", 1024**3),
        ("1.5m", 1536 * 1024),
        ("0", 0),
    ],
)
def test_sizes(value: Any, number: int) -> None:
    assert kinds.size(1, 1024**4, zero=True).parse(value) == number


@pytest.mark.parametrize("value", ["", "m", "20x", "-1", "1e3", "20 m m", 0, None, True, 1.5, "0"])
def test_what_are_no_sizes(value: Any) -> None:
    assert "number of bytes" in refused(kinds.size(1, 1024**4), value)


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0"), (1, "1"), (1536, "1536"), (65536, "64k"), (100 * 1024**2, "100m")]
)
def test_sizes_are_shown_exactly(size: int, text: str) -> None:
    assert kinds.show_size(size) == text
    assert kinds.size(0, 1024**4).parse(text) == size


@pytest.mark.parametrize(
    ("value", "truth"),
    [
        (True, True),
        (False, False),
        ("true", True),
        ("No", False),
        (1, True),
        (0, False),
        ("on", True),
        ("off", False),
    ],
)
def test_booleans(value: Any, truth: bool) -> None:
    assert kinds.boolean().parse(value) is truth


@pytest.mark.parametrize("value", ["maybe", "", None, 2, []])
def test_what_is_no_boolean(value: Any) -> None:
    assert refused(kinds.boolean(), value) == "it must be True or False"


def test_text() -> None:
    assert kinds.text("X").parse(" a b ") == "a b"
    assert kinds.text("X", optional=True).parse("") is None
    assert kinds.text("X", optional=True).parse(None) is None
    assert "one line" in refused(kinds.text("X"), "a\nb")
    assert "one line" in refused(kinds.text("X"), "a\0b")
    assert "must be a name" in refused(kinds.text("X", allowed="a name"), " ")
    assert "must be a name" in refused(kinds.text("X", allowed="a name"), 3)


def test_choices() -> None:
    kind = kinds.choice(("debug", "info", "error"), "LEVEL")
    assert kind.parse("INFO") == "info"
    assert refused(kind, "loud") == "it must be debug, info or error"
    assert refused(kind, 3) == "it must be debug, info or error"


def test_addresses() -> None:
    kind = kinds.addresses()
    assert kind.show(kind.parse([":80", "unix:/x"])) == "0.0.0.0:80 unix:/x"
    assert kind.show(kind.parse(":80")) == "0.0.0.0:80"
    assert "given twice" in refused(kind, [":80", "0.0.0.0:80"])
    assert len(kind.parse(["127.0.0.1:0", "127.0.0.1:0"])) == 2
    assert "at least one" in refused(kind, [])
    assert "text" in refused(kind, [80])
    assert "text" in refused(kind, 80)


def test_variables() -> None:
    kind = kinds.variables()
    assert kind.parse(["A=1", "B=x=y", "C="]) == ("A=1", "B=x=y", "C=")
    assert kind.parse("A=1") == ("A=1",)
    for value in (["A"], ["=1"], ["A=\0"], [1], 1):
        assert refused(kind, value)


def test_the_values_of_variables_are_not_shown() -> None:
    kind = kinds.variables()
    assert "hunter2" not in kind.show(kind.parse(["PASSWORD=hunter2"]))


def test_own_requests() -> None:
    kind = kinds.own_requests()
    good = ["/", "/a/?b=c&d", "/caf%C3%A9", "http://example.com/x", "https://[::1]:8443/", "/a//b"]
    assert kind.parse(good) == tuple(good)
    assert kind.parse("http://example.com") == ("http://example.com/",)
    assert kind.show(("/a", "/b")) == "/a /b"
    for value in ("", "a", "/a b", "/a#b", "/caf\xe9", "ftp://a/", "http:///x", "/a\r\nb", 1, None):
        assert "it must be" in refused(kind, value)


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        ("/x?y=http://z/", ("http", "/x?y=http://z/", "")),
        ("http://a:81/", ("http", "/", "a:81")),
        ("https://a.b/c?d", ("https", "/c?d", "a.b")),
    ],
)
def test_the_parts_of_an_own_request(target: str, parts: tuple[str, str, str]) -> None:
    assert kinds.split_own_request(target) == parts


def test_mounts() -> None:
    kind = kinds.mounts()
    assert kind.parse(["/static/=/srv/s", "/media=m"]) == (("/static/", "/srv/s"), ("/media/", "m"))
    assert kind.parse({"/s": "/srv/s"}) == (("/s/", "/srv/s"),)
    assert kind.parse([("/s", "/srv/a=b")]) == (("/s/", "/srv/a=b"),)
    assert kind.parse("/s/=/srv/a=b") == (("/s/", "/srv/a=b"),)
    assert kind.parse("/=public") == (("/", "public"),)
    assert kind.parse(["/s=/a", "/s/=/a"]) == (("/s/", "/a"),)
    assert kind.show((("/s/", "/a"), ("/m/", "/b"))) == "/s/=/a /m/=/b"


@pytest.mark.parametrize(
    ("value", "part"),
    [
        (["/static"], "URL=FOLDER"),
        (["/static/="], "URL=FOLDER"),
        (["static/=x"], "begin with /"),
        (["=x"], "begin with /"),
        (["/a/../b/=x"], "plain path"),
        (["/a//b/=x"], "plain path"),
        (["//cdn/=x"], "plain path"),
        (["/a?b=x"], "plain path"),
        (["/a b/=x"], "plain path"),
        (["/%2e%2e/=x"], "plain path"),
        (["/a=x", "/a/=y"], "given twice"),
        ([3], "URL=FOLDER"),
        (3, "text"),
        ({"/a": 3}, "URL=FOLDER"),
    ],
)
def test_what_is_no_mount(value: Any, part: str) -> None:
    assert part in refused(kinds.mounts(), value)


def test_prefixes() -> None:
    assert kinds.prefix(slash=False).parse("/app/") == "/app"
    assert kinds.prefix(slash=True).parse("/-") == "/-/"
    for value in (None, "", "/"):
        assert kinds.prefix(slash=True).parse(value) == ""
    assert refused(kinds.prefix(slash=True), "app")
    assert refused(kinds.prefix(slash=True), 3)


def test_peers() -> None:
    kind = kinds.peers()
    assert kind.parse("127.0.0.1, 10.0.0.0/8,::1,") == ("127.0.0.1", "10.0.0.0/8", "::1")
    assert kind.parse("*") == ("*",)
    assert kind.parse("") == ()
    assert kind.parse(["10.1.2.3/8"]) == ("10.1.2.3/8",)
    assert "'proxy'" in refused(kind, "127.0.0.1,proxy")
    assert refused(kind, [3])
    assert refused(kind, None)


def test_paths() -> None:
    assert kinds.paths().parse("a, /b,") == ("a", "/b")
    assert kinds.paths().parse(["a", "b"]) == ("a", "b")
    assert kinds.paths().parse(None) == ()
    assert refused(kinds.paths(), [3])


def test_users_and_groups() -> None:
    me = pwd.getpwuid(os.geteuid())
    assert kinds.user().parse(me.pw_name) == me.pw_uid
    assert kinds.user().parse("1234") == 1234
    assert kinds.user().parse(1234) == 1234
    assert kinds.user().parse(None) is None
    ours = grp.getgrgid(os.getegid())
    assert kinds.group().parse(ours.gr_name) == ours.gr_gid
    assert "no such user" in refused(kinds.user(), "nobody-by-this-name")
    assert "no such group" in refused(kinds.group(), "nobody-by-this-name")
    for value in (-1, True, 1.5, []):
        assert refused(kinds.user(), value)


class SyncWorker:
    """Stands for a worker class of somebody else's."""


class GeventWorker:
    """Stands for Gunicorn's class of that name."""


GeventWorker.__module__ = "gunicorn.workers.ggevent"


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("sync", "sync"),
        ("gthread", "gthread"),
        ("egg:gunicorn#sync", "sync"),
        ("gunicorn.workers.gthread.ThreadWorker", "gthread"),
        ("gunicorn.workers.sync.SyncWorker", "sync"),
    ],
)
def test_worker_classes_that_portway_stands_for(value: Any, name: str) -> None:
    assert worker_class().parse(value) == name


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("gevent", "--threads 16"),
        ("eventlet", "--threads 16"),
        ("gunicorn.workers.ggevent.GeventWorker", "--threads 16"),
        ("egg:gunicorn#gevent", "--threads 16"),
        (GeventWorker, "--threads 16"),
        ("tornado", "--threads 16"),
        ("uvicorn.workers.UvicornWorker", "WSGI"),
        ("uvicorn_worker.UvicornWorker", "WSGI"),
        ("asgi", "WSGI"),
        ("mine.Worker", "sync or gthread"),
        (SyncWorker, "sync or gthread"),
        ("", "sync or gthread"),
        (3, "sync or gthread"),
    ],
)
def test_worker_classes_that_it_does_not(value: Any, part: str) -> None:
    assert part in refused(worker_class(), value)
