"""Why a line of the client's was refused: a second look at it, for the log, after a wrong byte was found.

Each function always raises. Not compiled, because it runs once in the life of a connection.
"""

from typing import NoReturn

from portway.http.errors import RemoteProtocolError, quoted


def refuse_first_byte(byte: bytes) -> NoReturn:
    """Refuse what cannot begin a request line. What is not HTTP often has no line end to wait for."""
    if byte == b"\x16":
        raise RemoteProtocolError(400, "a TLS handshake where a request line was expected")
    raise RemoteProtocolError(400, f"request line begins with {quoted(byte)}")


def refuse_version(version: bytes) -> NoReturn:
    """Refuse the end of a request line: 505 for a version this server does not speak, 400 for no version."""
    if (
        len(version) == 8
        and version.startswith(b"HTTP/")
        and version[5:6].isdigit()
        and version[6:7] == b"."
        and version[7:8].isdigit()
    ):
        raise RemoteProtocolError(505, f"version {quoted(version)} is not supported")
    raise RemoteProtocolError(400, f"malformed version {quoted(version)}")


def refuse_field_line(line: bytes, at: int) -> NoReturn:
    """Refuse a field line whose name, which ends at `at`, is empty or not followed by a colon."""
    if line.startswith((b" ", b"\t")):
        raise RemoteProtocolError(400, f"folded field line {quoted(line)}")
    if at == len(line):
        raise RemoteProtocolError(400, f"field line without a colon {quoted(line)}")
    if line.startswith(b":"):
        raise RemoteProtocolError(400, f"field line without a name {quoted(line)}")
    raise RemoteProtocolError(400, f"{quoted(line[at : at + 1])} in the name of field line {quoted(line)}")


def refuse_value(name: str, byte: bytes) -> NoReturn:
    """Refuse a field value because of one byte in it."""
    raise RemoteProtocolError(400, f"{quoted(byte)} in the value of field {quoted(name)}")
