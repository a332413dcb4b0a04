"""Clients that leave while a view works for them. The server goes on, and so does the view."""

import socket

import pytest

pytestmark = pytest.mark.chain


def test_a_request_outlives_nginx_client(chain, site):
    name = f"left-{chain.server}-{chain.transport}"
    begun, go, done = (site.pipe(f"{name}.{end}") for end in ("begun", "go", "done"))
    processes = set(chain.upstream.family())
    request = f"GET /-probe/wait/{name}/ HTTP/1.1\r\nHost: {chain.authority}\r\n\r\n".encode()
    with chain.raw(request):
        worker = int(begun.read_text())
    # Nginx says that the client is gone (its own status 499), and has let go of the server then.
    chain.nginx.wait_for_log(f'/-probe/wait/{name}/ HTTP/1.1" 499 ')
    # The view is still at work, and others are served meanwhile.
    assert chain.ask("/about/").status == 200
    go.write_text("go on")
    assert done.read_text() == "returned"
    for _ in range(4):
        assert chain.ask("/about/").status == 200
    assert worker in chain.upstream.family()
    assert set(chain.upstream.family()) == processes


def test_a_stream_ends_when_its_reader_leaves(chain, site):
    name = f"stream-{chain.server}-{chain.transport}"
    done = site.pipe(f"{name}.done")
    request = f"GET /-probe/stream/{name}/ HTTP/1.1\r\nHost: {chain.authority}\r\n\r\n".encode()
    with chain.raw(request) as client:
        assert client.recv(15) == b"HTTP/1.1 200 OK"
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert done.read_text() == "closed"
    assert chain.ask("/about/").status == 200
