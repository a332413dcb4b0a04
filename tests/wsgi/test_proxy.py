"""Trusted peers and what they say of their clients."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway.wsgi.proxy import (
    TrustedPeers,
    forwarded_port,
    forwarded_scheme,
    is_forwarding_field,
)


class TestTrust:
    @pytest.mark.parametrize(
        ("spec", "address", "trusted"),
        [
            ("127.0.0.1", "127.0.0.1", True),
            ("127.0.0.1", "127.0.0.2", False),
            ("127.0.0.1, ::1", "::1", True),
            (["127.0.0.1", "10.0.0.0/8"], "10.255.0.1", True),
            ("10.0.0.0/8", "11.0.0.1", False),
            ("10.1.2.3/8", "10.9.9.9", True),
            ("2001:db8::/32", "2001:db8:1::5", True),
            ("2001:db8::/32", "2001:db9::5", False),
            # A socket that takes both families gives IPv4 clients as IPv4-mapped.
            ("10.0.0.0/8", "::ffff:10.0.0.1", True),
            ("10.0.0.0/8", "::ffff:11.0.0.1", False),
            ("::ffff:10.0.0.0/104", "10.0.0.1", True),
            ("::ffff:10.0.0.1", "10.0.0.1", True),
            ("fe80::/10", "fe80::1%eth0", True),
            ("*", "203.0.113.5", True),
            ("*", "anything", True),
            ("", "127.0.0.1", False),
            ((), "127.0.0.1", False),
            ("", "", True),
            ("10.0.0.0/8", "", True),
            ("10.0.0.0/8", "not an address", False),
        ],
    )
    def test_addresses_and_networks(self, spec, address, trusted):
        peers = TrustedPeers(spec)
        assert peers.trusts(address) is trusted
        assert peers.trusts(address) is trusted

    @pytest.mark.parametrize("entry", ["10.0.0.0/33", "example.com", "10.0.0", "10.0.0.1:80", "**", "[::1]"])
    def test_anything_else_is_refused_by_name(self, entry):
        with pytest.raises(ValueError, match="neither an IP address") as caught:
            TrustedPeers(["127.0.0.1", entry])
        assert repr(entry) in str(caught.value)

    def test_many_peers_do_not_fill_the_memory(self):
        peers = TrustedPeers("10.0.0.0/8")
        for number in range(5000):
            peers.trusts(f"192.0.{number // 256}.{number % 256}")
            peers.client(f"192.0.{number // 256}.{number % 256}")
        assert len(peers._trusts) <= 1024
        assert len(peers._clients) <= 1024

    def test_it_is_written_as_it_was_given(self):
        assert str(TrustedPeers("127.0.0.1, ::1,10.0.0.0/8")) == "127.0.0.1,::1,10.0.0.0/8"
        assert repr(TrustedPeers("*")) == "<TrustedPeers *>"


PROXIES = TrustedPeers("10.0.0.0/8,2001:db8:ffff::/48")


class TestForwardedFor:
    @pytest.mark.parametrize(
        ("value", "address", "port", "hops"),
        [
            ("203.0.113.5", "203.0.113.5", "", 1),
            (" 203.0.113.5\t", "203.0.113.5", "", 1),
            # A proxy of ours on the way: the address to its left is the client's.
            ("203.0.113.5, 10.0.0.2", "203.0.113.5", "", 2),
            ("203.0.113.5,10.0.0.2,10.0.0.3", "203.0.113.5", "", 3),
            # What the client wrote itself is not looked at.
            ("1.1.1.1, 203.0.113.5", "203.0.113.5", "", 1),
            ("1.1.1.1, 10.0.0.9, 203.0.113.5, 10.0.0.2", "203.0.113.5", "", 2),
            ("garbage, 203.0.113.5", "203.0.113.5", "", 1),
            ("127.0.0.1, 203.0.113.5", "203.0.113.5", "", 1),
            # All of them ours: the request began at the leftmost.
            ("10.0.0.1, 10.0.0.2", "10.0.0.1", "", 2),
            # A malformed entry ends what can be believed.
            ("garbage, 10.0.0.2", "10.0.0.2", "", 1),
            ("203.0.113.5, unknown, 10.0.0.2", "10.0.0.2", "", 1),
            ("203.0.113.5,, 10.0.0.2", "10.0.0.2", "", 1),
            ("unknown", "", "", 0),
            ("", "", "", 0),
            (",", "", "", 0),
            ("203.0.113.5,", "", "", 0),
            ("203.0.113.5 10.0.0.2", "", "", 0),
            # Ports and brackets, as Azure and others write them.
            ("203.0.113.5:4711", "203.0.113.5", "4711", 1),
            ("203.0.113.5:99999", "203.0.113.5", "", 1),
            ("203.0.113.5:0", "203.0.113.5", "", 1),
            ("2001:db8::5", "2001:db8::5", "", 1),
            ("2001:DB8:0:0::5", "2001:db8::5", "", 1),
            ("[2001:db8::5]", "2001:db8::5", "", 1),
            ("[2001:db8::5]:4711", "2001:db8::5", "4711", 1),
            ("203.0.113.5, [2001:db8:ffff::1]:80", "203.0.113.5", "", 2),
            ("::ffff:203.0.113.5", "203.0.113.5", "", 1),
            ("203.0.113.5, ::ffff:10.0.0.1", "203.0.113.5", "", 2),
            ("[203.0.113.5]", "", "", 0),
            ("[2001:db8::5", "", "", 0),
            ("[2001:db8::5]x", "", "", 0),
            ("2001:db8::5%eth0", "", "", 0),
            ("fe80::1%<script>", "", "", 0),
            # Octets with leading zeros mean different things to different programs.
            ("203.0.113.010", "", "", 0),
            ("0x7f.1", "", "", 0),
            ("2130706433", "", "", 0),
            # Nginx writes it for a peer on a Unix socket.
            ("203.0.113.5, unix:", "203.0.113.5", "", 2),
            ("unix:", "", "", 0),
        ],
    )
    def test_is_walked_from_the_right(self, value, address, port, hops):
        assert PROXIES.client(value) == (address, port, hops)
        assert PROXIES.client(value) == (address, port, hops)

    def test_with_a_star_the_rightmost_is_the_client(self):
        assert TrustedPeers("*").client("1.1.1.1, 203.0.113.5").address == "203.0.113.5"

    def test_with_a_star_and_networks_these_are_gone_through(self):
        assert TrustedPeers("*,10.0.0.0/8").client("1.1.1.1, 203.0.113.5, 10.0.0.1").address == "203.0.113.5"

    @given(st.text(alphabet="0123456789abcdef.:,[]% \tunixUNIX-_<>\"'", max_size=80))
    def test_whatever_it_says_the_result_is_an_address_or_nothing(self, value):
        address, port, hops = PROXIES.client(value)
        if address:
            assert str(ipaddress.ip_address(address)) == address
            assert 1 <= hops <= value.count(",") + 1
        else:
            assert (port, hops) == ("", 0)
        assert port == "" or 0 < int(port) < 65536

    @given(st.text(max_size=40))
    def test_nor_does_any_other_text_raise(self, value):
        PROXIES.client(value)
        PROXIES.trusts(value)
        forwarded_scheme(value, 3)
        forwarded_port(value)

    @given(
        client=st.ip_addresses(),
        forged=st.lists(st.text(alphabet="0123456789.:,unix ", max_size=20), max_size=4),
    )
    def test_a_client_cannot_change_its_address_by_what_it_sends(self, client, forged):
        """The proxy appends the address it sees to whatever the client sent."""
        if PROXIES.trusts(str(client)):
            return
        value = ", ".join([*forged, str(client)])
        expected = getattr(client, "ipv4_mapped", None) or client
        if "%" not in str(client):
            assert PROXIES.client(value).address == str(expected)

    def test_a_long_list_is_no_work_for_the_cache(self):
        peers = TrustedPeers("10.0.0.0/8")
        assert peers.client(", ".join(["10.0.0.1"] * 500)).hops == 500
        assert len(peers._clients) == 0


@pytest.mark.parametrize(
    ("value", "hops", "scheme"),
    [
        ("https", 0, "https"),
        ("http", 1, "http"),
        (" HTTPS ", 1, "https"),
        ("ftp", 1, ""),
        ("wss", 1, ""),
        ("", 1, ""),
        ("https\u00a0", 1, ""),
        ("https;", 1, ""),
        # Lists: the entry of the proxy that wrote the client's address.
        ("https,http", 0, "http"),
        ("https,http", 1, "http"),
        ("https, http", 2, "https"),
        ("https,http", 5, "https"),
        ("ftp,https,http", 2, "https"),
        ("https,", 1, ""),
    ],
)
def test_scheme(value, hops, scheme):
    assert forwarded_scheme(value, hops) == scheme


@pytest.mark.parametrize(
    ("value", "port"),
    [
        ("443", "443"),
        (" 8443 ", "8443"),
        ("0443", "443"),
        ("8443, 443", "443"),
        ("0", ""),
        ("65535", "65535"),
        ("65536", ""),
        ("-1", ""),
        ("4 43", ""),
        ("\u0664\u0664\u0663", ""),
        ("\u00b2", ""),
        ("", ""),
        ("9" * 1000, ""),
    ],
)
def test_port(value, port):
    assert forwarded_port(value) == port


@pytest.mark.parametrize(
    ("name", "forwarding"),
    [
        ("x-forwarded-for", True),
        ("x-forwarded-anything", True),
        ("forwarded", True),
        ("x-real-ip", True),
        ("cf-connecting-ip", True),
        ("x-forwarding", False),
        ("host", False),
        ("x-request-id", False),
    ],
)
def test_forwarding_fields(name, forwarding):
    assert is_forwarding_field(name) is forwarding
