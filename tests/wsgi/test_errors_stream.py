"""wsgi.errors: a text stream into the error log."""

import logging
import traceback

import pytest

from portway.wsgi.errors_stream import ErrorsStream


def test_each_write_is_a_record(error_log):
    stream = ErrorsStream()
    assert stream.writable()
    assert not stream.readable()
    assert stream.write("one\n") == 4
    stream.writelines(["two\n", "three"])
    stream.flush()
    assert [(record.levelno, record.getMessage()) for record in error_log.records] == [
        (logging.ERROR, "one"),
        (logging.ERROR, "two"),
        (logging.ERROR, "three"),
    ]


def test_print_makes_one_record(error_log):
    print("a", "b%s", file=ErrorsStream())
    assert "".join(record.getMessage() for record in error_log.records) == "a b%s"


def test_a_traceback_arrives_whole(error_log):
    try:
        raise ValueError("boom")
    except ValueError:
        traceback.print_exc(file=ErrorsStream())
    assert "ValueError: boom" in error_log.text


def test_a_logging_handler_can_write_to_it(error_log):
    handler = logging.StreamHandler(ErrorsStream())
    handler.handle(logging.LogRecord("app", logging.WARNING, "app.py", 1, "line\nanother", None, None))
    assert [record.getMessage() for record in error_log.records] == ["line\nanother"]


def test_bytes_are_refused():
    with pytest.raises(TypeError, match="not bytes"):
        ErrorsStream().write(b"x")


def test_close_does_nothing(error_log):
    stream = ErrorsStream()
    stream.close()
    stream.write("still")
    assert error_log.messages == ["still"]
