"""Listening sockets: bound or adopted by the supervisor, accepted on by the workers.

`open_listeners` is called in the supervisor before the first fork and again when a reload brings other
addresses. A worker uses `Listener.socket` and closes its copy when it drains. Whoever closes a copy changes
nothing for the others; only `remove`, for the supervisor, takes the file of a Unix socket away.

Nothing here accepts, logs or knows settings.
"""

import errno
import os
import socket
import stat
from collections.abc import Mapping, Sequence

from portway.net.addresses import Address

#: Where systemd's socket activation begins to number descriptors (sd_listen_fds(3)).
FIRST_ACTIVATED = 3


class BindError(Exception):
    """An address cannot be listened on; str() says which, why, and what to do about it."""


class Listener:
    """A socket that is listening, non-blocking, and closed by exec.

    address: what was asked for. url: where it really is, with the port that the system chose. socket: to
    accept on. shared: another server listens on it too, so its file stays whatever becomes of this one.
    """

    def __init__(self, address: Address, sock: socket.socket) -> None:
        self.address = address
        self.socket = sock
        self.url = _url(sock)
        self.shared = False
        self._file = _identity(address.path) if address.kind == "unix" and not address.abstract else None

    def __repr__(self) -> str:
        return f"<Listener {self.url}{'' if self.socket.fileno() >= 0 else ' closed'}>"

    @property
    def port(self) -> int:
        """The TCP port, 0 for a Unix socket."""
        name = self.socket.getsockname()
        return name[1] if isinstance(name, tuple) else 0

    def close(self) -> None:
        """Close this process's copy; the address goes on being served as long as another process has one."""
        self.socket.close()

    def remove(self) -> None:
        """Take away the file of a Unix socket, if it is still the one that was made here and not shared."""
        if self.shared:
            return
        if self._file is not None and _identity(self.address.path) == self._file:
            try:
                os.unlink(self.address.path)
            except OSError:
                pass
        self._file = None


def open_listeners(
    addresses: Sequence[Address],
    backlog: int = 2048,
    umask: int = 0,
    owner: tuple[int, int] | None = None,
) -> list[Listener]:
    """Open a listener for each address, in order; all of them or, raising BindError, none.

    backlog: how many connections may wait (the kernel's net.core.somaxconn is a bound too). umask: the mode
    bits that the file of a Unix socket does not get. owner: (user id, group id) for that file, -1 to leave
    one as it is.
    """
    listeners: list[Listener] = []
    try:
        for address in addresses:
            listeners.append(Listener(address, _open(address, addresses, backlog, umask, owner)))
    except BaseException:
        for listener in listeners:
            listener.close()
            listener.remove()
        raise
    return listeners


def activated_addresses(environ: Mapping[str, str], pid: int) -> list[Address]:
    """Return the sockets that systemd opened for this process (sd_listen_fds(3)), none where it did not."""
    count = environ.get("LISTEN_FDS", "")
    if environ.get("LISTEN_PID") != str(pid) or not count.isdigit():
        return []
    return [Address("fd", fd=FIRST_ACTIVATED + index) for index in range(int(count))]


def inherit_listener(address: Address, fd: int) -> Listener:
    """Return the listener for a descriptor that another server, which serves on it still, has handed over.

    address: what that one was asked to listen on. Raises BindError if the descriptor is no listening socket.
    """
    listener = Listener(address, _adopt(Address("fd", fd=fd)))
    listener.shared = True
    return listener


def _open(
    address: Address,
    others: Sequence[Address],
    backlog: int,
    umask: int,
    owner: tuple[int, int] | None,
) -> socket.socket:
    if address.kind == "fd":
        return _adopt(address)
    if address.kind == "tcp":
        sock = _bind_tcp(address, others)
    else:
        sock = _bind_unix(address, umask, owner)
    try:
        sock.listen(backlog)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise BindError(_explain(address, error)) from error
    return sock


def _bind_tcp(address: Address, others: Sequence[Address]) -> socket.socket:
    try:
        found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise BindError(
            f"Cannot listen on {address}: the host name cannot be found ({error.strerror}). "
            "Use an address of this machine, 127.0.0.1, or 0.0.0.0 for all."
        ) from error
    # As Gunicorn, a name that has both is bound by its IPv4 address.
    family, kind, protocol, _, where = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    try:
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise BindError(_explain(address, error)) from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6 and any(
            other.kind == "tcp" and not other.ipv6 and other.port == address.port for other in others
        ):
            # Otherwise [::] takes the IPv4 address as well, and whichever comes second is in use.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(where)
    except OSError as error:
        sock.close()
        raise BindError(_explain(address, error)) from error
    return sock


def _bind_unix(address: Address, umask: int, owner: tuple[int, int] | None) -> socket.socket:
    if not address.abstract:
        _remove_stale(address)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(umask)
    try:
        sock.bind(address.path)
    except OSError as error:
        sock.close()
        raise BindError(_explain(address, error)) from error
    finally:
        os.umask(before)
    if owner is not None and not address.abstract:
        try:
            os.chown(address.path, *owner)
        except OSError as error:
            sock.close()
            os.unlink(address.path)
            raise BindError(_explain(address, error)) from error
    return sock


def _remove_stale(address: Address) -> None:
    """Take away what a server that was killed left behind; a socket that somebody listens on stays."""
    try:
        mode = os.lstat(address.path).st_mode
    except OSError:
        return
    if not stat.S_ISSOCK(mode):
        raise BindError(
            f"Cannot listen on {address}: there is a file of this name that is not a socket. "
            "Remove it, or choose another path with --bind."
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        error = probe.connect_ex(address.path)
    if error != errno.ECONNREFUSED:
        # Connected, or refused for another reason than that nobody is there (EAGAIN: its backlog is full).
        raise BindError(_explain(address, OSError(errno.EADDRINUSE, "")))
    try:
        os.unlink(address.path)
    except FileNotFoundError:
        pass
    except OSError as error_:
        raise BindError(_explain(address, error_)) from error_


def _adopt(address: Address) -> socket.socket:
    """Take over a descriptor that the parent process opened, bound and perhaps set to listen."""
    try:
        sock = socket.socket(fileno=address.fd)
    except OSError as error:
        why = "it is not open" if error.errno == errno.EBADF else "it is not a socket"
        raise BindError(
            f"Cannot listen on {address}: {why}. "
            "The process that starts Portway must open it, bind it and pass it on."
        ) from error
    stream = sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_STREAM
    if not stream or not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        sock.detach()
        raise BindError(
            f"Cannot listen on {address}: it is {'not listening' if stream else 'no stream socket'}. "
            "In a systemd socket unit use ListenStream= with Accept=no."
        )
    sock.set_inheritable(False)
    sock.setblocking(False)
    return sock


def _explain(address: Address, error: OSError) -> str:
    """Return the sentence for an error of socket(2), bind(2) or listen(2), with what to do about it."""
    begin = f"Cannot listen on {address}: "
    if error.errno == errno.EADDRINUSE:
        show = f"`ss -ltnp sport = :{address.port}`" if address.kind == "tcp" else "`ss -lxp`"
        return (
            f"{begin}the address is in use. Stop the process that listens there ({show} shows it), "
            "or choose another address with --bind."
        )
    if error.errno in (errno.EACCES, errno.EPERM) and address.kind == "tcp":
        return (
            f"{begin}permission denied; ports below {_first_free_port()} are for root. Use a higher port, "
            "or give the right by CAP_NET_BIND_SERVICE (AmbientCapabilities= in a systemd unit)."
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{begin}permission denied; this user may not make files in its folder."
    if error.errno == errno.ENOENT:
        return f"{begin}its folder does not exist."
    if error.errno == errno.EADDRNOTAVAIL:
        return (
            f"{begin}no network interface of this machine has this address. "
            "Use 127.0.0.1, or 0.0.0.0 or [::] for all of them."
        )
    if error.errno == errno.EAFNOSUPPORT:
        return f"{begin}this machine has no {'IPv6' if address.ipv6 else 'such network'}."
    return f"{begin}{error.strerror or error}."


def _first_free_port() -> int:
    try:
        with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 1024


def _url(sock: socket.socket) -> str:
    """Return where a socket is, as people write it."""
    name = sock.getsockname()
    if isinstance(name, tuple):
        return Address("tcp", host=name[0], port=name[1]).url
    if isinstance(name, bytes):
        # The abstract namespace; the text after the NUL is the name.
        name = "\0" + name[1:].decode("utf-8", "surrogateescape")
    return Address("unix", path=name).url


def _identity(path: str) -> tuple[int, int, int] | None:
    """Return what tells a file from another of the same name; None if there is none."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    # The number of an inode is given to the next file at once; the time of making tells the two apart.
    return found.st_dev, found.st_ino, found.st_mtime_ns
