"""Which peers may say who the client is, and what they say: X-Forwarded-For and X-Forwarded-Proto.

A reverse proxy tells in header fields whom it speaks for. Anybody can send such fields, so they count only
from the peers named by --forwarded-allow-ips, and from Unix sockets, which only this machine's own processes
can reach. From everybody else they are removed before the application can see them.

FORWARDING_FIELDS and the prefix x-forwarded- are what is removed. Of these the server itself reads three:

- X-Forwarded-For gives REMOTE_ADDR. Each proxy appends the address that it was spoken to from, so the list
  is walked from its right end: as long as an address is itself a trusted proxy, the one to the left of it is
  vouched for. What stands further left the client may have written itself, and is not looked at.
- X-Forwarded-Proto gives wsgi.url_scheme, X-Forwarded-Port SERVER_PORT.

From trusted peers all the fields stay in environ, for applications that read them (Django:
SECURE_PROXY_SSL_HEADER, USE_X_FORWARDED_HOST). What is malformed is ignored, not answered with 400: what
stands to the left of the last trusted proxy is the client's own doing, and a fallback to the nearest address
that is known is always safe.

Pure functions of their arguments, apart from bounded caches; any thread may call them.
"""

import ipaddress
from collections.abc import Iterable
from typing import NamedTuple

#: Fields, in lower case, by which a proxy speaks of its client. Those named x-forwarded-... are others.
FORWARDING_FIELDS = frozenset(
    {
        "cf-connecting-ip",
        "client-ip",
        "fastly-client-ip",
        "forwarded",
        "front-end-https",
        "true-client-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-forwarded",
        "x-original-forwarded-for",
        "x-original-host",
        "x-original-proto",
        "x-original-url",
        "x-proxyuser-ip",
        "x-real-ip",
        "x-rewrite-url",
        "x-scheme",
        "x-url-scheme",
    }
)

# How many results a cache holds before it is emptied, and how many characters a text in it may have.
_CACHED = 1024
_CACHED_LENGTH = 256

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_forwarding_field(name: str) -> bool:
    """Return True for a field, by its name in lower case, that only a trusted peer may send."""
    return name in FORWARDING_FIELDS or name.startswith("x-forwarded-")


class Client(NamedTuple):
    """Whom a request comes from. address: "" where nothing is known. port: "" where it is not known.

    hops: how many entries of X-Forwarded-For were gone through, counted from the right; 0 for none.
    """

    address: str
    port: str
    hops: int


class TrustedPeers:
    """The peers whose forwarding fields count."""

    def __init__(self, spec: Iterable[str] | str = ()) -> None:
        """Take IP addresses and networks ("10.0.0.0/8"), as a list or separated by commas.

        "*" trusts every peer. It says nothing of the addresses in X-Forwarded-For: with "*" alone the client
        is the rightmost one, which the nearest proxy wrote; a chain of proxies is "*" and the networks of the
        inner ones.

        Raises ValueError with a sentence naming the entry that is neither.
        """
        entries = spec.split(",") if isinstance(spec, str) else spec
        self.anyone = False
        self.networks: list[_Network] = []
        for entry in (text.strip() for text in entries):
            if entry == "*":
                self.anyone = True
            elif entry:
                self.networks.append(_network(entry))
        self._trusts: dict[str, bool] = {}
        self._clients: dict[str, Client] = {}

    def __repr__(self) -> str:
        return f"<TrustedPeers {self}>"

    def __str__(self) -> str:
        names = ["*"] if self.anyone else []
        names += [str(net.network_address if net.num_addresses == 1 else net) for net in self.networks]
        return ",".join(names)

    def trusts(self, address: str) -> bool:
        """Return True if the peer's forwarding fields count.

        address: as the socket gives it, "" for a Unix socket.
        """
        trusted = self._trusts.get(address)
        if trusted is None:
            trusted = not address or self.anyone or self._is_proxy(_parsed(address))
            if len(self._trusts) >= _CACHED:
                self._trusts.clear()
            self._trusts[address] = trusted
        return trusted

    def client(self, forwarded_for: str) -> Client:
        """Return the client that a trusted peer speaks for; forwarded_for: the value of X-Forwarded-For.

        The address is the canonical form of an IP address: IPv6 without brackets, IPv4-mapped as IPv4. It is
        "" if not even the rightmost entry is one. "unix:", which Nginx writes for a Unix socket, is a trusted
        hop.
        """
        client = self._clients.get(forwarded_for)
        if client is None:
            client = self._walk(forwarded_for)
            if len(forwarded_for) <= _CACHED_LENGTH:
                if len(self._clients) >= _CACHED:
                    self._clients.clear()
                self._clients[forwarded_for] = client
        return client

    def address_of(self, peer: object, fields: Iterable[tuple[str, str]]) -> str:
        """Return the client's address for a log: REMOTE_ADDR as environ would have it.

        peer: the other end of the connection as the socket module has it. fields: (name in lower case, value)
        of the request.
        """
        address = str(peer[0]) if isinstance(peer, tuple) else ""
        if self.trusts(address):
            forwarded = [value for name, value in fields if name == "x-forwarded-for"]
            if forwarded:
                return self.client(",".join(forwarded)).address or address
        return address

    def _walk(self, forwarded_for: str) -> Client:
        client = Client("", "", 0)
        hops = 0
        for entry in reversed(forwarded_for.split(",")):
            hops += 1
            text = entry.strip(" \t")
            if text == "unix:":
                continue
            address, port = _address_and_port(text)
            if address is None:
                break
            client = Client(str(address), port, hops)
            if not self._is_proxy(address):
                break
        return client

    def _is_proxy(self, address: _Address | None) -> bool:
        return address is not None and any(address in network for network in self.networks)


def forwarded_scheme(value: str, hops: int) -> str:
    """Return "http" or "https" from the value of X-Forwarded-Proto, "" where it says neither.

    hops: those of the client found in X-Forwarded-For. Proxies that append to the one field append to the
    other, so of a list that entry counts which the same proxy wrote; the rightmost without X-Forwarded-For.
    """
    if "," in value:
        entries = value.split(",")
        value = entries[max(len(entries) - max(hops, 1), 0)]
    value = value.strip(" \t").lower()
    return value if value in ("http", "https") else ""


def forwarded_port(value: str) -> str:
    """Return the port (1 to 65535) from the value of X-Forwarded-Port in decimal, "" if it is none."""
    value = value.rpartition(",")[2].strip(" \t")
    return _port(value)


def _port(text: str) -> str:
    if text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) < 65536:
        return str(int(text))
    return ""


def _network(text: str) -> _Network:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(
            f"{text!r} is neither an IP address, nor a network such as 10.0.0.0/8, nor *"
        ) from None
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.IPv4Network((mapped, network.prefixlen - 96))
    return network


def _parsed(text: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _address_and_port(text: str) -> tuple[_Address | None, str]:
    """Take apart 192.0.2.1, 192.0.2.1:4711, 2001:db8::1, [2001:db8::1] and [2001:db8::1]:4711."""
    port = ""
    if text.startswith("["):
        text, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")) or ":" not in text:
            return None, ""
        port = rest[1:]
    elif text.count(":") == 1:
        text, _, port = text.partition(":")
    # A zone ("%eth0") may be any text at all, and means nothing on another machine.
    if "%" in text:
        return None, ""
    return _parsed(text), _port(port)
