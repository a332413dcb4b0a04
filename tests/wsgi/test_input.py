"""The body of a request: memory, then a temporary file; a file object that is exactly as long as the body."""

import io
import os
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway.wsgi.input import EMPTY_INPUT, MEMORY, SHARE, RequestBody, Room


def body_of(*pieces, memory=16, directory=None):
    body = RequestBody(memory=memory, directory=directory)
    for piece in pieces:
        body.write(piece)
    body.finish()
    return body


# Text with line ends at many places, so that readline() meets all of them.
content = st.lists(
    st.one_of(st.binary(max_size=12), st.sampled_from([b"\n", b"line\n", b"\r\n", b"\n\n", b"x" * 100])),
    max_size=12,
)
sizes = st.one_of(st.none(), st.integers(-1, 40))
operations = st.lists(
    st.one_of(
        st.tuples(st.just("read"), sizes),
        st.tuples(st.just("readline"), sizes),
        st.tuples(st.just("readlines"), sizes),
        st.tuples(st.just("next"), st.none()),
    ),
    max_size=12,
)


def perform(file, operation, size):
    if operation == "next":
        return next(file, "end")
    return getattr(file, operation)() if size is None else getattr(file, operation)(size)


def check_lines_by_hint(file, model, hint):
    """Where exactly readlines(hint) stops is each class's own; they are whole lines, and enough of them."""
    lines = file.readlines(hint)
    assert lines == [model.readline() for _ in lines]
    assert sum(map(len, lines)) >= hint or model.read(1) == b""


@given(pieces=content, memory=st.sampled_from([0, 1, 20, 10_000]), operations=operations)
def test_it_reads_as_a_bytes_io_does_in_any_mixture(pieces, memory, operations):
    whole = b"".join(pieces)
    body = body_of(*pieces, memory=memory)
    try:
        assert body.size == len(whole)
        assert body.in_file is (len(whole) > memory)
        file, model = body.open(), io.BytesIO(whole)
        for operation, size in operations:
            if operation == "readlines" and size is not None and size > 0:
                check_lines_by_hint(file, model, size)
            else:
                assert perform(file, operation, size) == perform(model, operation, size)
        assert file.read() == model.read()
        assert file.read() == b""
        assert file.read(1) == b""
        assert file.readline() == b""
        assert file.readlines() == []
        assert list(file) == []
    finally:
        body.close()


@pytest.mark.parametrize("size", [0, 1, MEMORY - 1, MEMORY, MEMORY + 1, 3 * MEMORY])
@pytest.mark.parametrize("piece", [65536, 10**9], ids=["pieces", "whole"])
def test_up_to_512_kib_stay_in_memory(size, piece):
    data = os.urandom(size)
    body = RequestBody()
    for start in range(0, size, piece):
        body.write(data[start : start + piece])
    body.finish()
    assert body.in_file is (size > 524288)
    assert body.open().read() == data
    body.close()


def test_a_body_of_one_piece_in_memory_is_not_copied():
    data = os.urandom(100_000)
    body = body_of(data, memory=200_000)
    assert body.open().getvalue() is data
    body.close()


def test_many_tiny_pieces_cost_little_more_than_the_body():
    body = RequestBody(memory=100_000)
    for _ in range(50_000):
        body.write(b"ab")
    body.finish()
    assert not body.in_file
    assert body.open().read() == b"ab" * 50_000
    body.close()


class TestRoom:
    """Memory that bodies share."""

    def test_a_longer_body_stays_in_memory_while_there_is_room_and_gives_it_back(self):
        room = Room(1000)
        first, second = (RequestBody(memory=100, room=room) for _ in range(2))
        for body in (first, second):
            body.write(b"a" * 90)
            assert room.left == 1000 if body is first else 400
            body.write(b"b" * 610)
            body.finish()
        assert not first.in_file
        assert second.in_file
        assert first.open().read() == second.open().read() == b"a" * 90 + b"b" * 610
        assert room.left == 400
        first.close()
        first.close()
        assert room.left == 1000
        second.close()
        assert room.left == 1000

    def test_a_body_that_moves_to_a_file_gives_back_what_it_had(self):
        room = Room(500)
        body = RequestBody(memory=100, room=room)
        for count in (100, 300, 300):
            body.write(b"x" * count)
        assert body.in_file
        assert room.left == 500
        body.finish()
        assert body.open().read() == b"x" * 700
        body.close()

    def test_one_body_has_no_more_than_its_share(self):
        room = Room(10 * SHARE)
        body = RequestBody(memory=100, room=room)
        body.write(b"x" * (SHARE + 100))
        assert not body.in_file
        body.write(b"x")
        assert body.in_file
        body.close()
        assert room.left == 10 * SHARE


def test_a_body_of_tiny_pieces_is_not_as_many_objects():
    tracemalloc.start()
    try:
        body = RequestBody(memory=200_000)
        for _ in range(200_000):
            body.write(b"a")
        assert tracemalloc.get_traced_memory()[0] < 600_000
        body.finish()
        assert body.open().read() == b"a" * 200_000
        body.close()
    finally:
        tracemalloc.stop()


def test_the_file_has_no_name_and_is_where_it_was_asked_for(tmp_path):
    body = body_of(b"x" * 100, directory=str(tmp_path))
    assert body.in_file
    assert os.listdir(tmp_path) == []
    assert os.readlink(f"/proc/self/fd/{body.open().fileno()}").startswith(str(tmp_path))
    body.close()


def test_the_space_is_given_back_by_close_even_if_the_application_kept_the_file():
    for memory in (16, 1000):
        body = body_of(b"x" * 100, memory=memory)
        kept = body.open()
        body.close()
        body.close()
        with pytest.raises(ValueError, match="closed"):
            kept.read()


def test_no_descriptor_is_left(tmp_path):
    before = set(os.listdir("/proc/self/fd"))
    for finish in (True, False):
        body = RequestBody(memory=1, directory=str(tmp_path))
        body.write(b"xyz")
        if finish:
            body.finish()
            body.open().read()
        body.close()
    assert set(os.listdir("/proc/self/fd")) == before


def test_an_application_that_holds_a_view_of_the_memory_does_not_stop_close():
    body = body_of(b"x" * 10)
    view = body.open().getbuffer()
    body.close()
    assert bytes(view) == b"x" * 10


def test_a_body_that_is_not_whole_cannot_be_opened():
    body = RequestBody()
    with pytest.raises(ValueError, match="not whole"):
        body.open()
    body.write(b"half of")
    with pytest.raises(ValueError, match="not whole"):
        body.open()
    body.close()
    with pytest.raises(ValueError, match="closed"):
        body.open()


def test_nothing_is_added_to_a_whole_body():
    body = body_of(b"whole")
    with pytest.raises(ValueError, match="whole"):
        body.write(b"!")
    assert body.open().read() == b"whole"
    body.close()
    with pytest.raises(ValueError, match="whole"):
        body.write(b"!")


def test_opened_again_it_begins_again():
    body = body_of(b"again")
    assert body.open().read() == b"again"
    assert body.open().read() == b"again"
    body.close()


def test_a_directory_that_is_not_there_is_an_os_error(tmp_path):
    body = RequestBody(memory=1, directory=str(tmp_path / "missing"))
    with pytest.raises(FileNotFoundError):
        body.write(b"too long for memory")
    body.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_an_os_error_and_close_still_works(monkeypatch):
    import tempfile

    def full(**_):
        return open("/dev/full", "w+b", buffering=65536)

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    body = RequestBody(memory=1)
    with pytest.raises(OSError, match="No space left"):
        body.write(b"x" * 100_000)
    body.close()
    body = RequestBody(memory=1)
    body.write(b"little")
    with pytest.raises(OSError, match="No space left"):
        body.finish()
    with pytest.raises(ValueError, match="not whole"):
        body.open()
    body.close()


def test_the_input_of_a_request_without_a_body():
    first, second = EMPTY_INPUT(), EMPTY_INPUT()
    assert (first.read(), first.read(10), first.readline(), first.readlines(), list(first)) == (
        b"",
        b"",
        b"",
        [],
        [],
    )
    first.close()
    assert second.read() == b""


def test_repr_tells_size_state_and_place():
    body = RequestBody(memory=4)
    assert repr(body) == "<RequestBody 0 bytes, not whole, in memory>"
    body.write(b"12345")
    body.finish()
    assert repr(body) == "<RequestBody 5 bytes, whole, in a file>"
    body.close()
