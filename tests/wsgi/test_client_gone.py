"""A client that goes away, or a sink that fails, while the application answers."""

import pytest

from portway.wsgi.sink import ClientDisconnected

OK = [("Content-Type", "text/plain")]


class TestClientGone:
    @pytest.mark.parametrize("fail_at", [0, 1, 2, 3])
    @pytest.mark.parametrize("headers", [OK, [*OK, ("Content-Length", "3")]], ids=["chunked", "length"])
    def test_is_not_an_error_of_the_application(self, call, returning, Closing, MemorySink, fail_at, headers):
        answer = call(returning(Closing([b"a", b"b", b"c"]), headers), sink=MemorySink(fail_at=fail_at))
        gone = fail_at < 3 or headers is OK
        assert answer.outcome.aborted is gone
        assert answer.outcome.keep_alive is not gone
        assert answer.outcome.error == ""
        assert answer.outcome.status_code == 200

    def test_stops_the_application_s_stream(self, call, returning, Closing, MemorySink):
        asked = []
        body = Closing([lambda: asked.append(1) or b"a", lambda: asked.append(2) or b"b"])
        call(returning(body), sink=MemorySink(fail_at=0))
        assert asked == [1]

    def test_write_raises_it_to_the_application_which_may_pass_it_on(self, call, MemorySink):
        seen = []

        def application(environ, start_response):
            write = start_response("200 OK", OK)
            try:
                write(b"x")
            except ClientDisconnected as error:
                seen.append(error)
                raise
            return []

        answer = call(application, sink=MemorySink(fail_at=0))
        assert len(seen) == 1
        assert answer.outcome.aborted

    def test_write_raises_it_to_the_application_which_may_ignore_it(self, call, MemorySink):
        def application(environ, start_response):
            write = start_response("200 OK", [*OK, ("Content-Length", "1")])
            with pytest.raises(ConnectionError):
                write(b"x")
            return []

        answer = call(application, sink=MemorySink(fail_at=0))
        assert answer.outcome.aborted
        assert not answer.outcome.keep_alive

    def test_before_the_error_page(self, call, MemorySink, error_log):
        answer = call(lambda environ, start_response: 1 / 0, sink=MemorySink(fail_at=0))
        assert answer.outcome.aborted
        assert answer.outcome.error == "ZeroDivisionError"

    def test_a_sink_that_fails_otherwise_is_an_error(self, call, returning, Closing, MemorySink, error_log):
        sink = MemorySink(fail_at=1, failure=OSError(28, "No space left on device"))
        answer = call(returning(Closing([b"a", b"b"])), sink=sink)
        assert answer.outcome.aborted
        assert answer.outcome.error == "OSError"
        assert "No space left" in error_log.text
        assert len(sink.calls) == 1
