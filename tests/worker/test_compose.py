"""What is passed to another worker: a request as bytes that are read as the same request."""

import pytest

from portway.http.limits import Limits
from portway.http.parser import RequestParser
from portway.worker.passing import compose

ATTRIBUTES = (
    *("method", "target", "path", "query", "http_minor", "fields", "host", "keep_alive", "content_length"),
    *("chunked", "has_body", "expect_continue", "scheme", "authority"),
)


def parse(data):
    parser = RequestParser(Limits())
    parser.receive_data(data)
    return parser.next_event()


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: test\r\n\r\n",
        b"GET /a%20b?c=d&e HTTP/1.1\r\nHOST:test:8000\r\nX-Empty:\r\nCookie: a=1\r\ncookie:\tb=2 \r\n\r\n",
        b"POST /form HTTP/1.1\r\nHost: test\r\nContent-Length: 12\r\nExpect: 100-continue\r\n\r\n",
        b"GET http://other/path?q HTTP/1.1\r\nHost: test\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n",
        b"GET /old HTTP/1.0\r\n\r\n",
        b"GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        b"GET /latin HTTP/1.1\r\nHost: test\r\nX-Name: caf\xe9 \xff\r\n\r\n",
        b"DELETE /x HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n",
        b"BREW /pot;a=b HTTP/1.1\r\nHost: test\r\nX_Dropped: 1\r\nConnection: keep-alive, close\r\n\r\n",
    ],
)
def test_a_composed_head_is_read_as_the_same_request(head):
    request = parse(head)
    composed = compose(request)
    again = parse(composed)
    assert [getattr(again, name) for name in ATTRIBUTES] == [getattr(request, name) for name in ATTRIBUTES]
    # And once more, because a request may be passed on.
    assert compose(again) == composed
