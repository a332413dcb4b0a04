"""wsgi.file_wrapper: what is sent by its descriptor, what is read, and that it is closed at once."""

# ruff: noqa: SIM115 - that the gateway closes the files is what is tested

import bz2
import gzip
import io
import os
import tempfile
import threading
import zipfile

import pytest

from portway.wsgi.file_wrapper import FileWrapper, regular_file

CONTENT = bytes(range(256)) * 512
OK = [("Content-Type", "application/octet-stream")]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "content.bin"
    path.write_bytes(CONTENT)
    return path


class Recorder:
    """Delegates to a file and remembers the thread of each close()."""

    def __init__(self, file):
        self.file = file
        self.closed_in = []

    def __getattr__(self, name):
        return getattr(self.file, name)

    def close(self):
        self.closed_in.append(threading.get_ident())
        self.file.close()


def serving(file, headers=OK, status="200 OK", block=8192):
    def application(environ, start_response):
        start_response(status, list(headers))
        return environ["wsgi.file_wrapper"](file, block)

    return application


def sent_by_descriptor(answer):
    return any(isinstance(one, tuple) for one in answer.sink.calls)


def open_descriptors():
    return set(os.listdir("/proc/self/fd"))


class TestSendfile:
    @pytest.mark.parametrize("buffering", [0, -1])
    @pytest.mark.parametrize("mode", ["rb", "r+b"])
    def test_a_file_is_sent_by_its_descriptor_and_closed(self, call, path, buffering, mode):
        before = open_descriptors()
        file = open(path, mode, buffering=buffering)
        answer = call(serving(file))
        assert answer.body == CONTENT
        assert answer.headers["Content-Length"] == str(len(CONTENT))
        assert sent_by_descriptor(answer)
        assert answer.outcome.body_bytes == len(CONTENT)
        assert answer.outcome.keep_alive
        assert file.closed
        assert open_descriptors() == before

    def test_closed_once_in_the_calling_thread(self, call, path):
        file = Recorder(open(path, "rb"))
        answer = call(serving(file))
        assert sent_by_descriptor(answer)
        assert file.closed_in == [threading.get_ident()]

    @pytest.mark.parametrize("position", [0, 1, 8191, 8192, 100_000, len(CONTENT), len(CONTENT) + 10])
    @pytest.mark.parametrize("how", ["seek", "read", "raw"])
    def test_from_where_the_file_stands(self, call, path, position, how):
        file = open(path, "rb", buffering=0 if how == "raw" else -1)
        if how == "read":
            file.read(position)
        else:
            file.seek(position)
        answer = call(serving(file))
        assert answer.body == CONTENT[position:]
        assert answer.headers["Content-Length"] == str(len(CONTENT[position:]))
        assert answer.complete

    def test_content_length_of_the_application_may_announce_a_part(self, call, path):
        file = open(path, "rb")
        file.seek(10)
        answer = call(serving(file, [*OK, ("Content-Length", "5")], "206 Partial Content"))
        assert answer.body == CONTENT[10:15]
        assert answer.rest == b""
        assert sent_by_descriptor(answer)
        assert answer.outcome.error == ""

    def test_content_length_of_zero(self, call, path):
        answer = call(serving(open(path, "rb"), [*OK, ("Content-Length", "0")]))
        assert (answer.body, answer.rest, answer.outcome.keep_alive) == (b"", b"", True)

    def test_content_length_that_the_file_has_not(self, call, path, error_log):
        answer = call(serving(open(path, "rb"), [*OK, ("Content-Length", str(len(CONTENT) + 3))]))
        assert answer.body == CONTENT
        assert not answer.complete
        assert answer.outcome.aborted
        assert "3 bytes shorter" in error_log.text

    def test_what_was_written_and_not_flushed_is_sent_too(self, call, tmp_path):
        file = open(tmp_path / "new", "w+b")
        file.write(b"written a moment ago")
        file.seek(8)
        assert call(serving(file)).body == b"a moment ago"

    def test_empty_file(self, call, tmp_path):
        (tmp_path / "empty").touch()
        file = open(tmp_path / "empty", "rb")
        answer = call(serving(file))
        assert (answer.body, answer.headers["Content-Length"]) == (b"", "0")
        assert file.closed

    @pytest.mark.parametrize(("method", "status"), [("HEAD", "200 OK"), ("GET", "304 Not Modified")])
    def test_without_a_body_it_is_closed_and_not_sent(self, call, path, method, status):
        file = open(path, "rb")
        answer = call(serving(file, status=status), method=method)
        assert answer.sink.data.endswith(b"\r\n\r\n")
        assert len(answer.sink.calls) == 1
        assert file.closed

    def test_temporary_files(self, call):
        named = tempfile.NamedTemporaryFile()
        named.write(b"named")
        named.seek(0)
        answer = call(serving(named))
        assert (answer.body, sent_by_descriptor(answer)) == (b"named", True)
        assert not os.path.exists(named.name)
        unnamed = tempfile.TemporaryFile()
        unnamed.write(b"unnamed")
        unnamed.seek(0)
        answer = call(serving(unnamed))
        assert (answer.body, sent_by_descriptor(answer)) == (b"unnamed", True)

    def test_an_object_whose_read_is_the_file_s_own(self, call, path):
        class File:
            """As django.core.files.File: everything is a property that gives the inner file's method."""

            def __init__(self, file):
                self.file = file

            read = property(lambda self: self.file.read)
            close = property(lambda self: self.file.close)

        answer = call(serving(File(open(path, "rb"))))
        assert answer.body == CONTENT
        assert sent_by_descriptor(answer)

    def test_django_s_way_of_having_the_response_closed(self, call, path):
        """It puts the response's close() in the place of the file's before it makes the wrapper."""
        file = open(path, "rb")
        closed = []
        original = file.close
        file.close = lambda: (closed.append(True), original())
        answer = call(serving(file))
        assert sent_by_descriptor(answer)
        assert closed == [True]
        assert file.closed

    def test_after_write_it_is_read(self, call, path):
        def application(environ, start_response):
            start_response("200 OK", OK)(b"first")
            return environ["wsgi.file_wrapper"](open(path, "rb"))

        answer = call(application)
        assert answer.body == b"first" + CONTENT
        assert not sent_by_descriptor(answer)


class TestRead:
    def test_compressed_files_are_sent_as_what_they_contain(self, call, tmp_path):
        """Each of them has the fileno() of the compressed file, or of none."""
        for opener in (gzip.open, bz2.open):
            with opener(tmp_path / "packed", "wb") as file:
                file.write(b"unpacked")
            packed = opener(tmp_path / "packed", "rb")
            answer = call(serving(packed))
            assert answer.body == b"unpacked"
            assert not sent_by_descriptor(answer)
            assert packed.closed
            answer = call(serving(io.BufferedReader(opener(tmp_path / "packed", "rb"))))
            assert answer.body == b"unpacked"
        with zipfile.ZipFile(tmp_path / "zip", "w") as archive:
            archive.writestr("member", b"unpacked")
        with zipfile.ZipFile(tmp_path / "zip") as archive:
            assert call(serving(archive.open("member"))).body == b"unpacked"

    def test_an_object_with_a_read_of_its_own(self, call, path):
        class Reversed:
            def __init__(self, file):
                self.file = file
                self.fileno = file.fileno

            def read(self, size):
                return self.file.read(size)[::-1]

            def close(self):
                self.file.close()

        file = open(path, "rb")
        answer = call(serving(Reversed(file), block=len(CONTENT)))
        assert answer.body == CONTENT[::-1]
        assert file.closed

    def test_subclasses_of_file_classes(self, call, path):
        class Loud(io.FileIO):
            def read(self, size=-1):
                return super().read(size).replace(b"a", b"A")

        answer = call(serving(Loud(path)))
        assert answer.body == CONTENT.replace(b"a", b"A")

    def test_in_memory_files_are_read_in_blocks_as_asked(self, call):
        answer = call(serving(io.BytesIO(b"0123456789"), block=4))
        assert answer.body == b"0123456789"
        assert answer.headers["Transfer-Encoding"] == "chunked"
        assert len(answer.sink.calls) == 4

    def test_content_length_may_announce_a_part_of_these_too(self, call):
        answer = call(serving(io.BytesIO(b"0123456789"), [*OK, ("Content-Length", "5")], block=4))
        assert (answer.body, answer.rest, answer.outcome.error) == (b"01234", b"", "")

    def test_pipes(self, call):
        reading, writing = os.pipe()
        os.write(writing, b"through a pipe")
        os.close(writing)
        file = os.fdopen(reading, "rb")
        answer = call(serving(file))
        assert answer.body == b"through a pipe"
        assert not sent_by_descriptor(answer)
        assert file.closed

    def test_files_whose_length_only_reading_tells(self, call):
        file = open("/proc/self/stat", "rb")
        answer = call(serving(file))
        assert answer.body.startswith(str(os.getpid()).encode())
        assert file.closed

    def test_text_files_are_refused_and_closed(self, call, path, error_log):
        file = open(path, encoding="latin-1")
        answer = call(serving(file))
        assert answer.status == 500
        assert "gave str where bytes are needed" in error_log.text
        assert file.closed

    def test_closed_files(self, call, path, error_log):
        file = open(path, "rb")
        file.close()
        assert call(serving(file)).status == 500
        assert "closed file" in error_log.text

    def test_files_that_cannot_be_read(self, call, tmp_path, error_log):
        file = open(tmp_path / "new", "wb", buffering=0)
        assert call(serving(file)).status == 500
        assert file.closed

    def test_without_a_descriptor_to_spare_the_file_is_read(self, call, path, monkeypatch):
        def no_dup(fd):
            raise OSError(24, "Too many open files")

        file = open(path, "rb")
        monkeypatch.setattr(os, "dup", no_dup)
        answer = call(serving(file))
        assert answer.body == CONTENT
        assert not sent_by_descriptor(answer)
        assert answer.headers["Content-Length"] == str(len(CONTENT))

    def test_wrapped_by_middleware_it_is_an_ordinary_iterable(self, call, path):
        file = open(path, "rb")
        inner = serving(file)

        def middleware(environ, start_response):
            body = inner(environ, start_response)
            try:
                yield from body
            finally:
                body.close()

        answer = call(middleware)
        assert answer.body == CONTENT
        assert file.closed


@pytest.mark.parametrize("fail_at", [0, 1])
def test_when_the_client_is_gone_nothing_stays_open(call, path, MemorySink, fail_at):
    before = open_descriptors()
    file = open(path, "rb")
    answer = call(serving(file), sink=MemorySink(fail_at=fail_at))
    assert answer.outcome.aborted
    assert file.closed
    assert open_descriptors() == before


def test_wrapper_has_close_exactly_if_the_file_has():
    class Bare:
        def read(self, size):
            return b""

    assert not hasattr(FileWrapper(Bare()), "close")
    assert hasattr(FileWrapper(io.BytesIO()), "close")


def test_wrapper_is_an_iterator_over_blocks():
    wrapper = FileWrapper(io.BytesIO(b"12345"), 2)
    assert iter(wrapper) is wrapper
    assert list(wrapper) == [b"12", b"34", b"5"]
    assert list(wrapper) == []


def test_regular_file_tells_descriptor_offset_and_count(path):
    with open(path, "rb") as file:
        file.read(3)
        assert regular_file(file) == (file.fileno(), 3, len(CONTENT) - 3)
    assert regular_file(file) is None
    assert regular_file(object()) is None
    assert regular_file(io.BytesIO(b"x")) is None
    with open(os.devnull, "rb") as device:
        assert regular_file(device) is None
