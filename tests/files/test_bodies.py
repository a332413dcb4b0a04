from portway.files.bodies import Bodies
from portway.files.responses import FileResponse
from portway.files.static_file import Representation, lines


def entry(size):
    representation = Representation(b"/x", size, 0, 0, '"x"', 0, lines("text/css", "max-age=60"))
    return representation, FileResponse(200, b"", b"x" * size)


def test_bounded_by_bytes_and_the_oldest_go():
    bodies = Bodies(100)
    entries = [entry(40) for _ in range(3)]
    for one in entries:
        bodies.keep(*one)
    assert [bodies.get(representation) is response for representation, response in entries] == [
        False,
        True,
        True,
    ]


def test_one_that_is_too_big_drives_nobody_out():
    bodies = Bodies(100)
    small, big = entry(10), entry(101)
    bodies.keep(*small)
    bodies.keep(*big)
    assert bodies.get(small[0]) is small[1]
    assert bodies.get(big[0]) is None


def test_nothing_is_kept_without_memory():
    bodies = Bodies(0)
    one = entry(1)
    bodies.keep(*one)
    assert bodies.get(one[0]) is None
