import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway.files import encodings
from portway.files.encodings import CODINGS, IDENTITY, weights
from portway.files.static_file import Representation, StaticFile, lines

SHARED = lines("text/css", "max-age=60")


def representation(coding, size):
    return Representation(b"/x", size, 0, 0, f'"{coding}"', 0, SHARED, coding)


def choose(accept, br=30, zstd=40, gzip=50):
    sizes = {0: br, 1: zstd, 2: gzip}
    file = StaticFile(
        representation(IDENTITY, 100),
        [representation(coding, size) for coding, size in sizes.items() if size],
    )
    chosen = file.choose(weights(accept)).coding
    return "identity" if chosen == IDENTITY else CODINGS[chosen]


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        # What browsers send: the smallest of what they take.
        ("gzip, deflate, br, zstd", "br"),
        ("gzip, deflate, br", "br"),
        ("gzip, deflate", "gzip"),
        ("gzip", "gzip"),
        ("GZIP", "gzip"),
        ("x-gzip", "gzip"),
        # No field value: only identity (12.5.3, rule for an empty field).
        ("", "identity"),
        # Quality values.
        ("br;q=0.5, gzip;q=0.8", "gzip"),
        ("br;q=0.5, gzip;q=0.8, zstd;q=0.81", "zstd"),
        ("gzip;q=0.001", "gzip"),
        ("br ; q=0.2 , gzip ; Q=0.3", "gzip"),
        # Never what has q=0.
        ("gzip;q=0", "identity"),
        ("gzip;q=0.000, br;q=0.0", "identity"),
        ("gzip;q=0, *", "br"),
        ("br;q=0, *;q=0.5", "zstd"),
        # `*` is what is not named, and identity is named or not like the others.
        ("*", "br"),
        ("*;q=0", "identity"),
        ("*;q=0, gzip", "gzip"),
        ("gzip;q=0.5, *;q=1", "br"),
        # Identity has the weight it is given, and loses a tie: it is the biggest.
        ("identity, gzip;q=0.5", "identity"),
        ("identity;q=0.5, gzip", "gzip"),
        ("identity, gzip", "gzip"),
        ("identity;q=0.1, gzip;q=0.1", "gzip"),
        # Nothing acceptable: identity all the same, not a 406.
        ("identity;q=0", "identity"),
        ("identity;q=0, deflate", "identity"),
        ("identity;q=0, gzip;q=0", "identity"),
        ("deflate", "identity"),
        # Malformed members are as if they were not there; the others count.
        ("gzip;q=2", "identity"),
        ("gzip;q=1.001", "identity"),
        ("gzip;q=0.5555", "identity"),
        ("gzip;q=", "identity"),
        ("gzip;q=.5", "identity"),
        ("gzip;q=-1", "identity"),
        ("gzip;q=1e0", "identity"),
        ("gzip;q=0.²", "identity"),
        ("gzip;level=9", "identity"),
        ("gzip;q=0.5;x=1", "identity"),
        ("gz ip", "identity"),
        ("gzip;q=2, br;q=0.1", "br"),
        (",, ,gzip,", "gzip"),
        ("gzipx", "identity"),
        ("xgzip, brotli", "identity"),
    ],
)
def test_what_is_sent(accept, expected):
    assert choose(accept) == expected


def test_only_what_there_is_can_be_chosen():
    assert choose("br, zstd, gzip;q=0.1", br=0, zstd=0) == "gzip"
    assert choose("br, zstd", br=0, zstd=0) == "identity"
    assert choose("gzip, br", br=60) == "gzip"


def test_a_long_list_is_read_only_so_far():
    assert choose("x," * 5000 + "gzip") == "identity"
    assert choose("gzip," + "x," * 5000) == "gzip"


def test_what_is_remembered_is_bounded():
    for number in range(2000):
        weights(f"gzip, made-up-{number}")
    assert len(encodings._remembered) <= 256


@given(st.text(max_size=80))
def test_no_text_raises(text):
    assert all(0 <= weight <= 1000 for weight in weights(text))


QUALITIES = st.integers(min_value=0, max_value=1000)


@given(st.dictionaries(st.sampled_from([*CODINGS, "identity", "*", "deflate"]), QUALITIES), st.randoms())
def test_lists_mean_what_they_say(qualities, random):
    members = [f"{name};q={quality / 1000:.3f}" for name, quality in qualities.items()]
    random.shuffle(members)
    got = weights(", ".join(members))
    for place, name in enumerate((*CODINGS, "identity")):
        assert got[place] == qualities.get(name, qualities.get("*", 0))
    chosen = choose(", ".join(members))
    if chosen != "identity":
        best = qualities.get(chosen, qualities.get("*", 0))
        assert best > 0
        assert all(best >= weight for weight in got)
