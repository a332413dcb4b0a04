r"""Bind addresses: the text of `--bind` made into a value, nothing opened and nothing looked up.

`parse_address` knows the forms Gunicorn knows: HOST, HOST:PORT, :PORT, PORT, [IPV6]:PORT, tcp://HOST:PORT,
unix:PATH, unix:\0NAME (a name in Linux's abstract namespace) and fd://N (a socket that the parent process
opened). Whether a host name resolves and whether the address is free is found out when the listener is
opened.

Pure functions of their arguments; any thread may call them.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Literal

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000

# sun_path has 108 bytes, the last of them NUL (unix(7)).
_UNIX_PATH_BYTES = 107
_HOST_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?")
_FORMS = "HOST:PORT, :PORT, [IPV6]:PORT, unix:PATH or fd://N"


@dataclass(frozen=True, slots=True)
class Address:
    r"""Where to listen.

    kind: "tcp", "unix" or "fd". Only the fields of the kind mean anything:
    tcp: host (a name or an IP address, IPv6 without brackets) and port (0 lets the system choose).
    unix: path; a first character NUL makes it a name in the abstract namespace.
    fd: fd, the number of an inherited descriptor.
    """

    kind: Literal["tcp", "unix", "fd"]
    host: str = ""
    port: int = 0
    path: str = ""
    fd: int = -1

    @property
    def ipv6(self) -> bool:
        """True for a TCP address whose host is written as an IPv6 address."""
        return self.kind == "tcp" and ":" in self.host

    @property
    def abstract(self) -> bool:
        """True for a Unix socket without a file, in the abstract namespace."""
        return self.kind == "unix" and self.path.startswith("\0")

    @property
    def url(self) -> str:
        r"""How people write it: `http://127.0.0.1:8000`, `unix:/run/site.sock`, `unix:\0site`, `fd://3`."""
        return f"http://{self}" if self.kind == "tcp" else str(self)

    def __str__(self) -> str:
        if self.kind == "tcp":
            return f"[{self.host}]:{self.port}" if self.ipv6 else f"{self.host}:{self.port}"
        if self.kind == "unix":
            return "unix:" + self.path.replace("\0", "\\0", 1)
        return f"fd://{self.fd}"


def parse_address(text: str, default_port: int = DEFAULT_PORT) -> Address:
    """Return the address that the text names.

    Raises ValueError with a sentence that says what is allowed; it does not repeat the text.
    """
    if text.startswith("unix:"):
        return _unix(text.removeprefix("unix:").removeprefix("//"))
    if text.startswith("fd://"):
        return _descriptor(text.removeprefix("fd://"))
    text = text.removeprefix("tcp://")
    if "://" in text:
        scheme = text.partition("://")[0]
        if scheme == "https":
            raise ValueError("TLS is not available; write HOST:PORT and let the proxy in front speak https")
        raise ValueError(f"write it without {scheme}://, as {_FORMS}")
    if "/" in text:
        raise ValueError(f"a path is written unix:PATH; allowed is {_FORMS}")
    if not text:
        raise ValueError(f"it is empty; allowed is {_FORMS}")
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise ValueError("an IPv6 address is written [ADDRESS]:PORT")
        return Address("tcp", host=_ipv6(host), port=_port(rest[1:]) if rest else default_port)
    if text.count(":") > 1:
        raise ValueError("an IPv6 address is written [ADDRESS]:PORT, with brackets")
    host, colon, port = text.partition(":")
    if not colon and host.isascii() and host.isdigit():
        return Address("tcp", host=DEFAULT_HOST, port=_port(host))
    # As Gunicorn: no host, or a star, is every IPv4 address of the machine.
    host = "0.0.0.0" if host in ("", "*") else _host(host)  # noqa: S104 - the operator asked for it
    return Address("tcp", host=host, port=_port(port) if colon else default_port)


def _unix(path: str) -> Address:
    if path.startswith("\\0"):
        path = "\0" + path[2:]
    if path in ("", "\0"):
        raise ValueError("unix: needs a path, as unix:/run/site/portway.sock")
    if "\0" in path[1:]:
        raise ValueError("a socket's path has no NUL in it")
    if len(path.encode("utf-8", "surrogateescape")) > _UNIX_PATH_BYTES:
        raise ValueError(f"a Unix socket's path has at most {_UNIX_PATH_BYTES} bytes")
    return Address("unix", path=path)


def _descriptor(number: str) -> Address:
    if not (number.isascii() and number.isdigit()):
        raise ValueError("fd:// needs the number of an open descriptor, as fd://3")
    if int(number) < 3:
        raise ValueError(
            "descriptors 0, 1 and 2 are the standard streams; a socket is handed over as fd://3 or above"
        )
    return Address("fd", fd=int(number))


def _ipv6(host: str) -> str:
    try:
        return str(ipaddress.IPv6Address(host))
    except ValueError:
        raise ValueError("between [ and ] stands an IPv6 address, as [::1]:8000") from None


def _host(host: str) -> str:
    try:
        return str(ipaddress.IPv4Address(host))
    except ValueError:
        pass
    # Digits and dots that are no IPv4 address would be looked up as a name, and "0" or "127.1" even found.
    if not _HOST_NAME.fullmatch(host) or host.replace(".", "").isdigit():
        raise ValueError(f"the host is neither an IP address nor a host name; allowed is {_FORMS}")
    return host.lower()


def _port(port: str) -> int:
    if not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ValueError("the port is a number from 0 to 65535")
    return int(port)
