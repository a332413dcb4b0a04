"""The socket pair by which workers give each other connections."""

import os
import resource
import socket

import pytest

from portway.net.relay import MESSAGE, Relay


@pytest.fixture
def relay():
    relay = Relay()
    yield relay
    relay.close()


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)
    os.close(writer)


def test_a_message_comes_with_a_copy_of_its_descriptor(relay, pipe):
    assert relay.send(b"about it", pipe[1])
    message, fd = relay.receive()
    try:
        assert message == b"about it"
        assert not os.get_inheritable(fd)
        os.write(fd, b"by the copy")
        assert os.read(pipe[0], 100) == b"by the copy"
    finally:
        os.close(fd)
    assert relay.receive() is None


def test_messages_keep_their_order_and_their_bounds(relay, pipe):
    messages = [bytes([n]) * size for n, size in enumerate((1, 1000, MESSAGE, 1))]
    for message in messages:
        assert relay.send(message, pipe[0])
    for message in messages:
        received, fd = relay.receive()
        os.close(fd)
        assert received == message


def test_a_message_that_is_too_long_is_not_sent(relay, pipe):
    assert not relay.send(bytes(MESSAGE + 1), pipe[0])
    assert relay.receive() is None


def test_a_full_queue_takes_no_more_until_something_is_taken_out(relay, pipe):
    sent = 0
    while relay.send(bytes(MESSAGE), pipe[0]):
        sent += 1
        assert sent < 1000
    assert sent >= 2
    os.close(relay.receive()[1])
    assert relay.send(b"again", pipe[0])


def test_a_message_outlives_the_process_that_sent_it(relay):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        child = os.fork()
        if child == 0:
            os._exit(0 if relay.send(b"last words", theirs.fileno()) else 1)
        assert os.waitpid(child, 0)[1] == 0
        theirs.close()
        message, fd = relay.receive()
        with socket.socket(fileno=fd) as copy:
            assert message == b"last words"
            copy.sendall(b"still open")
        assert ours.recv(100) == b"still open"


def test_without_room_for_the_descriptor_the_message_stays(relay, pipe):
    assert relay.send(b"stays", pipe[0])
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            relay.receive()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    message, fd = relay.receive()
    os.close(fd)
    assert message == b"stays"
