"""Bodies that are shorter, longer or endless where a Content-Length was announced."""

import pytest

OK = [("Content-Type", "text/plain")]


class TestContentLength:
    bodies = pytest.mark.parametrize("kind", ["list", "tuple", "iterator", "generator", "object"])

    @bodies
    @pytest.mark.parametrize(
        "pieces", [[b"123456"], [b"12", b"3456"], [b"1234", b"56"], [b"1", b"2345", b"6", b"7"]]
    )
    def test_too_long_is_cut_and_logged(self, call, returning, make_body, error_log, kind, pieces):
        answer = call(returning(make_body(kind, pieces), [*OK, ("Content-Length", "4")]))
        assert (answer.body, answer.rest) == (b"1234", b"")
        assert answer.outcome.body_bytes == 4
        assert answer.outcome.keep_alive
        [record] = error_log.records
        assert "GET /some/path: its body is longer than its Content-Length" in record.getMessage()

    @bodies
    @pytest.mark.parametrize("pieces", [[b"123"], [b"1", b"23"], [b"1", b"", b"23"]])
    def test_too_short_is_aborted_and_logged(self, call, returning, make_body, error_log, kind, pieces):
        answer = call(returning(make_body(kind, pieces), [*OK, ("Content-Length", "5")]))
        assert (answer.status, answer.body, answer.complete) == (200, b"123", False)
        assert answer.outcome.aborted
        assert not answer.outcome.keep_alive
        assert answer.outcome.error
        [record] = error_log.records
        assert "2 bytes shorter than its Content-Length" in record.getMessage()

    @bodies
    def test_nothing_at_all_of_it(self, call, returning, make_body, error_log, kind):
        answer = call(returning(make_body(kind, []), [*OK, ("Content-Length", "5")]))
        assert answer.outcome.aborted
        assert not answer.complete

    def test_far_too_long_and_in_many_pieces_is_logged_once(self, call, returning, error_log):
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

    def test_zero(self, call, returning, error_log):
        answer = call(returning([b"x"], [*OK, ("Content-Length", "0")]))
        assert (answer.body, answer.rest) == (b"", b"")
        assert answer.outcome.keep_alive
