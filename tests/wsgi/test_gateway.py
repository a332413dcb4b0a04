"""The gateway's promise: whatever the application raises, an Response comes back and the log says why."""

import gc
import logging
import sys
import weakref

import pytest

from portway.wsgi import gateway
from portway.wsgi.gateway import Gateway

OK = [("Content-Type", "text/plain")]


class Rude(BaseException):
    def __str__(self):
        raise RuntimeError("not even a text")

    __repr__ = __str__


ERRORS = [
    ValueError("boom"),
    SystemExit(3),
    KeyboardInterrupt(),
    GeneratorExit(),
    StopIteration(),
    MemoryError(),
    ConnectionResetError("the database's, not the client's"),
    ExceptionGroup("several", [ValueError(1)]),
    BaseExceptionGroup("several", [SystemExit(1)]),
    Rude(),
]


def test_reports_which_build_runs(call):
    assert gateway.is_compiled() is gateway.__file__.endswith(".so")


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_exception_of_the_call_is_a_500_page_and_a_record(call, error_log, error):
    def application(environ, start_response):
        start_response("200 OK", [("X-Secret", "1")])
        raise error

    answer = call(application)
    assert (answer.status, answer.body) == (500, b"500 Internal Server Error\n")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["Server"] == "portway"
    assert "X-Secret" not in answer.headers
    assert answer.complete
    assert answer.rest == b""
    assert answer.outcome.status_code == 500
    assert answer.outcome.headers == []
    assert answer.outcome.body_bytes == len(answer.body)
    assert answer.outcome.keep_alive is True
    assert answer.outcome.aborted is False
    assert answer.outcome.error == type(error).__name__
    [record] = error_log.records
    assert record.levelno == logging.ERROR
    assert record.name == "portway.error"
    assert record.getMessage() == f"Error handling request GET /some/path: {type(error).__name__}"
    assert record.exc_info[1] is error
    assert (record.method, record.path) == ("GET", "/some/path")


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_exception_after_bytes_went_out_aborts(call, error_log, error):
    class Pieces:
        def __init__(self):
            self.given = False

        def __iter__(self):
            return self

        def __next__(self):
            if self.given:
                raise error
            self.given = True
            return b"begun"

    def application(environ, start_response):
        start_response("200 OK", OK)
        return Pieces()

    answer = call(application)
    assert (answer.status, answer.body) == (200, b"begun")
    if isinstance(error, StopIteration):
        # Which is how an iterator says that it has ended.
        assert answer.complete
        return
    assert not answer.complete
    assert answer.rest == b""
    assert answer.outcome.status_code == 200
    assert answer.outcome.aborted is True
    assert answer.outcome.keep_alive is False
    assert answer.outcome.error == type(error).__name__
    assert len(error_log.records) == 1


def test_an_exception_of_a_generator_before_its_first_piece_is_a_500_page(call, error_log):
    def application(environ, start_response):
        start_response("200 OK", OK)
        yield b""
        raise ValueError("boom")

    answer = call(application)
    assert (answer.status, answer.complete) == (500, True)
    assert answer.outcome.keep_alive


def test_sys_exit_in_a_thread_s_application_ends_nothing(call, error_log):
    assert call(lambda environ, start_response: sys.exit()).status == 500
    assert call(lambda environ, start_response: (start_response("200 OK", OK), [b"x"])[1]).status == 200


def test_endless_recursion(call, error_log):
    def application(environ, start_response):
        return application(environ, start_response)

    answer = call(application)
    assert answer.status == 500
    assert answer.outcome.error == "RecursionError"


def test_endless_recursion_in_the_iteration_and_in_close(call, error_log):
    class Body:
        def __iter__(self):
            return iter(self)

        def close(self):
            self.close()

    answer = call(lambda environ, start_response: Body())
    assert answer.status == 500
    assert [record.exc_info[0] for record in error_log.records] == [RecursionError, RecursionError]


def test_more_memory_than_there_is(call, error_log):
    def application(environ, start_response):
        start_response("200 OK", OK)
        return [b"x" * sys.maxsize]

    answer = call(application)
    assert (answer.status, answer.outcome.error) == (500, "MemoryError")


def test_an_application_that_cannot_be_called_with_two_arguments(call, error_log):
    assert call(lambda: None).outcome.error == "TypeError"


def test_a_log_handler_that_raises_does_not_matter(call, error_log):
    class Handler(logging.Handler):
        def handle(self, record):
            raise SystemExit("the disk of the log is full")

    handler = Handler()
    logging.getLogger("portway.error").addHandler(handler)
    try:
        assert call(lambda environ, start_response: 1 / 0).status == 500
        assert call(lambda environ, start_response: None).status == 500
    finally:
        logging.getLogger("portway.error").removeHandler(handler)


def test_the_path_cannot_break_a_line_of_the_log(call, error_log):
    raw = b"GET /a%0Ab\xc3\xa9\x9b31m HTTP/1.1\r\nHost: a\r\n\r\n"
    call(lambda environ, start_response: 1 / 0, raw)
    [record] = error_log.records
    message = record.getMessage()
    assert message.isascii()
    assert message.isprintable()
    assert "/a%0Ab\\xc3\\xa9\\x9b31m" in message


def test_the_query_is_not_logged(call, error_log):
    call(lambda environ, start_response: 1 / 0, b"GET /p?token=secret HTTP/1.1\r\nHost: a\r\n\r\n")
    assert "secret" not in error_log.records[0].getMessage()


def test_the_page_for_head_has_no_body(call, error_log):
    answer = call(lambda environ, start_response: 1 / 0, method="HEAD")
    assert answer.status == 500
    assert answer.sink.data.endswith(b"\r\n\r\n")
    assert answer.outcome.body_bytes == 0
    assert answer.outcome.keep_alive


@pytest.mark.parametrize(
    ("raw", "stays"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\n\r\n", False),
        # It would have to be told, and the page does not tell it.
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", False),
    ],
)
def test_the_page_says_whether_the_connection_stays_open(call, error_log, raw, stays):
    answer = call(lambda environ, start_response: 1 / 0, raw)
    assert answer.outcome.keep_alive is stays
    assert answer.headers.get("Connection") == (None if stays else "close")


def test_the_server_may_want_to_close(call):
    def application(environ, start_response):
        start_response("200 OK", OK)
        return [b"x"]

    answer = call(application, keep_alive=False)
    assert answer.headers["Connection"] == "close"
    assert answer.outcome.keep_alive is False


def test_the_server_field_can_be_left_out(call, error_log):
    def application(environ, start_response):
        start_response("200 OK", OK)
        return [b"x"]

    assert "Server" not in call(application, server=b"").headers
    assert "Server" not in call(lambda environ, start_response: 1 / 0, server=b"").headers


def test_date_and_server_of_the_application_take_the_place_of_ours(call):
    def application(environ, start_response):
        start_response("200 OK", [("Date", "then"), ("server", "mine")])
        return [b"x"]

    answer = call(application)
    assert answer.headers["Date"] == "then"
    assert answer.headers["server"] == "mine"
    assert "Server" not in answer.headers


@pytest.mark.parametrize("status", ["100 Continue", "103 Early Hints"])
def test_an_interim_status_as_the_last_word_closes_the_connection(parse, MemorySink, status):
    def application(environ, start_response):
        start_response(status, [])
        return [b"x"]

    request, _ = parse(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    sink = MemorySink()
    outcome = Gateway(application).respond(request, {}, sink, b"date", True)
    assert sink.data.startswith(f"HTTP/1.1 {status}\r\n".encode())
    assert sink.data.endswith(b"\r\n\r\n")
    assert not outcome.keep_alive


def test_outcome_is_read_only_and_tells_itself(call):
    def application(environ, start_response):
        start_response("200 OK", OK)
        return [b"abc"]

    outcome = call(application).outcome
    assert repr(outcome) == "<Response 200, 3 bytes, keep-alive>"
    if gateway.is_compiled():
        with pytest.raises(AttributeError):
            outcome.status_code = 1


def test_nothing_of_a_request_is_kept_in_a_cycle(parse, MemorySink):
    """Else files and connections would live until a collection."""

    class Kept:
        pass

    def good(environ, start_response):
        start_response("200 OK", OK)
        return [b"x"]

    def bad(environ, start_response):
        raise ValueError("boom")

    def late(environ, start_response):
        start_response("200 OK", OK)
        yield b"x"
        raise ValueError("boom")

    request, _ = parse(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    outcomes = []
    # A record of the log holds the traceback, which holds the frames.
    logging.disable()
    gc.collect()
    gc.disable()
    try:
        for application in (good, bad, late):
            kept, sink = Kept(), MemorySink()
            gone = [weakref.ref(kept), weakref.ref(sink)]
            outcomes.append(Gateway(application).respond(request, {"test.kept": kept}, sink, b"date", True))
            del kept, sink
            assert [reference() for reference in gone] == [None, None], application
    finally:
        gc.enable()
        logging.disable(logging.NOTSET)
    assert [outcome.error for outcome in outcomes] == ["", "ValueError", "ValueError"]
