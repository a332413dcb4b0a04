"""environ: every key of PEP 3333, and what must not be in it."""

import io
import os
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

import portway
from portway.http.errors import RemoteProtocolError
from portway.wsgi import environ as environ_module
from portway.wsgi.environ import EnvironBuilder
from portway.wsgi.file_wrapper import FileWrapper
from portway.wsgi.input import RequestBody

PEER = ("192.0.2.7", 4711)
LOCAL = ("192.0.2.1", 8000)


def test_reports_which_build_runs():
    assert environ_module.is_compiled() is environ_module.__file__.endswith(".so")


def test_every_key_of_a_simple_request(build, get):
    errors = io.StringIO()
    environ = build(
        get("/some/path?a=1&b=%20", "User-Agent: curl", "Accept: */*"),
        errors=errors,
        multithread=True,
        multiprocess=False,
    )
    wsgi_input = environ.pop("wsgi.input")
    assert wsgi_input.read() == b""
    assert environ == {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/some/path",
        "QUERY_STRING": "a=1&b=%20",
        "RAW_URI": "/some/path?a=1&b=%20",
        "REQUEST_URI": "/some/path?a=1&b=%20",
        "SERVER_NAME": "192.0.2.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": f"portway/{portway.__version__}",
        "REMOTE_ADDR": "192.0.2.7",
        "REMOTE_PORT": "4711",
        "HTTP_HOST": "example.com",
        "HTTP_USER_AGENT": "curl",
        "HTTP_ACCEPT": "*/*",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": errors,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
        "wsgi.file_wrapper": FileWrapper,
    }
    assert type(environ) is dict
    assert all(type(value) is str for key, value in environ.items() if not key.startswith("wsgi."))


@pytest.mark.parametrize("multithread", [True, False])
@pytest.mark.parametrize("multiprocess", [True, False])
def test_multithread_and_multiprocess_are_as_configured(build, get, multithread, multiprocess):
    environ = build(get(), multithread=multithread, multiprocess=multiprocess)
    assert environ["wsgi.multithread"] is multithread
    assert environ["wsgi.multiprocess"] is multiprocess


def test_the_process_s_environment_is_not_in_it(build, get, monkeypatch):
    monkeypatch.setenv("DATABASE_PASSWORD", "secret")
    environ = build(get())
    assert "DATABASE_PASSWORD" not in environ
    assert not set(os.environ) & set(environ)


def test_each_request_has_a_dict_of_its_own(build, get):
    builder = EnvironBuilder()
    first = build(get(), builder=builder)
    first["PATH_INFO"] = "/changed"
    first["application.key"] = object()
    del first["wsgi.version"]
    second = build(get(), builder=builder)
    assert second["PATH_INFO"] == "/"
    assert "application.key" not in second
    assert second["wsgi.version"] == (1, 0)


def test_file_wrapper_can_be_left_out(build, get):
    assert "wsgi.file_wrapper" not in build(get(), file_wrapper=None)


def test_wsgi_errors_is_the_error_log_by_default(build, get, error_log):
    build(get())["wsgi.errors"].write("said by the application\n")
    [record] = error_log.records
    assert (record.name, record.getMessage()) == ("portway.error", "said by the application")


class TestPath:
    @pytest.mark.parametrize(
        ("target", "path_info"),
        [
            ("/", "/"),
            ("/plain", "/plain"),
            ("/a%20b", "/a b"),
            ("/%C3%BC", "/\u00c3\u00bc"),
            ("/\u00c3\u00bc", "/\u00c3\u00bc"),
            ("/\u00c3\u00bc%C3%BC", "/\u00c3\u00bc\u00c3\u00bc"),
            ("/%ff", "/\u00ff"),
            ("/a%2Fb", "/a/b"),
            ("/a%2fb", "/a/b"),
            ("/%2525", "/%25"),
            ("/100%", "/100%"),
            ("/%zz%4", "/%zz%4"),
            ("/a+b", "/a+b"),
            ("/a%3Fb?c", "/a?b"),
            ("/a//b/../c", "/a//b/../c"),
            ("//evil.example/x", "//evil.example/x"),
        ],
    )
    def test_is_decoded_to_a_native_string(self, build, get, target, path_info):
        environ = build(get(target))
        assert environ["PATH_INFO"] == path_info
        assert environ["RAW_URI"] == target
        assert environ["REQUEST_URI"] == target

    @given(st.text(alphabet="/%0123456789abcdefABCDEF~.-_\u00e9z", max_size=30))
    def test_is_what_urllib_makes_of_it(self, build, get, text):
        target = "/" + text
        expected = unquote_to_bytes(target.encode("latin-1")).decode("latin-1")
        assert build(get(target))["PATH_INFO"] == expected

    def test_of_options_star_is_empty(self, build, get):
        environ = build(get("*", method="OPTIONS"))
        assert (environ["PATH_INFO"], environ["RAW_URI"]) == ("", "*")

    @pytest.mark.parametrize(
        ("target", "path_info", "query", "request_uri"),
        [
            ("http://other.example/a%20b?x=1", "/a b", "x=1", "/a%20b?x=1"),
            ("http://other.example:81/a?", "/a", "", "/a?"),
            ("http://other.example", "/", "", "/"),
        ],
    )
    def test_of_a_target_in_absolute_form(self, build, get, target, path_info, query, request_uri):
        environ = build(get(target))
        assert environ["PATH_INFO"] == path_info
        assert environ["QUERY_STRING"] == query
        assert environ["RAW_URI"] == target
        assert environ["REQUEST_URI"] == request_uri
        # It wins against the Host field (RFC 9112 section 3.2.2).
        assert environ["HTTP_HOST"].startswith("other.example")
        assert environ["wsgi.url_scheme"] == "http"

    def test_query_is_left_as_it_is(self, build, get):
        assert build(get("/?a=%20+&b=?&c"))["QUERY_STRING"] == "a=%20+&b=?&c"
        assert build(get("/"))["QUERY_STRING"] == ""


class TestScriptName:
    @pytest.mark.parametrize(
        ("target", "path_info"),
        [
            ("/app", ""),
            ("/app/", "/"),
            ("/app/page?x=1", "/page"),
            ("/app//page", "//page"),
            ("/%61pp/page", "/page"),
            ("/app%2Fpage", "/page"),
        ],
    )
    def test_is_taken_off_the_path(self, build, get, target, path_info):
        environ = build(get(target), script_name="/app")
        assert environ["SCRIPT_NAME"] == "/app"
        assert environ["PATH_INFO"] == path_info
        assert environ["RAW_URI"] == target

    @pytest.mark.parametrize("target", ["/", "/other", "/apple", "/ap", "/APP/page", "/x/app"])
    def test_a_path_outside_of_it_is_not_found(self, build, get, target):
        with pytest.raises(RemoteProtocolError) as caught:
            build(get(target), script_name="/app")
        assert caught.value.status == 404
        assert caught.value.reason == f"the path '{target}' is not below SCRIPT_NAME '/app'"

    def test_options_star_is_about_the_whole_server(self, build, get):
        environ = build(get("*", method="OPTIONS"), script_name="/app")
        assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/app", "")

    @pytest.mark.parametrize("script_name", ["", "/"])
    def test_of_the_root_is_empty(self, build, get, script_name):
        environ = build(get("/page"), script_name=script_name)
        assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("", "/page")

    def test_has_no_slash_at_its_end_and_is_a_native_string(self, build, get):
        environ = build(get("/b%C3%BCcher/1"), script_name="/b\u00fccher/")
        assert environ["SCRIPT_NAME"] == "/b\u00c3\u00bccher"
        assert environ["PATH_INFO"] == "/1"

    def test_without_a_slash_at_its_beginning_is_refused(self):
        with pytest.raises(ValueError, match="does not begin with a slash"):
            EnvironBuilder(script_name="app")


class TestServer:
    @pytest.mark.parametrize(
        ("local", "name", "port"),
        [
            (("192.0.2.1", 8000), "192.0.2.1", "8000"),
            (("::1", 8000, 0, 0), "[::1]", "8000"),
            (("0.0.0.0", 80), "site.example", "80"),
            (("::", 8000, 0, 0), "site.example", "8000"),
        ],
    )
    def test_name_and_port_of_a_tcp_socket(self, build, get, local, name, port):
        environ = build(get(), local=local, server_name="site.example")
        assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == (name, port)

    def test_name_for_a_wildcard_that_nobody_gave(self, build, get):
        assert build(get(), local=("0.0.0.0", 80))["SERVER_NAME"] == "localhost"

    @pytest.mark.parametrize("local", ["/run/portway.sock", "", b"\0abstract"])
    @pytest.mark.parametrize(
        ("host", "name", "port"),
        [
            ("example.com", "example.com", "80"),
            ("example.com:8443", "example.com", "8443"),
            ("[2001:db8::1]", "[2001:db8::1]", "80"),
            ("[2001:db8::1]:81", "[2001:db8::1]", "81"),
            ("example.com:", "example.com", "80"),
        ],
    )
    def test_name_and_port_of_a_unix_socket_are_the_host_s(self, build, local, host, name, port):
        raw = f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        environ = build(raw, peer="", local=local)
        assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == (name, port)

    def test_name_and_port_of_a_unix_socket_without_a_host(self, build, get):
        environ = build(get(version="1.0"), peer="", local="/run/x", url_scheme="https")
        assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("localhost", "443")
        environ = build(get(version="1.0"), peer="", local="/run/x", server_name="site.example")
        assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("site.example", "80")

    def test_several_listeners_in_turn(self, build, get):
        builder = EnvironBuilder()
        locals_ = [("192.0.2.1", 80), "/run/x", ("::1", 81, 0, 0)]
        expected = [("192.0.2.1", "80"), ("example.com", "80"), ("[::1]", "81")]
        for _ in range(2):
            for local, (name, port) in zip(locals_, expected, strict=True):
                environ = build(get(), local=local, builder=builder)
                assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == (name, port)

    def test_protocol(self, build, get):
        assert build(get(version="1.1"))["SERVER_PROTOCOL"] == "HTTP/1.1"
        assert build(get(version="1.0"))["SERVER_PROTOCOL"] == "HTTP/1.0"


class TestRemote:
    def test_ipv6(self, build, get):
        environ = build(get(), peer=("2001:db8::7", 4711, 0, 0))
        assert (environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == ("2001:db8::7", "4711")

    @pytest.mark.parametrize("peer", ["", "/tmp/client.sock"])
    def test_unix_socket(self, build, get, peer):
        environ = build(get(), peer=peer)
        assert environ["REMOTE_ADDR"] == ""
        assert "REMOTE_PORT" not in environ


class TestFields:
    def test_host_is_absent_where_there_is_none(self, build, get):
        assert "HTTP_HOST" not in build(get(version="1.0"))

    def test_names_and_values(self, build, get):
        environ = build(get("/", "X-Custom-Name:  a b ", "x.dotted: 1", "X-Latin: \u00fc", "X-Empty:"))
        assert environ["HTTP_X_CUSTOM_NAME"] == "a b"
        assert environ["HTTP_X.DOTTED"] == "1"
        assert environ["HTTP_X_LATIN"] == "\u00fc"
        assert environ["HTTP_X_EMPTY"] == ""

    def test_content_type_and_length_have_no_prefix(self, build, get):
        environ = build(get("/", "Content-Type: text/plain", "Content-Length: 3", method="POST") + b"abc")
        assert environ["CONTENT_TYPE"] == "text/plain"
        assert environ["CONTENT_LENGTH"] == "3"
        assert "HTTP_CONTENT_TYPE" not in environ
        assert "HTTP_CONTENT_LENGTH" not in environ
        assert environ["wsgi.input"].read() == b"abc"

    def test_content_length_is_absent_where_there_is_none_and_0_where_it_is(self, build, get):
        assert "CONTENT_LENGTH" not in build(get())
        assert build(get("/", "Content-Length: 0", method="POST"))["CONTENT_LENGTH"] == "0"

    def test_fields_of_one_name_are_joined(self, build, get):
        environ = build(
            get(
                "/",
                "X-Two: 1",
                "Cookie: a=1",
                "X-Other: o",
                "x-two: 1",
                "Cookie: b=2",
                "X-TWO:",
                "Accept: a",
                "Accept: b",
            )
        )
        assert environ["HTTP_X_TWO"] == "1,1,"
        assert environ["HTTP_COOKIE"] == "a=1; b=2"
        assert environ["HTTP_ACCEPT"] == "a,b"
        assert environ["HTTP_X_OTHER"] == "o"

    def test_a_hundred_fields_of_one_name(self, build, get):
        environ = build(get("/", *[f"X-Many: {number}" for number in range(90)]))
        assert environ["HTTP_X_MANY"] == ",".join(str(number) for number in range(90))

    def test_httpoxy(self, build, get):
        environ = build(get("/", "Proxy: http://evil.example:8080"))
        assert not [key for key, value in environ.items() if "evil" in str(value) or "PROXY" in key]

    def test_underscore_names_do_not_pass_for_others(self, build, get):
        environ = build(
            get("/", "X_Forwarded_For: 6.6.6.6", "Content_Length: 5", "X-Custom: real", "X_Custom: false")
        )
        assert "HTTP_X_FORWARDED_FOR" not in environ
        assert "HTTP_CONTENT_LENGTH" not in environ
        assert environ["HTTP_X_CUSTOM"] == "real"

    def test_more_names_than_the_cache_holds(self, build, get):
        builder = EnvironBuilder()
        for number in range(0, 3000, 50):
            raw = get("/", *[f"X-Name-{one}: {one}" for one in range(number, number + 50)], "User-Agent: me")
            environ = build(raw, builder=builder)
            assert environ["HTTP_USER_AGENT"] == "me"
            assert [environ[f"HTTP_X_NAME_{one}"] for one in range(number, number + 50)] == [
                str(one) for one in range(number, number + 50)
            ]

    def test_a_very_long_name(self, build, get):
        assert build(get("/", f"{'X-' * 2000}: long"))["HTTP_" + "X_" * 2000] == "long"

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["a", "b", "cookie", "user-agent", "content-type", "accept"]),
                st.text(alphabet="xyz", max_size=3),
            ),
            max_size=20,
        )
    )
    def test_joining_keeps_every_value_in_order(self, build, get, fields):
        environ = build(get("/", *[f"{name}: {value}" for name, value in fields]))
        for name in {name for name, _ in fields}:
            key = "CONTENT_TYPE" if name == "content-type" else "HTTP_" + name.upper().replace("-", "_")
            separator = "; " if name == "cookie" else ","
            assert environ[key] == separator.join(value for other, value in fields if other == name)


class TestBody:
    def test_chunked_is_dechunked_with_its_real_length(self, build, get):
        raw = (
            get("/", "Transfer-Encoding: chunked", method="POST")
            + b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n"
        )
        environ = build(raw)
        assert environ["CONTENT_LENGTH"] == "5"
        assert environ["wsgi.input"].read() == b"abcde"
        assert environ["wsgi.input_terminated"] is True
        assert "HTTP_TRANSFER_ENCODING" not in environ
        assert "HTTP_X_TRAILER" not in environ

    def test_chunked_and_empty(self, build, get):
        environ = build(get("/", "Transfer-Encoding: chunked", method="POST") + b"0\r\n\r\n")
        assert environ["CONTENT_LENGTH"] == "0"
        assert environ["wsgi.input"].read() == b""

    def test_that_is_not_whole_does_not_get_an_environ(self, get, parse):
        request, _ = parse(get("/", "Content-Length: 5", method="POST") + b"12345")
        body = RequestBody()
        body.write(b"123")
        with pytest.raises(ValueError, match="not whole"):
            EnvironBuilder().build(request, body, PEER, LOCAL)
        body.close()

    def test_that_is_missing_does_not_get_an_environ(self, get, parse):
        for fields in (["Content-Length: 5"], ["Transfer-Encoding: chunked"]):
            body = b"12345" if "5" in fields[0] else b"0\r\n\r\n"
            request, _ = parse(get("/", *fields, method="POST") + body)
            with pytest.raises(ValueError, match="none was given"):
                EnvironBuilder().build(request, None, PEER, LOCAL)
