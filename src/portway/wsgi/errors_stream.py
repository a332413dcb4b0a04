"""`wsgi.errors` (PEP 3333): what an application writes there goes where the server's own messages go.

So it is in the error log's file and format, and follows when that file is reopened. Any thread may write.
"""

import io
import logging

log = logging.getLogger("portway.error")


class ErrorsStream(io.TextIOBase):
    """A text stream of which each write is one record of the error log.

    It holds nothing back: a text without a line end is a record too. An empty line is none, so that print(),
    which writes the text and the line end separately, makes one record.
    """

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, text: str, /) -> int:
        """Log the text at the level ERROR; return its length. Raises TypeError for anything but str."""
        if not isinstance(text, str):
            raise TypeError(f"wsgi.errors is a text stream: it takes str, not {type(text).__name__}")
        message = text.rstrip("\r\n")
        if message:
            log.error("%s", message)
        return len(text)

    def close(self) -> None:
        """Do nothing: the stream is every request's, and PEP 3333 forbids applications to close it."""
