"""How a request says where it ends and whether the connection stays open: the values of single fields.

Plain functions of their arguments, any thread (RFC 9110 sections 7.6.1 and 8.6, RFC 9112 sections 6 and 9.3).
"""

import re

from portway.http import grammar
from portway.http.errors import RemoteProtocolError, quoted

_TOKEN = grammar.some_of(grammar.TOKEN).decode()
_PARAMETERS = r"(?:[ \t]*;[^,]*)?"
_codings = re.compile(rf"{_TOKEN}{_PARAMETERS}(?:[ \t]*,[ \t]*{_TOKEN}{_PARAMETERS})*").fullmatch

#: What a Content-Length too large to be read is taken for. Any limit is smaller, and a Py_ssize_t holds it.
ENORMOUS = 2**62 + 1


def read_content_length(value: str) -> int:
    """Return a Content-Length: ASCII digits and nothing else, leading zeros allowed, ENORMOUS from 10**18 on.

    A list, even of equal numbers, is refused, as RFC 9112 section 6.3 allows. Raises RemoteProtocolError
    (400).
    """
    if not value.isascii() or not value.isdigit():
        raise RemoteProtocolError(400, f"malformed Content-Length {quoted(value)}")
    if len(value) > 18:
        value = value.lstrip("0")
        if len(value) > 18:
            return ENORMOUS
    return int(value or "0")


def check_codings(value: str) -> None:
    """Raise RemoteProtocolError unless a Transfer-Encoding, all its lines joined by commas, is `chunked`
    alone.

    501 for codings this server does not have, whatever their place. 400 for what is no list of codings, has
    empty elements, gives chunked parameters or has it twice: servers that read such a list differently would
    not agree where the request ends.
    """
    text = value.lower()
    if text == "chunked":
        return
    if _codings(text) is None:
        raise RemoteProtocolError(400, f"malformed Transfer-Encoding {quoted(value)}")
    for coding in text.split(","):
        name, parameters, _ = coding.partition(";")
        if name.strip(" \t") != "chunked":
            raise RemoteProtocolError(501, f"transfer coding {quoted(coding.strip())} is not supported")
        if parameters:
            raise RemoteProtocolError(400, f"malformed Transfer-Encoding {quoted(value)}")
    raise RemoteProtocolError(400, "transfer coding chunked more than once")


def read_options(value: str) -> list[str]:
    """Return the options of a Connection field, in lower case; what is no token stays what it is."""
    return [option.strip(" \t") for option in value.lower().split(",")]
