"""How much of everything a client may send. One frozen value, shared by all connections of a worker."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one request, in bytes unless said otherwise.

    A line is measured without its CRLF. Something exactly as large as its limit is accepted. Where 0 is said
    to mean no limit of its own, `head` still bounds it.
    """

    #: The request line; beyond it 414. Gunicorn's limit_request_line and its default. 0: no limit of its own.
    request_line: int = 4094
    #: Number of field lines, also of those that are dropped; beyond it 431. Gunicorn's limit_request_fields.
    #: 0: no limit of its own.
    fields: int = 100
    #: One field line, name and value; beyond it 431. Gunicorn's limit_request_field_size. 0: no limit of
    #: its own.
    field_size: int = 8190
    #: The whole head with its line ends, and again the whole trailer section; beyond it 431 (414 in the
    #: request line). 64 KiB: four times what Node.js and Nginx's large buffers take, a tenth of what `fields`
    #: times `field_size` would allow one connection to occupy.
    head: int = 65536
    #: Empty lines before a request line; beyond it 400. RFC 9112 section 2.2 wants at least one tolerated,
    #: for clients that end a body with an extra CRLF.
    empty_lines: int = 4
    #: The body, chunked or not, after removal of the chunked coding; beyond it 413. 100 MiB. 0: no limit.
    body: int = 104857600
    #: One chunk-size line with its extensions; beyond it 400. Extensions carry nothing this server reads.
    chunk_line: int = 256
    #: All chunk extensions of one body together; beyond it 400. Otherwise one-byte chunks could make a
    #: client's upload hundreds of times larger than the body it counts as.
    chunk_extensions: int = 4096
    #: Number of trailer field lines; beyond it 431. Trailers are checked, and never merged into the head.
    trailers: int = 32

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**62:
                raise ValueError(f"{field.name} must be a whole number from 0 to 2**62 - 1, not {value!r}")
        if self.head < 64:
            raise ValueError(f"head must be at least 64 bytes, not {self.head}")
