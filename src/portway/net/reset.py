"""Resetting a connection whose descriptor somebody else still uses.

A socket that is shut down ends the stream in good order, and a client that was promised no length would take a cut
response for a whole one. Closing it with SO_LINGER resets it, but then its descriptor may already be another
connection's while a thread still writes to it. connect(2) with AF_UNSPEC is the third way: Linux resets the connection
and the descriptor stays. Not compiled.
"""

import ctypes
import socket

_libc = ctypes.CDLL(None, use_errno=True)
# struct sockaddr with sa_family 0, AF_UNSPEC, as large as that of an IPv4 address.
_UNSPECIFIED = bytes(16)


def reset(sock: socket.socket) -> None:
    """End a connection so that the other side knows it for cut off. Never raises; any thread.

    A Unix socket, which knows no resets, is shut down.
    """
    try:
        if sock.family != socket.AF_UNIX and _libc.connect(sock.fileno(), _UNSPECIFIED, 16) == 0:
            return
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
