"""Every form of a bind address, what it becomes, and how it is written back."""

import pytest

from portway.net.addresses import Address, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8000", Address("tcp", "127.0.0.1", 8000)),
        ("localhost:80", Address("tcp", "localhost", 80)),
        ("Example.ORG:80", Address("tcp", "example.org", 80)),
        ("web_1.internal:80", Address("tcp", "web_1.internal", 80)),
        ("localhost", Address("tcp", "localhost", 8000)),
        ("10.0.0.1", Address("tcp", "10.0.0.1", 8000)),
        (":9000", Address("tcp", "0.0.0.0", 9000)),
        ("*:9000", Address("tcp", "0.0.0.0", 9000)),
        ("9000", Address("tcp", "127.0.0.1", 9000)),
        ("127.0.0.1:0", Address("tcp", "127.0.0.1", 0)),
        ("127.0.0.1:65535", Address("tcp", "127.0.0.1", 65535)),
        ("tcp://127.0.0.1:81", Address("tcp", "127.0.0.1", 81)),
        ("[::1]:9000", Address("tcp", "::1", 9000)),
        ("[::]", Address("tcp", "::", 8000)),
        ("tcp://[0:0:0:0:0:0:0:1]:9000", Address("tcp", "::1", 9000)),
        ("[fe80::1%eth0]:80", Address("tcp", "fe80::1%eth0", 80)),
        ("unix:/run/site.sock", Address("unix", path="/run/site.sock")),
        ("unix:///run/site.sock", Address("unix", path="/run/site.sock")),
        ("unix:site.sock", Address("unix", path="site.sock")),
        ("unix:@site", Address("unix", path="@site")),
        ("unix:\\0site", Address("unix", path="\0site")),
        ("unix:\0site", Address("unix", path="\0site")),
        ("fd://3", Address("fd", fd=3)),
    ],
)
def test_a_good_address(text: str, address: Address) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "empty"),
        ("http://127.0.0.1:80", "without http://"),
        ("https://127.0.0.1", "TLS"),
        ("ftp://x", "without ftp://"),
        ("::1", "brackets"),
        ("::1:80", "brackets"),
        ("1:2:3", "brackets"),
        ("[::1", "[ADDRESS]:PORT"),
        ("[::1]80", "[ADDRESS]:PORT"),
        ("[127.0.0.1]:80", "IPv6"),
        ("[]:80", "IPv6"),
        ("localhost:", "port"),
        ("localhost:http", "port"),
        ("localhost:65536", "port"),
        ("localhost:-1", "port"),
        ("localhost:+80", "port"),
        ("localhost:\u0661", "port"),
        ("70000", "port"),
        ("256.0.0.1:80", "host"),
        ("127.1:80", "host"),
        ("my host:80", "host"),
        ("-x:80", "host"),
        ("ho\u0308st:80", "host"),
        ("x\n:80", "host"),
        ("/run/site.sock", "unix:PATH"),
        ("unix:", "path"),
        ("unix:\\0", "path"),
        ("unix:/run/\0x", "NUL"),
        ("unix:/" + "x" * 107, "107 bytes"),
        ("fd://", "descriptor"),
        ("fd://x", "descriptor"),
        ("fd://-1", "descriptor"),
        ("fd://2", "standard streams"),
    ],
)
def test_a_bad_address_says_what_is_allowed(text: str, part: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_address(text)
    assert part in str(caught.value)


def test_the_longest_socket_path_is_accepted() -> None:
    path = "/" + "x" * 106
    assert parse_address(f"unix:{path}").path == path


@pytest.mark.parametrize(
    ("text", "written", "url"),
    [
        (":80", "0.0.0.0:80", "http://0.0.0.0:80"),
        ("[::1]:80", "[::1]:80", "http://[::1]:80"),
        ("unix:/run/s", "unix:/run/s", "unix:/run/s"),
        ("unix:\0s", "unix:\\0s", "unix:\\0s"),
        ("fd://4", "fd://4", "fd://4"),
    ],
)
def test_an_address_is_written_as_it_is_read(text: str, written: str, url: str) -> None:
    address = parse_address(text)
    assert str(address) == written
    assert address.url == url
    assert parse_address(str(address)) == address


def test_what_kind_it_is() -> None:
    assert parse_address("[::1]:80").ipv6
    assert not parse_address("127.0.0.1:80").ipv6
    assert parse_address("unix:\\0x").abstract
    assert not parse_address("unix:x").abstract
