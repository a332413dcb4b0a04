"""start_response and write(), in all the cases of PEP 3333."""

import sys

import pytest

OK = [("Content-Type", "text/plain")]


def test_it_is_called_once_and_then_the_body_is_returned(call):
    def application(environ, start_response):
        start_response("201 Created", [("Content-Type", "text/plain"), ("X-One", "1")])
        return [b"made"]

    answer = call(application)
    assert (answer.status, answer.reason, answer.body) == (201, "Created", b"made")
    assert answer.headers["X-One"] == "1"
    assert answer.headers["Content-Length"] == "4"
    assert answer.headers["Server"] == "portway"
    assert answer.headers["Date"] == "Sun, 06 Nov 1994 08:49:37 GMT"
    assert answer.outcome.status_code == 201
    assert answer.outcome.headers == [("Content-Type", "text/plain"), ("X-One", "1")]
    assert answer.outcome.body_bytes == 4
    assert answer.outcome.keep_alive is True
    assert answer.outcome.aborted is False
    assert answer.outcome.error == ""


def test_keyword_arguments_are_not_promised_but_exc_info_none_is_no_exc_info(call):
    def application(environ, start_response):
        start_response("200 OK", OK, None)
        return [b"x"]

    assert call(application).body == b"x"


def test_twice_without_exc_info_is_an_error(call, error_log):
    def application(environ, start_response):
        start_response("200 OK", OK)
        start_response("200 OK", OK)
        return [b"x"]

    answer = call(application)
    assert answer.status == 500
    assert answer.outcome.error == "AssertionError"
    assert "called a second time, without exc_info" in error_log.text


def test_twice_without_exc_info_can_be_caught_and_the_first_call_holds(call):
    def application(environ, start_response):
        start_response("200 OK", OK)
        with pytest.raises(AssertionError):
            start_response("404 Not Found", OK)
        return [b"x"]

    assert call(application).status == 200


def test_with_exc_info_before_the_first_byte_replaces_status_and_headers(call):
    def application(environ, start_response):
        start_response("200 OK", [("X-First", "1")])
        try:
            raise ValueError("late")
        except ValueError:
            start_response("503 Service Unavailable", [("X-Second", "2")], sys.exc_info())
        return [b"sorry"]

    answer = call(application)
    assert (answer.status, answer.body) == (503, b"sorry")
    assert "X-First" not in answer.headers
    assert answer.headers["X-Second"] == "2"


def test_with_exc_info_after_an_empty_piece_still_replaces(call):
    def application(environ, start_response):
        start_response("200 OK", OK)
        yield b""
        try:
            raise ValueError("late")
        except ValueError:
            start_response("500 Oops", OK, sys.exc_info())
        yield b"sorry"

    answer = call(application)
    assert (answer.status, answer.reason, answer.body) == (500, "Oops", b"sorry")


def test_with_exc_info_as_the_first_call(call):
    def application(environ, start_response):
        try:
            raise ValueError("early")
        except ValueError:
            start_response("500 Oops", OK, sys.exc_info())
        return [b"sorry"]

    assert call(application).reason == "Oops"


def test_with_exc_info_after_bytes_went_out_raises_it_again(call, error_log):
    raised = []

    def application(environ, start_response):
        start_response("200 OK", OK)
        yield b"begun"
        try:
            raise ValueError("too late")
        except ValueError as error:
            raised.append(error)
            start_response("500 Oops", OK, sys.exc_info())
        yield b"never"

    answer = call(application)
    assert answer.status == 200
    assert answer.body == b"begun"
    assert not answer.complete
    assert answer.outcome.aborted is True
    assert answer.outcome.keep_alive is False
    assert answer.outcome.error == "ValueError"
    [record] = error_log.records
    assert record.exc_info[1] is raised[0]


def test_with_exc_info_of_nothing_after_bytes_went_out_is_an_error(call, error_log):
    def application(environ, start_response):
        start_response("200 OK", OK)
        yield b"begun"
        start_response("500 Oops", OK, (None, None, None))

    answer = call(application)
    assert answer.outcome.error == "AssertionError"
    assert answer.outcome.aborted


def test_with_exc_info_after_write_raises_it_again(call, error_log):
    def application(environ, start_response):
        write = start_response("200 OK", OK)
        write(b"begun")
        try:
            raise KeyError("k")
        except KeyError:
            start_response("500 Oops", OK, sys.exc_info())
        return [b"never"]

    answer = call(application)
    assert (answer.outcome.error, answer.outcome.aborted, answer.body) == ("KeyError", True, b"begun")


@pytest.mark.parametrize(
    "body",
    [[b"x"], [], [b"a", b"b"], (b"x",), iter([b"x"]), (piece for piece in [b"x"])],
    ids=["list", "empty list", "two", "tuple", "iterator", "generator"],
)
def test_never_called(call, error_log, body):
    answer = call(lambda environ, start_response: body)
    assert answer.status == 500
    assert answer.outcome.error == "LocalProtocolError"
    assert "did not call start_response" in error_log.text


def test_called_by_a_generator_when_it_is_iterated(call):
    def application(environ, start_response):
        start_response("202 Accepted", OK)
        yield b"lazy"

    answer = call(application)
    assert (answer.status, answer.body) == (202, b"lazy")


def test_called_by_a_generator_after_empty_pieces(call):
    def application(environ, start_response):
        yield b""
        start_response("202 Accepted", OK)
        yield b"lazy"

    assert call(application).status == 202


def test_called_by_a_generator_after_its_first_bytes_is_too_late(call, error_log):
    def application(environ, start_response):
        yield b"early"
        start_response("200 OK", OK)

    assert call(application).status == 500
    assert "did not call start_response before its body began" in error_log.text


def test_called_by_a_generator_that_gives_nothing(call):
    def application(environ, start_response):
        start_response("200 OK", OK)
        return
        yield b""

    answer = call(application)
    assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", "0")


@pytest.mark.parametrize(
    ("status", "headers", "named"),
    [
        (b"200 OK", OK, "bytes"),
        (200, OK, "int"),
        (None, OK, "NoneType"),
        ("200 OK", tuple(OK), "tuple"),
        ("200 OK", dict(OK), "dict"),
        ("200 OK", None, "NoneType"),
        ("200 OK", [("X-Bytes", b"1")], "bytes"),
        ("200 OK", [(b"X-Bytes", "1")], "bytes"),
        ("200 OK", [("X-Int", 1)], "int"),
        ("200 OK", ["X: 1"], "X: 1"),
        ("200 OK", [("X",)], "tuple"),
    ],
)
def test_wrong_types_are_named_in_the_log(call, error_log, status, headers, named):
    def application(environ, start_response):
        start_response(status, headers)
        return [b"x"]

    answer = call(application)
    assert answer.status == 500
    assert named in error_log.text


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        ("200", OK),
        ("OK 200", OK),
        ("2000 OK", OK),
        ("200 OK\r\nX-Evil: 1", OK),
        ("200 OK", [("X-Evil", "1\r\nSet-Cookie: a=b")]),
        ("200 OK", [("X-Evil", "1\n2")]),
        ("200 OK", [("X-Evil", "\0")]),
        ("200 OK", [("X Evil", "1")]),
        ("200 OK", [("", "1")]),
        ("200 OK", [("X-Evil", "\u2028")]),
        ("200 OK", [("Content-Length", "1"), ("Content-Length", "1")]),
        ("200 OK", [("Content-Length", "one")]),
        ("200 OK", [("Content-Length", "-1")]),
        ("200 OK", [("Transfer-Encoding", "chunked")]),
        ("200 OK", [("Connection", "close")]),
    ],
)
def test_what_must_not_go_on_the_wire_is_answered_with_500(call, error_log, status, headers):
    def application(environ, start_response):
        start_response(status, headers)
        return [b"x"]

    answer = call(application)
    assert answer.status == 500
    assert answer.outcome.error == "LocalProtocolError"
    assert answer.complete
    assert answer.outcome.keep_alive
    assert b"Evil" not in answer.sink.data
    [record] = error_log.records
    assert "GET /some/path" in record.getMessage()
    assert record.exc_info is None


def test_the_same_from_a_generator_and_from_write(call, error_log):
    def generator(environ, start_response):
        start_response("200 OK", [("X-Evil", "1\r\n")])
        yield b"x"

    def writer(environ, start_response):
        start_response("200 OK", [("X-Evil", "1\r\n")])(b"x")
        return []

    for application in (generator, writer):
        answer = call(application)
        assert (answer.status, answer.outcome.error) == (500, "LocalProtocolError")


def test_subclasses_of_str_and_list_are_taken_for_what_they_are(call):
    class Text(str):
        __slots__ = ()

    class Headers(list):
        pass

    def application(environ, start_response):
        start_response(Text("200 OK"), Headers([(Text("X-One"), Text("1"))]))
        return [b"x"]

    answer = call(application)
    assert (answer.status, answer.headers["X-One"]) == (200, "1")


class TestWrite:
    def test_sends_at_once_with_the_head_before_the_first_bytes(self, call, MemorySink):
        sink = MemorySink()
        seen = []

        def application(environ, start_response):
            write = start_response("200 OK", OK)
            seen.append(len(sink.calls))
            write(b"")
            seen.append(len(sink.calls))
            write(b"one")
            seen.append(len(sink.calls))
            write(b"two")
            seen.append(len(sink.calls))
            return [b"three"]

        answer = call(application, sink=sink)
        assert seen == [0, 0, 1, 2]
        assert answer.body == b"onetwothree"
        assert answer.headers["Transfer-Encoding"] == "chunked"
        assert answer.complete
        assert answer.outcome.body_bytes == 11

    def test_alone_with_an_empty_iterable(self, call):
        def application(environ, start_response):
            start_response("200 OK", [*OK, ("Content-Length", "3")])(b"one")
            return []

        answer = call(application)
        assert (answer.body, answer.complete, answer.outcome.keep_alive) == (b"one", True, True)

    def test_before_a_list_of_several_and_before_a_generator(self, call):
        def application(environ, start_response):
            start_response("200 OK", OK)(b"1")
            return environ["test.body"]

        def with_body(body):
            def wrapped(environ, start_response):
                environ["test.body"] = body
                return application(environ, start_response)

            return wrapped

        assert call(with_body([b"2", b"3"])).body == b"123"
        assert call(with_body(piece for piece in (b"2", b"", b"3"))).body == b"123"

    @pytest.mark.parametrize("data", ["text", bytearray(b"x"), memoryview(b"x"), 1, None])
    def test_wrong_type_is_named(self, call, error_log, data):
        def application(environ, start_response):
            start_response("200 OK", OK)(data)
            return []

        answer = call(application)
        assert answer.status == 500
        assert answer.outcome.error == "TypeError"
        assert f"write() needs bytes, not {type(data).__name__}" in error_log.text

    def test_more_than_content_length_is_left_out_and_logged_once(self, call, error_log):
        def application(environ, start_response):
            write = start_response("200 OK", [*OK, ("Content-Length", "4")])
            write(b"123")
            write(b"456")
            write(b"789")
            return [b"0"]

        answer = call(application)
        assert (answer.body, answer.rest) == (b"1234", b"")
        assert answer.outcome.body_bytes == 4
        assert len(error_log.records) == 1
        assert "longer than its Content-Length" in error_log.text

    def test_of_a_response_that_ended_reaches_nobody(self, call):
        kept = []

        def application(environ, start_response):
            kept.append(start_response)
            kept.append(start_response("200 OK", OK))
            return [b"x"]

        answer = call(application)
        before = answer.sink.data
        with pytest.raises(AssertionError, match="after the response had ended"):
            kept[1](b"late")
        with pytest.raises(AssertionError, match="after the response had ended"):
            kept[0]("200 OK", OK)
        assert answer.sink.data == before

    def test_for_head_sends_the_head_only(self, call):
        def application(environ, start_response):
            write = start_response("200 OK", OK)
            write(b"1")
            write(b"2")
            return [b"3"]

        answer = call(application, method="HEAD")
        assert answer.status == 200
        assert answer.rest == b""
        assert answer.outcome.body_bytes == 0
        assert answer.outcome.keep_alive

    def test_an_application_that_ignores_the_client_s_going_cannot_send_past_the_gap(
        self, call, MemorySink, error_log
    ):
        sink = MemorySink(fail_at=1, failure=OSError("disk full"))

        def application(environ, start_response):
            write = start_response("200 OK", OK)
            write(b"one")
            try:
                write(b"two")
            except OSError:
                sink.fail_at = None
            write(b"three")
            return []

        answer = call(application, sink=sink)
        assert answer.body == b"one"
        assert not answer.complete
        assert answer.outcome.aborted
