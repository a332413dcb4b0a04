"""Request bodies on their way through Nginx and the server to a view."""

import hashlib
import os
import socket

import pytest

pytestmark = pytest.mark.chain

LARGE = os.urandom(1 << 20) * 20
SHA256 = hashlib.sha256(LARGE).hexdigest()
#: Nginx hands on what it reads, as it reads it.
UNBUFFERED = {"proxy_request_buffering on;": "proxy_request_buffering off;"}


#: What the view is to say of it.
ARRIVED = {"size": len(LARGE), "sha256": SHA256, "length": str(len(LARGE)), "coding": None}


def pieces(size=50_000):
    return (LARGE[at : at + size] for at in range(0, len(LARGE), size))


def test_an_upload_of_twenty_megabytes_arrives_as_it_was_sent(chain):
    answer = chain.ask("/-probe/digest/", method="POST", body=LARGE, tls=True)
    assert answer.json == ARRIVED


def test_an_upload_whose_length_is_not_said_arrives_too(chain):
    answer = chain.ask("/-probe/digest/", method="POST", body=pieces())
    assert answer.json == ARRIVED


def test_a_client_that_waits_for_permission_gets_it(chain):
    head = f"POST /-probe/digest/ HTTP/1.1\r\nHost: {chain.authority}\r\nContent-Length: 5\r\n"
    with chain.raw(f"{head}Expect: 100-continue\r\nConnection: close\r\n\r\n".encode()) as client:
        answer = client.makefile("rb")
        assert answer.readline() == b"HTTP/1.1 100 Continue\r\n"
        client.sendall(b"hello")
        assert hashlib.sha256(b"hello").hexdigest().encode() in answer.read()


def test_a_body_beyond_the_limit_is_refused_before_it_is_sent(chain):
    head = f"POST /-probe/digest/?name=too-large HTTP/1.1\r\nHost: {chain.authority}\r\n"
    with chain.raw(f"{head}Content-Length: {100 * 1024**2 + 1}\r\n\r\n".encode()) as client:
        assert b" 413 " in client.makefile("rb").readline()
    assert "too-large" not in chain.site.calls()


def test_a_body_that_is_cut_short_reaches_no_view(chain):
    cut_short(chain, name=f"cut-{chain.server}-{chain.transport}")


@pytest.mark.parametrize("transport", ["tcp", "unix"])
def test_portway_buffers_bodies_itself_where_nginx_does_not(own_chain, transport):
    chain = own_chain("portway", transport, changes=UNBUFFERED)
    for body in (LARGE, pieces()):
        answer = chain.ask("/-probe/digest/", method="POST", body=body)
        assert answer.json == ARRIVED
    cut_short(chain, name=f"cut-unbuffered-{transport}")
    cut_short(chain, name=f"cut-chunked-{transport}", chunked=True)


def cut_short(chain, name, chunked=False):
    """Send half a body and leave; the view must not be called, and the next request must be served."""
    framing, half = "Content-Length: 10", "hello"
    if chunked:
        framing, half = "Transfer-Encoding: chunked", "5\r\nhello\r\n"
    head = f"POST /-probe/digest/?name={name} HTTP/1.1\r\nHost: {chain.authority}\r\n{framing}\r\n\r\n"
    with chain.raw(f"{head}{half}".encode()) as client:
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
    chain.nginx.wait_for_log(rf"name={name} HTTP/1.1\" (400|499) ")
    assert chain.ask(f"/-probe/digest/?name=after-{name}", method="POST", body=b"hello").json["size"] == 5
    calls = chain.site.calls()
    assert f"after-{name}" in calls
    assert name not in calls
