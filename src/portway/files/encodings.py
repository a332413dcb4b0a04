"""Accept-Encoding: what a client takes, by quality values (RFC 9110 12.4.2 and 12.5.3).

Pure functions of their arguments. The answers for the few header values that browsers really send are
remembered in a bounded dict; it is used by one thread at a time (the leader).
"""

#: The codings of precompressed files with their extensions; the index is the coding's place in `Weights`.
CODINGS = ("br", "zstd", "gzip")
EXTENSIONS = (".br", ".zst", ".gz")
IDENTITY = len(CODINGS)

#: The quality of br, zstd, gzip and identity, in thousandths; 0 means "not this one".
Weights = tuple[int, int, int, int]

#: No Accept-Encoding field: any coding would be allowed, but only identity is certain to be understood.
IDENTITY_ONLY: Weights = (0, 0, 0, 1000)

_PLACES = {"br": 0, "zstd": 1, "gzip": 2, "x-gzip": 2, "identity": IDENTITY}
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")

# A list longer than this is nobody's browser; the rest of it is not read.
_MAX_MEMBERS = 32
_MAX_REMEMBERED = 256
_remembered: dict[str, Weights] = {}


def weights(value: str) -> Weights:
    """Return what `Accept-Encoding: value` allows.

    A coding that is named has its own quality, `*` speaks for those that are not. Identity, when neither
    names it, is acceptable but the last choice: it gets 0, and a caller that finds nothing better sends it.
    Identity is sent as well when the client refuses everything there is, as 12.5.3 allows: a page it can read
    beats a 406 it cannot.
    """
    found = _remembered.get(value)
    if found is None:
        if len(_remembered) >= _MAX_REMEMBERED:
            _remembered.clear()
        found = _remembered[value] = _parse(value)
    return found


def _parse(value: str) -> Weights:
    named: list[int | None] = [None, None, None, None]
    star = 0
    for member in value.split(",", _MAX_MEMBERS)[:_MAX_MEMBERS]:
        coding, semicolon, parameter = member.partition(";")
        coding = coding.strip(" \t").lower()
        quality = _quality(parameter.strip(" \t")) if semicolon else 1000
        if quality is None or not coding or not _TOKEN.issuperset(coding):
            continue  # malformed: as if it were not there
        if coding == "*":
            star = quality
        elif coding in _PLACES:
            named[_PLACES[coding]] = quality
    br, zstd, gzip, identity = (star if quality is None else quality for quality in named)
    return br, zstd, gzip, identity


def _quality(parameter: str) -> int | None:
    """Return the thousandths in `q=0.5`, or None if it is not a weight (RFC 9110 12.4.2)."""
    name, equals, text = parameter.partition("=")
    if not equals or name not in ("q", "Q") or not 0 < len(text) <= 5:
        return None
    whole, dot, decimals = text[0], text[1:2], text[2:]
    if (
        whole not in "01"
        or dot not in ("", ".")
        or (decimals and not (decimals.isascii() and decimals.isdigit()))
    ):
        return None
    thousandths = int(whole) * 1000 + int(decimals.ljust(3, "0"))
    return thousandths if thousandths <= 1000 else None
