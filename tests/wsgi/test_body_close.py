"""close() of what the application returned: once, in the calling thread, whatever happened before."""

import threading

import pytest

OK = [("Content-Type", "text/plain")]


class TestClose:
    def test_once_in_the_same_thread_after_the_last_byte(self, call, returning, Closing, MemorySink):
        sink = MemorySink()

        class Body(Closing):
            def close(self):
                super().close()
                self.sent = sink.data

        body = Body([b"a", b"b"])
        answer = call(returning(body), sink=sink)
        assert body.closed_in == [threading.get_ident()]
        assert body.sent == answer.sink.data
        assert body.sent.endswith(b"0\r\n\r\n")

    def test_in_the_thread_that_called_respond_whichever_it_is(self, call, returning, Closing):
        body = Closing([b"a", b"b"])
        answers = []
        thread = threading.Thread(target=lambda: answers.append(call(returning(body))))
        thread.start()
        thread.join()
        assert answers[0].body == b"ab"
        assert body.closed_in == [thread.ident]
        assert answers[0].sink.threads == {thread.ident}

    @pytest.mark.parametrize("error", [ValueError("v"), SystemExit(1), KeyboardInterrupt(), GeneratorExit()])
    @pytest.mark.parametrize("before", [[], [b"first"]], ids=["before bytes", "after bytes"])
    def test_when_the_iteration_raised(self, call, returning, Closing, raising, error_log, error, before):
        body = Closing([*before, raising(error)])
        answer = call(returning(body))
        assert body.closed_in == [threading.get_ident()]
        assert answer.outcome.error == type(error).__name__
        assert answer.outcome.aborted is bool(before)

    @pytest.mark.parametrize("fail_at", [0, 1, 2])
    def test_when_the_client_is_gone(self, call, returning, Closing, MemorySink, fail_at):
        body = Closing([b"a", b"b"])
        answer = call(returning(body), sink=MemorySink(fail_at=fail_at))
        assert body.closed_in == [threading.get_ident()]
        assert answer.outcome.aborted
        assert not answer.outcome.keep_alive
        assert answer.outcome.error == ""
        assert answer.outcome.body_bytes == min(fail_at, 2)

    def test_when_start_response_was_never_called_or_with_nonsense(self, call, returning, Closing, error_log):
        body = Closing([b"a"])
        assert call(lambda environ, start_response: body).status == 500
        assert call(returning(body, [("X", "\n")])).status == 500
        assert len(body.closed_in) == 2

    def test_when_the_object_cannot_be_iterated(self, call, returning, error_log):
        class Body:
            closed = 0

            def close(self):
                Body.closed += 1

        assert call(returning(Body())).status == 500
        assert Body.closed == 1

    def test_when_a_piece_is_of_the_wrong_type(self, call, returning, Closing, error_log):
        body = Closing([b"a", "b"])
        assert call(returning(body)).outcome.aborted
        assert len(body.closed_in) == 1

    def test_generators_are_closed_where_they_stand(self, call, MemorySink):
        ended = []

        def application(environ, start_response):
            start_response("200 OK", OK)
            try:
                yield b"a"
                yield b"b"
            finally:
                ended.append(threading.get_ident())

        call(application, sink=MemorySink(fail_at=0))
        assert ended == [threading.get_ident()]

    @pytest.mark.parametrize("error", [ValueError("v"), SystemExit(1), KeyboardInterrupt()])
    def test_what_it_raises_is_logged_and_the_response_stays_as_it_is(
        self, call, returning, Closing, error_log, error
    ):
        body = Closing([b"a"], close_raises=error)
        answer = call(returning(body))
        assert (answer.body, answer.complete, answer.rest) == (b"a", True, b"")
        assert answer.outcome.keep_alive
        assert answer.outcome.error == type(error).__name__
        [record] = error_log.records
        assert record.getMessage().endswith(f"GET /some/path: {type(error).__name__} in close()")
        assert record.exc_info[1] is error

    def test_both_exceptions_are_logged_when_the_iteration_raised_too(
        self, call, returning, Closing, raising, error_log
    ):
        body = Closing([raising(KeyError("first"))], close_raises=ValueError("second"))
        answer = call(returning(body))
        assert answer.outcome.error == "KeyError"
        assert [record.exc_info[0] for record in error_log.records] == [KeyError, ValueError]

    def test_a_generator_that_will_not_close(self, call, error_log):
        def application(environ, start_response):
            start_response("200 OK", [*OK, ("Content-Length", "1")])
            refused = False
            while True:
                try:
                    yield b"x"
                except GeneratorExit:
                    if refused:
                        raise
                    refused = True

        answer = call(application)
        assert answer.body == b"x"
        assert answer.outcome.keep_alive
        assert "generator ignored GeneratorExit" in error_log.text

    def test_an_attribute_that_cannot_be_called_or_read(self, call, returning, Closing, error_log):
        class Odd(Closing):
            close = 42

        class Odder(Closing):
            @property
            def close(self):
                raise RuntimeError("no close for you")

        assert call(returning(Odd())).body == b"x"
        assert call(returning(Odder())).body == b"x"
        assert "TypeError in close()" in error_log.text
        assert "no close for you" in error_log.text

    def test_write_in_close_does_not_reach_the_client(self, call, Closing, error_log):
        def application(environ, start_response):
            write = start_response("200 OK", OK)
            body = Closing([b"x"])
            body.close = lambda: write(b"late")
            return body

        answer = call(application)
        assert answer.body == b"x"
        assert answer.rest == b""
        assert "after the response had ended" in error_log.text
