"""What the application returns: iterables of every kind, their framing, their lengths and their closing."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway.wsgi.gateway import Gateway
from portway.wsgi.sink import ClientDisconnected

OK = [("Content-Type", "text/plain")]
JOINED = 131072


def returning(body, headers=OK, status="200 OK"):
    def application(environ, start_response):
        start_response(status, list(headers))
        return body

    return application


class Closing:
    """An iterable that counts its closings and remembers the thread of each."""

    def __init__(self, pieces=(b"x",), close_raises=None):
        self.pieces = pieces
        self.close_raises = close_raises
        self.closed_in = []

    def __iter__(self):
        return (piece() if callable(piece) else piece for piece in self.pieces)

    def close(self):
        self.closed_in.append(threading.get_ident())
        if self.close_raises is not None:
            raise self.close_raises


def raising(error):
    def piece():
        raise error

    return piece


class TestInMemory:
    @pytest.mark.parametrize("body", [[b"hello"], (b"hello",)], ids=["list", "tuple"])
    def test_one_element_goes_out_with_the_head_in_one_call_without_chunking(self, call, body):
        answer = call(returning(body))
        assert len(answer.sink.calls) == 1
        assert answer.body == b"hello"
        assert answer.headers["Content-Length"] == "5"
        assert "Transfer-Encoding" not in answer.headers

    def test_several_elements_are_announced_with_their_sum(self, call):
        answer = call(returning([b"hello", b"", b", ", b"world"]))
        assert answer.body == b"hello, world"
        assert answer.headers["Content-Length"] == "12"
        assert len(answer.sink.calls) == 1

    @pytest.mark.parametrize("body", [[], (), [b""], (b"",), [b"", b""]], ids=repr)
    def test_nothing(self, call, body):
        answer = call(returning(body))
        assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", "0")
        assert answer.outcome.keep_alive

    @pytest.mark.parametrize("size", [JOINED - 1000, JOINED - 1, JOINED, JOINED + 1, 5 * JOINED])
    def test_large_elements_are_not_copied_behind_the_head(self, call, size):
        body = b"a" * size
        answer = call(returning([body]))
        assert answer.body == body
        if size >= JOINED:
            assert len(answer.sink.calls) == 2
            assert answer.sink.calls[1] is body

    def test_many_small_elements_of_a_large_body_are_gathered(self, call):
        pieces = [b"0123456789"] * 100_000
        answer = call(returning(pieces))
        assert answer.body == b"".join(pieces)
        assert answer.headers["Content-Length"] == "1000000"
        assert len(answer.sink.calls) <= 2 + 1_000_000 // (JOINED - 10)
        assert pieces == [b"0123456789"] * 100_000

    def test_an_object_whose_iterator_is_a_list_s_has_a_known_length_too(self, call):
        class Response:
            def __init__(self):
                self.closed = 0

            def __iter__(self):
                return iter([b"a", b"b"])

            def close(self):
                self.closed += 1

        response = Response()
        answer = call(returning(response))
        assert (answer.body, answer.headers["Content-Length"]) == (b"ab", "2")
        assert response.closed == 1

    def test_subclasses_of_list_are_iterated_as_they_wish_and_closed(self, call):
        class Backwards(list):
            closed = 0

            def __iter__(self):
                return reversed(self[:])

            def close(self):
                Backwards.closed += 1

        answer = call(returning(Backwards([b"1", b"2"])))
        assert answer.body == b"21"
        assert Backwards.closed == 1

    def test_subclasses_of_bytes_are_bytes(self, call):
        class Bytes(bytes):
            def __len__(self):
                return 1

        assert call(returning([Bytes(b"abc")])).body == b"abc"
        assert call(returning([b"x", Bytes(b"abc")])).body == b"xabc"
        assert call(returning(piece for piece in [Bytes(b"abc")])).body == b"abc"

        def application(environ, start_response):
            start_response("200 OK", OK)(Bytes(b"abc"))
            return []

        assert call(application).body == b"abc"


class TestStreams:
    def test_generator_is_chunked_and_its_head_goes_out_with_the_first_piece(self, call, MemorySink):
        sink = MemorySink()
        seen = []

        def application(environ, start_response):
            start_response("200 OK", OK)
            seen.append(len(sink.calls))
            yield b""
            seen.append(len(sink.calls))
            yield b"one"
            seen.append(len(sink.calls))
            yield b""
            seen.append(len(sink.calls))
            yield b"two"
            seen.append(len(sink.calls))

        answer = call(application, sink=sink)
        assert seen == [0, 0, 1, 1, 2]
        assert answer.headers["Transfer-Encoding"] == "chunked"
        assert "Content-Length" not in answer.headers
        assert (answer.body, answer.complete, answer.outcome.body_bytes) == (b"onetwo", True, 6)
        assert sink.calls[-1] == b"0\r\n\r\n"

    def test_content_length_of_the_application_is_kept(self, call):
        answer = call(returning((piece for piece in [b"one", b"two"]), [*OK, ("Content-Length", "6")]))
        assert answer.headers["Content-Length"] == "6"
        assert "Transfer-Encoding" not in answer.headers
        assert answer.body == b"onetwo"

    def test_http_1_0_ends_by_closing(self, call):
        answer = call(
            returning(piece for piece in [b"one", b"two"]),
            b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        )
        assert answer.body == b"onetwo"
        assert "Transfer-Encoding" not in answer.headers
        assert answer.headers["Connection"] == "close"
        assert answer.outcome.keep_alive is False
        assert answer.outcome.aborted is False

    def test_http_1_0_stays_open_where_the_length_is_known(self, call):
        answer = call(returning([b"x"]), b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert answer.headers["Connection"] == "keep-alive"
        assert answer.outcome.keep_alive is True

    def test_the_client_s_wish_to_close_is_kept(self, call):
        answer = call(returning([b"x"]), b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert answer.headers["Connection"] == "close"
        assert answer.outcome.keep_alive is False

    def test_iterators_and_iterables_of_other_kinds(self, call):
        class OldStyle:
            def __getitem__(self, index):
                return [b"a", b"b"][index]

        class Iterator:
            def __init__(self):
                self.pieces = [b"a", b"b"]

            def __iter__(self):
                return self

            def __next__(self):
                if not self.pieces:
                    raise StopIteration
                return self.pieces.pop(0)

        for body in (
            OldStyle(),
            Iterator(),
            {b"a": 1, b"b": 2},
            map(bytes, [b"a", b"b"]),
            iter((b"a", b"b")),
        ):
            assert call(returning(body)).body == b"ab"

    def test_code_after_the_last_piece_of_the_announced_length_runs(self, call):
        reached = []

        def application(environ, start_response):
            start_response("200 OK", [*OK, ("Content-Length", "1")])
            yield b"x"
            reached.append(True)

        assert call(application).complete
        assert reached == [True]


class TestContentLength:
    bodies = pytest.mark.parametrize(
        "make",
        [
            lambda pieces: pieces,
            tuple,
            iter,
            lambda pieces: (piece for piece in pieces),
            lambda pieces: Closing(pieces),
        ],
        ids=["list", "tuple", "iterator", "generator", "object"],
    )

    @bodies
    @pytest.mark.parametrize(
        "pieces", [[b"123456"], [b"12", b"3456"], [b"1234", b"56"], [b"1", b"2345", b"6", b"7"]]
    )
    def test_too_long_is_cut_and_logged(self, call, error_log, make, pieces):
        answer = call(returning(make(pieces), [*OK, ("Content-Length", "4")]))
        assert (answer.body, answer.rest) == (b"1234", b"")
        assert answer.outcome.body_bytes == 4
        assert answer.outcome.keep_alive
        [record] = error_log.records
        assert "GET /some/path: its body is longer than its Content-Length" in record.getMessage()

    @bodies
    @pytest.mark.parametrize("pieces", [[b"123"], [b"1", b"23"], [b"1", b"", b"23"]])
    def test_too_short_is_aborted_and_logged(self, call, error_log, make, pieces):
        answer = call(returning(make(pieces), [*OK, ("Content-Length", "5")]))
        assert (answer.status, answer.body, answer.complete) == (200, b"123", False)
        assert answer.outcome.aborted
        assert not answer.outcome.keep_alive
        assert answer.outcome.error
        [record] = error_log.records
        assert "2 bytes shorter than its Content-Length" in record.getMessage()

    @bodies
    def test_nothing_at_all_of_it(self, call, error_log, make):
        answer = call(returning(make([]), [*OK, ("Content-Length", "5")]))
        assert answer.outcome.aborted
        assert not answer.complete

    def test_far_too_long_and_in_many_pieces_is_logged_once(self, call, error_log):
        answer = call(returning([b"0123456789"] * 100_000, [*OK, ("Content-Length", "4")]))
        assert (answer.body, answer.rest) == (b"0123", b"")
        assert len(error_log.records) == 1

    def test_an_endless_body_ends_where_its_content_length_does(self, call, error_log):
        ended = []

        def application(environ, start_response):
            start_response("200 OK", [*OK, ("Content-Length", "10")])
            try:
                while True:
                    yield b"1234"
            finally:
                ended.append(True)

        answer = call(application)
        assert answer.body == b"1234123412"
        assert ended == [True]
        assert len(error_log.records) == 1

    def test_zero(self, call, error_log):
        answer = call(returning([b"x"], [*OK, ("Content-Length", "0")]))
        assert (answer.body, answer.rest) == (b"", b"")
        assert answer.outcome.keep_alive


class TestNoBody:
    @pytest.mark.parametrize("body", [[b"body"], [b"bo", b"dy"], iter([b"body"]), [], [b"x" * 300_000]])
    @pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
    def test_status_without_a_body(self, call, status, body):
        answer = call(returning(body, OK, status))
        assert answer.status == int(status[:3])
        assert answer.rest == b""
        assert answer.sink.data.endswith(b"\r\n\r\n")
        assert b"body" not in answer.sink.data
        assert answer.outcome.body_bytes == 0
        assert answer.outcome.keep_alive

    @pytest.mark.parametrize("body", [[b"body"], [b"bo", b"dy"], iter([b"body"]), [], [b"x" * 300_000]])
    def test_head(self, call, body):
        answer = call(returning(body, [*OK, ("Content-Length", "4")]), method="HEAD")
        assert (answer.status, answer.headers["Content-Length"]) == (200, "4")
        assert answer.sink.data.endswith(b"\r\n\r\n")
        assert answer.outcome.body_bytes == 0
        assert answer.outcome.keep_alive
        assert not answer.outcome.aborted

    def test_304_keeps_and_204_loses_content_length(self, call):
        headers = [*OK, ("Content-Length", "4")]
        assert call(returning([], headers, "304 Not Modified")).headers["Content-Length"] == "4"
        assert "Content-Length" not in call(returning([b"1234"], headers, "204 No Content")).headers

    @pytest.mark.parametrize("status", ["200 OK", "204 No Content", "304 Not Modified"])
    def test_a_stream_is_not_asked_for_a_body_that_nobody_gets_but_closed(self, call, status):
        body = Closing([raising(RuntimeError("was asked"))])
        answer = call(returning(body, OK, status), method="HEAD")
        assert answer.status == int(status[:3])
        assert body.closed_in == [threading.get_ident()]

    def test_a_generator_that_calls_start_response_lazily_is_asked_for_one_piece(self, call):
        steps = []

        def application(environ, start_response):
            try:
                start_response("200 OK", OK)
                yield b"1"
                steps.append("went on")
            finally:
                steps.append("closed")

        answer = call(application, method="HEAD")
        assert (answer.status, answer.rest) == (200, b"")
        assert steps == ["closed"]


class TestClose:
    def test_once_in_the_same_thread_after_the_last_byte(self, call, MemorySink):
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

    def test_in_the_thread_that_called_respond_whichever_it_is(self, call):
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
    def test_when_the_iteration_raised(self, call, error_log, error, before):
        body = Closing([*before, raising(error)])
        answer = call(returning(body))
        assert body.closed_in == [threading.get_ident()]
        assert answer.outcome.error == type(error).__name__
        assert answer.outcome.aborted is bool(before)

    @pytest.mark.parametrize("fail_at", [0, 1, 2])
    def test_when_the_client_is_gone(self, call, MemorySink, fail_at):
        body = Closing([b"a", b"b"])
        answer = call(returning(body), sink=MemorySink(fail_at=fail_at))
        assert body.closed_in == [threading.get_ident()]
        assert answer.outcome.aborted
        assert not answer.outcome.keep_alive
        assert answer.outcome.error == ""
        assert answer.outcome.body_bytes == min(fail_at, 2)

    def test_when_start_response_was_never_called_or_with_nonsense(self, call, error_log):
        body = Closing([b"a"])
        assert call(lambda environ, start_response: body).status == 500
        assert call(returning(body, [("X", "\n")])).status == 500
        assert len(body.closed_in) == 2

    def test_when_the_object_cannot_be_iterated(self, call, error_log):
        class Body:
            closed = 0

            def close(self):
                Body.closed += 1

        assert call(returning(Body())).status == 500
        assert Body.closed == 1

    def test_when_a_piece_is_of_the_wrong_type(self, call, error_log):
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
    def test_what_it_raises_is_logged_and_the_response_stays_as_it_is(self, call, error_log, error):
        body = Closing([b"a"], close_raises=error)
        answer = call(returning(body))
        assert (answer.body, answer.complete, answer.rest) == (b"a", True, b"")
        assert answer.outcome.keep_alive
        assert answer.outcome.error == type(error).__name__
        [record] = error_log.records
        assert record.getMessage().endswith(f"GET /some/path: {type(error).__name__} in close()")
        assert record.exc_info[1] is error

    def test_both_exceptions_are_logged_when_the_iteration_raised_too(self, call, error_log):
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

    def test_an_attribute_that_cannot_be_called_or_read(self, call, error_log):
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

    def test_write_in_close_does_not_reach_the_client(self, call, error_log):
        def application(environ, start_response):
            write = start_response("200 OK", OK)
            body = Closing([b"x"])
            body.close = lambda: write(b"late")
            return body

        answer = call(application)
        assert answer.body == b"x"
        assert answer.rest == b""
        assert "after the response had ended" in error_log.text


class TestWrongTypes:
    @pytest.mark.parametrize(
        "piece", ["text", 1, None, bytearray(b"x"), memoryview(b"x"), ["nested"]], ids=repr
    )
    @pytest.mark.parametrize(
        "make",
        [
            lambda piece: [piece],
            lambda piece: (b"x", piece),
            lambda piece: iter([piece]),
            lambda piece: Closing([piece]),
        ],
        ids=["list", "tuple", "iterator", "object"],
    )
    def test_a_piece_that_is_not_bytes_is_named(self, call, error_log, piece, make):
        answer = call(returning(make(piece)))
        assert answer.status == 500
        assert answer.complete
        assert f"gave {type(piece).__name__} where bytes are needed" in error_log.text

    def test_after_bytes_went_out_it_aborts(self, call, error_log):
        answer = call(returning(Closing([b"a", "b"])))
        assert (answer.status, answer.body, answer.complete) == (200, b"a", False)
        assert answer.outcome.aborted

    @pytest.mark.parametrize("result", [None, "text", b"bytes", bytearray(b"bytes"), 5, object()], ids=repr)
    def test_a_result_that_is_no_iterable_of_bytes_is_named(self, call, error_log, result):
        answer = call(returning(result))
        assert answer.status == 500
        assert type(result).__name__.removesuffix("Type") in error_log.text


class TestClientGone:
    @pytest.mark.parametrize("fail_at", [0, 1, 2, 3])
    @pytest.mark.parametrize("headers", [OK, [*OK, ("Content-Length", "3")]], ids=["chunked", "length"])
    def test_is_not_an_error_of_the_application(self, call, MemorySink, fail_at, headers):
        answer = call(returning(Closing([b"a", b"b", b"c"]), headers), sink=MemorySink(fail_at=fail_at))
        gone = fail_at < 3 or headers is OK
        assert answer.outcome.aborted is gone
        assert answer.outcome.keep_alive is not gone
        assert answer.outcome.error == ""
        assert answer.outcome.status_code == 200

    def test_stops_the_application_s_stream(self, call, MemorySink):
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

    def test_a_sink_that_fails_otherwise_is_an_error(self, call, MemorySink, error_log):
        sink = MemorySink(fail_at=1, failure=OSError(28, "No space left on device"))
        answer = call(returning(Closing([b"a", b"b"])), sink=sink)
        assert answer.outcome.aborted
        assert answer.outcome.error == "OSError"
        assert "No space left" in error_log.text
        assert len(sink.calls) == 1


pieces_of_bodies = st.lists(st.binary(max_size=40), max_size=8)


class TestAnyBody:
    @given(
        pieces=pieces_of_bodies,
        kind=st.sampled_from([list, tuple, iter, lambda pieces: (piece for piece in pieces), Closing]),
        method=st.sampled_from(["GET", "HEAD", "POST"]),
        minor=st.sampled_from(["1.0", "1.1"]),
        written=pieces_of_bodies,
        length=st.sampled_from([None, 0, 1]),
    )
    def test_arrives_as_it_is_and_leaves_the_connection_at_the_next_response(
        self, call, pieces, kind, method, minor, written, length
    ):
        whole = b"".join(written) + b"".join(pieces)
        headers = OK if length is None else [*OK, ("Content-Length", str(len(whole)))]

        def application(environ, start_response):
            write = start_response("200 OK", list(headers))
            for piece in written:
                write(piece)
            return kind(pieces)

        answer = call(application, f"{method} / HTTP/{minor}\r\nHost: a\r\n\r\n".encode())
        assert answer.status == 200
        assert answer.complete
        assert answer.rest == b""
        assert answer.body == (b"" if method == "HEAD" else whole)
        assert answer.outcome.body_bytes == len(answer.body)
        assert not answer.outcome.aborted


def test_one_gateway_serves_several_threads_at_once(call, parse, MemorySink):
    both_inside = threading.Barrier(2, timeout=30)

    def application(environ, start_response):
        start_response("200 OK", OK)
        both_inside.wait()
        yield environ["test.name"]
        both_inside.wait()

    gateway = Gateway(application)
    request, _ = parse(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    sinks = {name: MemorySink() for name in (b"one", b"two")}
    threads = [
        threading.Thread(target=gateway.respond, args=(request, {"test.name": name}, sink, b"date", True))
        for name, sink in sinks.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert b"\r\n3\r\none\r\n0\r\n\r\n" in sinks[b"one"].data
    assert b"\r\n3\r\ntwo\r\n0\r\n\r\n" in sinks[b"two"].data
