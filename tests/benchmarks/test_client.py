"""Our own client reads each kind of response, however its bytes arrive."""

import socket

import pytest

from benchmarks import client

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
EMPTY_CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
EMPTY = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nConnection: close\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.0 200 OK\r\n\r\nhello"


@pytest.mark.parametrize(
    ("raw", "status", "size", "keep_alive"),
    [
        (LENGTH, 200, 5, True),
        (CHUNKED, 200, -1, True),
        (EMPTY_CHUNKS, 200, -1, True),
        (EMPTY, 404, 0, False),
        (UNTIL_CLOSE + b"", 200, 5, False),
    ],
)
def test_a_response_is_complete_with_its_last_byte_at_every_split(raw, status, size, keep_alive):
    ends_by_close = raw == UNTIL_CLOSE
    for split in range(1, len(raw)):
        reader = client.Reader()
        assert reader.feed(raw[:split]) is None
        reply = reader.feed(raw[split:])
        if ends_by_close:
            assert reply is None
            reply = reader.feed(b"")
        assert reply == client.Reply(status, size, keep_alive)


@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 200 OK\r\n", LENGTH[:-1], CHUNKED[:-1]])
def test_a_response_that_is_cut_short_is_an_error(raw):
    reader = client.Reader()
    if raw:
        assert reader.feed(raw) is None
    with pytest.raises(client.ResponseError):
        reader.feed(b"")


def keep_answering(connection, _number):
    while connection.recv(65536):
        connection.sendall(LENGTH)


def answer_once(connection, _number):
    connection.recv(65536)
    connection.sendall(LENGTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))


def answer_once_and_say_nothing(connection, _number):
    connection.recv(65536)
    connection.sendall(LENGTH)


def hang_up(connection, number):
    if connection.recv(65536) and number > 1:
        connection.sendall(LENGTH)


def test_an_exact_number_of_requests_goes_over_one_connection(listen):
    asked = []

    def count(connection, _number):
        while data := connection.recv(65536):
            asked.append(data)
            connection.sendall(LENGTH)

    listener = listen(count)
    raw = client.request_bytes(listener.port, "/x", fields={"A": "b"})
    assert client.ask(listener.port, raw, 50).status == 200
    assert asked == [raw] * 50
    assert listener.accepted == 1


@pytest.mark.parametrize("serve", [answer_once, answer_once_and_say_nothing])
def test_a_server_that_closes_is_connected_to_again(serve, listen):
    listener = listen(serve)
    client.ask(listener.port, client.request_bytes(listener.port), 5)
    assert listener.accepted == 5


def test_a_server_that_never_answers_is_an_error(listen):
    listener = listen(lambda connection, _number: connection.recv(65536))
    with pytest.raises((client.ResponseError, ConnectionError)):
        client.ask(listener.port, client.request_bytes(listener.port), 2)
    assert listener.accepted == 1


def test_a_given_connection_stays_open(listen):
    listener = listen(keep_answering)
    with socket.create_connection(("127.0.0.1", listener.port)) as connection:
        raw = client.request_bytes(listener.port)
        client.ask(listener.port, raw, 2, connection)
        client.ask(listener.port, raw, 2, connection)
    assert listener.accepted == 1


@pytest.mark.parametrize("serve", [keep_answering, answer_once])
def test_a_closed_loop_ends_with_the_number_of_requests(serve, listen):
    listener = listen(serve)
    loop = client.closed_loop(listener.port, client.request_bytes(listener.port), 4, 60.0, 100)
    assert 100 <= len(loop.times) < 110
    assert loop.errors == {}


def test_a_closed_loop_ends_with_the_time(listen):
    listener = listen(keep_answering)
    loop = client.closed_loop(listener.port, client.request_bytes(listener.port), 2, 0.05)
    assert loop.times
    assert loop.seconds >= 0.05


def test_a_closed_loop_counts_connections_that_were_lost(listen):
    listener = listen(hang_up)
    loop = client.closed_loop(listener.port, client.request_bytes(listener.port), 1, 60.0, 5)
    assert len(loop.times) >= 5
    assert loop.errors["read"] >= 1
