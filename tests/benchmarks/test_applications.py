"""What the servers run is what the tables say, and keeps to PEP 3333."""

import io
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest
from benchmarks.work import BROWSER_FIELDS, WORK

from benchmarks import applications


def call(application, path="/", body=b"", **environ):
    environ = {"PATH_INFO": path, "SCRIPT_NAME": "", **environ}
    if body:
        environ |= {
            "REQUEST_METHOD": "POST",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
        }
    setup_testing_defaults(environ)
    # The validator wants a query string; servers always have one.
    environ.setdefault("QUERY_STRING", "")
    answer = []
    iterable = validator(application)(
        environ, lambda status, fields, exc_info=None: answer.append((status, fields))
    )
    pieces = list(iterable)
    iterable.close()
    ((status, fields),) = answer
    assert int(dict(fields)["Content-Length"]) == sum(map(len, pieces))
    return status, fields, b"".join(pieces)


@pytest.mark.parametrize("name", ["hello", "sleep", "compute", "mixed", "upload"])
def test_thirteen_bytes(name):
    status, _, body = call(getattr(applications, name))
    assert (status, body) == ("200 OK", b"Hello, world!")
    assert len(body) == 13


def test_twenty_fields_come_and_ten_go():
    # The twentieth is Host, which the load generator adds.
    assert len(BROWSER_FIELDS) + 1 == 20
    asked = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in BROWSER_FIELDS.items()}
    status, fields, _ = call(applications.headers, **asked)
    assert status == "200 OK"
    assert len(fields) == 10
    assert call(applications.headers)[0] == "400 Bad Request"


@pytest.mark.parametrize(("path", "size"), [("/", 10 * 1024**2), ("/0", 0), ("/1", 1), ("/65537", 65537)])
def test_a_download_has_the_size_that_was_asked_for(path, size):
    assert len(call(applications.download, path)[2]) == size


def test_an_upload_is_read_whole():
    assert call(applications.upload, body=b"x" * 200_000)[0] == "200 OK"
    assert call(applications.upload, body=b"x" * 10, CONTENT_LENGTH="10")[0] == "200 OK"


def test_an_upload_that_is_cut_short_is_noticed():
    environ = {"CONTENT_LENGTH": "11", "wsgi.input": io.BytesIO(b"x" * 10)}
    answer = []
    list(applications.upload(environ, lambda status, fields: answer.append(status)))
    assert answer == ["400 Bad Request"]


def test_the_big_page_is_one_piece():
    assert len(call(applications.mixed, "/big")[2]) == applications.BIG


def test_all_work_has_a_title_and_a_name_of_its_own():
    assert len({work.name for work in WORK}) == len({work.title for work in WORK}) == len(WORK)
