"""A socket pair that all workers of a server share, by which they give open connections to each other.

It works like one more listening socket: a worker puts a message with a descriptor in, and whichever worker takes it out
first has it (SCM_RIGHTS, unix(7)). What nobody has taken stays in the kernel, also when the worker that sent it has
ended. It never blocks; what messages mean is their senders' matter.
"""

import os
import socket
import struct

#: The longest message, in bytes; the kernel's buffer holds several of that length.
MESSAGE = 65536

# One descriptor, and the room for it in a control message.
_FD = struct.Struct("=i")
_CONTROL = socket.CMSG_LEN(_FD.size)


class Relay:
    """Both ends of the pair: every process that inherits it may send and receive. Raises OSError when made."""

    def __init__(self) -> None:
        # Whole messages, and a queue that is bounded in bytes: that of datagrams holds ten with most kernels.
        self._out, self._in = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._out.setblocking(False)
        self._in.setblocking(False)

    def fileno(self) -> int:
        """Return the descriptor that is readable when a message waits."""
        return self._in.fileno()

    def send(self, message: bytes, fd: int) -> bool:
        """Send a message, of at least one byte, with a copy of a descriptor; False if that cannot be done now.

        The queue is full, or the user has more descriptors under way than the system allows.
        """
        if len(message) > MESSAGE:
            return False
        try:
            control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, _FD.pack(fd))]
            return self._out.sendmsg([message], control, socket.MSG_NOSIGNAL) == len(message)
        except OSError:
            return False

    def receive(self) -> tuple[bytes, int] | None:
        """Take a message and its descriptor, which becomes the caller's; None if there is none.

        Raises OSError where no descriptor is left in this process; the message stays for another one.
        """
        # Without room for the descriptor the kernel would deliver the message without it.
        os.close(os.dup(self._in.fileno()))
        try:
            # Not socket.recv_fds, which drops its flags.
            message, control, _, _ = self._in.recvmsg(MESSAGE, _CONTROL, socket.MSG_CMSG_CLOEXEC)
        except (BlockingIOError, InterruptedError):
            return None
        if not message:
            return None
        if not control:
            raise OSError("a connection came without its descriptor")
        return message, _FD.unpack(control[0][2])[0]

    def close(self) -> None:
        """Close both ends in this process."""
        self._out.close()
        self._in.close()
