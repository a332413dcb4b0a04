"""One request's head as a value: what the parser made of it, with nothing left to check.

Made by the RequestParser (or by a test), read by everybody else; nothing here changes after it was made, so
any thread may read it. Not a request object for applications: that is WSGI's environ.
"""

try:
    import cython
except ModuleNotFoundError:
    from portway import _cython as cython


def is_compiled() -> bool:
    """Say which form of this module was loaded."""
    return bool(cython.compiled)


@cython.final
@cython.freelist(64)
@cython.cclass
class Request:
    """A request head (RFC 9112 section 2.1). All strings are latin-1: one character for each byte received.

    method: a token, case as sent.
    target: the request target as sent.
    path, query: of the target, undecoded; query without its "?". path is "*" for `OPTIONS *`.
    http_minor: 0 or 1, of HTTP/1.0 and HTTP/1.1.
    fields: [(name, value)] in order, names in lower case, values without outer white space; read only.
    dropped: names left out of `fields` because of an underscore in them, in lower case.
    host: host and port: Host, or the authority of a target in absolute-form; "" if there is none.
    keep_alive: whether the client lets the connection stay open after the response.
    content_length: of the body, in bytes; -1 when Content-Length was not given.
    chunked: whether the body comes in the chunked coding.
    has_body: whether a chunked body or one of at least one byte follows the head.
    expect_continue: whether the client waits for 100 (Continue) before it sends that body.
    scheme, authority: of a target in absolute-form, the scheme in lower case; "" otherwise.
    """

    def __init__(
        self,
        method: str,
        target: str,
        path: str,
        query: str = "",
        http_minor: cython.int = 1,
        fields: list = None,  # type: ignore[type-arg, assignment]  # noqa: RUF013
        dropped: tuple = (),  # type: ignore[type-arg]
        host: str = "",
        keep_alive: cython.bint = True,
        content_length: cython.Py_ssize_t = -1,
        chunked: cython.bint = False,
        expect_continue: cython.bint = False,
        scheme: str = "",
        authority: str = "",
    ) -> None:
        self.method = method
        self.target = target
        self.path = path
        self.query = query
        self.http_minor: int = http_minor
        self.fields: list[tuple[str, str]] = [] if fields is None else fields
        self.dropped: tuple[str, ...] = dropped
        self.host = host
        self.keep_alive: bool = keep_alive
        self.content_length: int = content_length
        self.chunked: bool = chunked
        self.has_body: bool = chunked or content_length > 0
        self.expect_continue: bool = expect_continue
        self.scheme = scheme
        self.authority = authority

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.target} HTTP/1.{self.http_minor}>"
