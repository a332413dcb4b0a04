"""What the application returns: iterables of every kind, and how they are framed."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway.wsgi.gateway import Gateway

OK = [("Content-Type", "text/plain")]
JOINED = 131072


class TestInMemory:
    @pytest.mark.parametrize("body", [[b"hello"], (b"hello",)], ids=["list", "tuple"])
    def test_one_element_goes_out_with_the_head_in_one_call_without_chunking(self, call, returning, body):
        answer = call(returning(body))
        assert len(answer.sink.calls) == 1
        assert answer.body == b"hello"
        assert answer.headers["Content-Length"] == "5"
        assert "Transfer-Encoding" not in answer.headers

    def test_several_elements_are_announced_with_their_sum(self, call, returning):
        answer = call(returning([b"hello", b"", b", ", b"world"]))
        assert answer.body == b"hello, world"
        assert answer.headers["Content-Length"] == "12"
        assert len(answer.sink.calls) == 1

    @pytest.mark.parametrize("body", [[], (), [b""], (b"",), [b"", b""]], ids=repr)
    def test_nothing(self, call, returning, body):
        answer = call(returning(body))
        assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", "0")
        assert answer.outcome.keep_alive

    @pytest.mark.parametrize("size", [JOINED - 1000, JOINED - 1, JOINED, JOINED + 1, 5 * JOINED])
    def test_large_elements_are_not_copied_behind_the_head(self, call, returning, size):
        body = b"a" * size
        answer = call(returning([body]))
        assert answer.body == body
        if size >= JOINED:
            assert len(answer.sink.calls) == 2
            assert answer.sink.calls[1] is body

    def test_many_small_elements_of_a_large_body_are_gathered(self, call, returning):
        pieces = [b"0123456789"] * 100_000
        answer = call(returning(pieces))
        assert answer.body == b"".join(pieces)
        assert answer.headers["Content-Length"] == "1000000"
        assert len(answer.sink.calls) <= 2 + 1_000_000 // (JOINED - 10)
        assert pieces == [b"0123456789"] * 100_000

    def test_an_object_whose_iterator_is_a_list_s_has_a_known_length_too(self, call, returning):
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

    def test_subclasses_of_list_are_iterated_as_they_wish_and_closed(self, call, returning):
        class Backwards(list):
            closed = 0

            def __iter__(self):
                return reversed(self[:])

            def close(self):
                Backwards.closed += 1

        answer = call(returning(Backwards([b"1", b"2"])))
        assert answer.body == b"21"
        assert Backwards.closed == 1

    def test_subclasses_of_bytes_are_bytes(self, call, returning):
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

    def test_content_length_of_the_application_is_kept(self, call, returning):
        answer = call(returning((piece for piece in [b"one", b"two"]), [*OK, ("Content-Length", "6")]))
        assert answer.headers["Content-Length"] == "6"
        assert "Transfer-Encoding" not in answer.headers
        assert answer.body == b"onetwo"

    def test_http_1_0_ends_by_closing(self, call, returning):
        answer = call(
            returning(piece for piece in [b"one", b"two"]),
            b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        )
        assert answer.body == b"onetwo"
        assert "Transfer-Encoding" not in answer.headers
        assert answer.headers["Connection"] == "close"
        assert answer.outcome.keep_alive is False
        assert answer.outcome.aborted is False

    def test_http_1_0_stays_open_where_the_length_is_known(self, call, returning):
        answer = call(returning([b"x"]), b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert answer.headers["Connection"] == "keep-alive"
        assert answer.outcome.keep_alive is True

    def test_the_client_s_wish_to_close_is_kept(self, call, returning):
        answer = call(returning([b"x"]), b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert answer.headers["Connection"] == "close"
        assert answer.outcome.keep_alive is False

    def test_iterators_and_iterables_of_other_kinds(self, call, returning):
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


class TestNoBody:
    @pytest.mark.parametrize("body", [[b"body"], [b"bo", b"dy"], iter([b"body"]), [], [b"x" * 300_000]])
    @pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
    def test_status_without_a_body(self, call, returning, status, body):
        answer = call(returning(body, OK, status))
        assert answer.status == int(status[:3])
        assert answer.rest == b""
        assert answer.sink.data.endswith(b"\r\n\r\n")
        assert b"body" not in answer.sink.data
        assert answer.outcome.body_bytes == 0
        assert answer.outcome.keep_alive

    @pytest.mark.parametrize("body", [[b"body"], [b"bo", b"dy"], iter([b"body"]), [], [b"x" * 300_000]])
    def test_head(self, call, returning, body):
        answer = call(returning(body, [*OK, ("Content-Length", "4")]), method="HEAD")
        assert (answer.status, answer.headers["Content-Length"]) == (200, "4")
        assert answer.sink.data.endswith(b"\r\n\r\n")
        assert answer.outcome.body_bytes == 0
        assert answer.outcome.keep_alive
        assert not answer.outcome.aborted

    def test_304_keeps_and_204_loses_content_length(self, call, returning):
        headers = [*OK, ("Content-Length", "4")]
        assert call(returning([], headers, "304 Not Modified")).headers["Content-Length"] == "4"
        assert "Content-Length" not in call(returning([b"1234"], headers, "204 No Content")).headers

    @pytest.mark.parametrize("status", ["200 OK", "204 No Content", "304 Not Modified"])
    def test_a_stream_is_not_asked_for_a_body_that_nobody_gets_but_closed(
        self, call, returning, Closing, raising, status
    ):
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


def type_name(value):
    """Name a parameter the same in every process: a repr may have an address in it."""
    return type(value).__name__


class TestWrongTypes:
    @pytest.mark.parametrize(
        "piece", ["text", 1, None, bytearray(b"x"), memoryview(b"x"), ["nested"]], ids=type_name
    )
    @pytest.mark.parametrize(
        ("kind", "before"),
        [("list", []), ("tuple", [b"x"]), ("iterator", []), ("object", [])],
        ids=["list", "tuple", "iterator", "object"],
    )
    def test_a_piece_that_is_not_bytes_is_named(
        self, call, returning, make_body, error_log, piece, kind, before
    ):
        answer = call(returning(make_body(kind, [*before, piece])))
        assert answer.status == 500
        assert answer.complete
        assert f"gave {type(piece).__name__} where bytes are needed" in error_log.text

    def test_after_bytes_went_out_it_aborts(self, call, returning, Closing, error_log):
        answer = call(returning(Closing([b"a", "b"])))
        assert (answer.status, answer.body, answer.complete) == (200, b"a", False)
        assert answer.outcome.aborted

    @pytest.mark.parametrize(
        "result", [None, "text", b"bytes", bytearray(b"bytes"), 5, object()], ids=type_name
    )
    def test_a_result_that_is_no_iterable_of_bytes_is_named(self, call, returning, error_log, result):
        answer = call(returning(result))
        assert answer.status == 500
        assert type(result).__name__.removesuffix("Type") in error_log.text


pieces_of_bodies = st.lists(st.binary(max_size=40), max_size=8)


class TestAnyBody:
    @given(
        pieces=pieces_of_bodies,
        kind=st.sampled_from(["list", "tuple", "iterator", "generator", "object"]),
        method=st.sampled_from(["GET", "HEAD", "POST"]),
        minor=st.sampled_from(["1.0", "1.1"]),
        written=pieces_of_bodies,
        length=st.sampled_from([None, 0, 1]),
    )
    def test_arrives_as_it_is_and_leaves_the_connection_at_the_next_response(
        self, call, make_body, pieces, kind, method, minor, written, length
    ):
        whole = b"".join(written) + b"".join(pieces)
        headers = OK if length is None else [*OK, ("Content-Length", str(len(whole)))]

        def application(environ, start_response):
            write = start_response("200 OK", list(headers))
            for piece in written:
                write(piece)
            return make_body(kind, pieces)

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
