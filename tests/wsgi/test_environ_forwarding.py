"""environ: what a proxy may say about the client, and what nobody else may."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway.wsgi.environ import EnvironBuilder
from portway.wsgi.proxy import FORWARDING_FIELDS, TrustedPeers

FORWARDED = ("X-Forwarded-For: 203.0.113.5", "X-Forwarded-Proto: https", "X-Forwarded-Host: public.example")


class TestForwarding:
    def test_a_trusted_peer_says_who_the_client_is(self, build, get):
        environ = build(get("/", *FORWARDED), trusted=TrustedPeers("192.0.2.7"))
        assert environ["REMOTE_ADDR"] == "203.0.113.5"
        assert "REMOTE_PORT" not in environ
        assert environ["wsgi.url_scheme"] == "https"
        assert environ["SERVER_PORT"] == "443"
        assert environ["SERVER_NAME"] == "192.0.2.1"

    def test_the_fields_of_a_trusted_peer_stay_for_the_application(self, build, get):
        environ = build(get("/", *FORWARDED, "X-Real-IP: 203.0.113.5"), trusted=TrustedPeers("192.0.2.7"))
        assert environ["HTTP_X_FORWARDED_FOR"] == "203.0.113.5"
        assert environ["HTTP_X_FORWARDED_PROTO"] == "https"
        assert environ["HTTP_X_FORWARDED_HOST"] == "public.example"
        assert environ["HTTP_X_REAL_IP"] == "203.0.113.5"
        # Which host counts is the application's decision (Django: USE_X_FORWARDED_HOST).
        assert environ["HTTP_HOST"] == "example.com"

    def test_a_peer_on_a_unix_socket_is_trusted(self, build, get):
        environ = build(get("/", *FORWARDED), peer="", local="/run/x")
        assert (environ["REMOTE_ADDR"], environ["wsgi.url_scheme"]) == ("203.0.113.5", "https")
        assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("example.com", "443")

    @pytest.mark.parametrize(
        "name", sorted(FORWARDING_FIELDS | {"x-forwarded-for", "x-forwarded-new-invention"})
    )
    def test_what_anybody_else_says_is_dropped(self, build, get, error_log, name):
        environ = build(get("/", f"{name}: https", "X-Kept: 1"), trusted=TrustedPeers("10.0.0.0/8"))
        assert "HTTP_" + name.upper().replace("-", "_") not in environ
        assert "https" not in environ.values()
        assert environ["HTTP_X_KEPT"] == "1"
        assert environ["REMOTE_ADDR"] == "192.0.2.7"
        assert environ["REMOTE_PORT"] == "4711"
        assert environ["wsgi.url_scheme"] == "http"
        assert environ["SERVER_PORT"] == "8000"

    def test_the_first_drop_is_logged_once_with_peer_and_setting(self, build, get, error_log):
        builder = EnvironBuilder(trusted=TrustedPeers("127.0.0.1,::1"))
        build(get("/", "User-Agent: x"), builder=builder)
        assert error_log.records == []
        for _ in range(3):
            build(get("/", *FORWARDED), builder=builder)
        [record] = error_log.records
        assert record.levelno == logging.WARNING
        assert record.getMessage() == (
            "Dropped the field x-forwarded-for sent by 192.0.2.7, which is not in --forwarded-allow-ips "
            "(127.0.0.1,::1). If this is your proxy, add its address there. This is said once."
        )

    def test_nobody_is_trusted_without_being_named(self, build, get, error_log):
        assert build(get("/", *FORWARDED), peer=("127.0.0.1", 1))["REMOTE_ADDR"] == "127.0.0.1"

    def test_lists_and_repeated_fields_are_one_list(self, build, get):
        environ = build(
            get("/", "X-Forwarded-For: 1.1.1.1, 203.0.113.5", "X-Forwarded-For: 192.0.2.8"),
            trusted=TrustedPeers("192.0.2.0/24"),
        )
        assert environ["REMOTE_ADDR"] == "203.0.113.5"
        assert environ["HTTP_X_FORWARDED_FOR"] == "1.1.1.1, 203.0.113.5,192.0.2.8"

    def test_a_port_that_came_with_the_address(self, build, get):
        environ = build(get("/", "X-Forwarded-For: 203.0.113.5:99"), trusted=TrustedPeers("*"))
        assert (environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == ("203.0.113.5", "99")

    @pytest.mark.parametrize("value", ["unknown", "", "_hidden", "1.2.3", "evil\u00ff", "<script>"])
    def test_a_malformed_address_is_ignored(self, build, get, value):
        environ = build(get("/", f"X-Forwarded-For: {value}"), trusted=TrustedPeers("*"))
        assert (environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == ("192.0.2.7", "4711")

    @pytest.mark.parametrize("value", ["ftp", "", "https evil", "javascript:"])
    def test_a_malformed_scheme_is_ignored(self, build, get, value):
        environ = build(get("/", f"X-Forwarded-Proto: {value}"), trusted=TrustedPeers("*"))
        assert (environ["wsgi.url_scheme"], environ["SERVER_PORT"]) == ("http", "8000")

    def test_a_scheme_is_one_in_lower_case(self, build, get):
        assert (
            build(get("/", "X-Forwarded-Proto: HTTPS"), trusted=TrustedPeers("*"))["wsgi.url_scheme"]
            == "https"
        )

    @pytest.mark.parametrize(
        ("fields", "host", "port"),
        [
            (["X-Forwarded-Proto: https"], "example.com", "443"),
            (["X-Forwarded-Proto: http"], "example.com", "80"),
            (["X-Forwarded-Proto: https"], "example.com:8443", "8443"),
            (["X-Forwarded-Proto: https"], "[2001:db8::1]", "443"),
            (["X-Forwarded-Proto: https", "X-Forwarded-Port: 444"], "example.com:8443", "444"),
            (["X-Forwarded-Port: 444"], "example.com", "444"),
            (["X-Forwarded-Proto: https", "X-Forwarded-Port: nonsense"], "example.com", "443"),
            (["X-Forwarded-Port: 99999"], "example.com", "8000"),
            (["X-Forwarded-For: 203.0.113.5"], "example.com:8443", "8000"),
        ],
    )
    def test_the_port_fits_the_scheme(self, build, fields, host, port):
        raw = ("\r\n".join(["GET / HTTP/1.1", f"Host: {host}", *fields]) + "\r\n\r\n").encode()
        assert build(raw, trusted=TrustedPeers("*"))["SERVER_PORT"] == port

    def test_http_may_be_said_of_a_server_that_speaks_https(self, build, get):
        environ = build(get("/", "X-Forwarded-Proto: http"), trusted=TrustedPeers("*"), url_scheme="https")
        assert environ["wsgi.url_scheme"] == "http"

    @given(
        fields=st.lists(
            st.tuples(
                st.sampled_from(["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Port", "Forwarded"]),
                st.text(alphabet='0123456789abcdef.:,[]% htpsxunix;="', max_size=30),
            ),
            max_size=6,
        )
    )
    def test_no_value_raises_or_makes_an_invalid_environ(self, build, get, fields):
        environ = build(
            get("/", *[f"{name}: {value}" for name, value in fields]), trusted=TrustedPeers("*,10.0.0.0/8")
        )
        assert environ["wsgi.url_scheme"] in ("http", "https")
        assert 0 < int(environ["SERVER_PORT"]) < 65536
        assert environ["REMOTE_ADDR"]
