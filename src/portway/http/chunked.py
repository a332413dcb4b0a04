"""Chunk-size lines of the chunked coding (RFC 9112 section 7.1). Knows one line at a time; the parser has the rest."""

try:
    import cython
except ModuleNotFoundError:
    from portway import _cython as cython

from portway.http import grammar
from portway.http.errors import RemoteProtocolError, quoted


def is_compiled() -> bool:
    """Say which form of this module was loaded."""
    return bool(cython.compiled)


# A size that would need more than 60 bits becomes _ENORMOUS, which is larger than any limit.
_LARGE = cython.declare(cython.Py_ssize_t, 2**56)
_ENORMOUS = cython.declare(cython.Py_ssize_t, 2**62 + 1)

#: Digits of a size, leading zeros among them: as many as 64 bits have.
MAX_DIGITS = 16


@cython.cclass
class ChunkSizeReader:
    """Reads the chunk-size lines of one body after the other and counts the bytes of their extensions."""

    _max_extensions: cython.Py_ssize_t
    _extensions: cython.Py_ssize_t

    def __init__(self, max_extensions: cython.Py_ssize_t) -> None:
        """Make a reader that allows `max_extensions` bytes of extensions in each body."""
        self._max_extensions = max_extensions
        self._extensions = 0

    def reset(self) -> None:
        """Begin with another body."""
        self._extensions = 0

    def read(self, line: bytes) -> int:
        """Return the size that `1*HEXDIG [chunk-ext]`, a line without its CRLF, gives; 2**62 + 1 if it is above 2**60.

        Hexadecimal digits and nothing else: no sign, no prefix, no white space. Extensions are checked and forgotten.
        Raises RemoteProtocolError (400).
        """
        size: cython.Py_ssize_t = 0
        at: cython.Py_ssize_t = 0
        end: cython.Py_ssize_t = len(line)
        digit: cython.int
        while at < end:
            digit = line[at]
            if 0x30 <= digit <= 0x39:
                digit -= 0x30
            elif 0x41 <= digit <= 0x46:
                digit -= 0x37
            elif 0x61 <= digit <= 0x66:
                digit -= 0x57
            else:
                break
            size = size * 16 + digit if size < _LARGE else _ENORMOUS
            at += 1
        if at == 0 or at > MAX_DIGITS:
            raise RemoteProtocolError(400, f"malformed chunk size {quoted(line)}")
        if at != end:
            if grammar.CHUNK_EXTENSIONS.fullmatch(line, at) is None:
                raise RemoteProtocolError(400, f"malformed chunk-size line {quoted(line)}")
            self._extensions += end - at
            if self._extensions > self._max_extensions:
                raise RemoteProtocolError(400, f"more than {self._max_extensions} bytes of chunk extensions")
        return size
