"""Messages: whole or not at all, bounded, and understood by nobody but those they are for."""

import os
import socket

import pytest

from portway.supervisor.children import Failure
from portway.supervisor.messages import (
    MAX_MESSAGE,
    Channel,
    Inbox,
    decode,
    encode,
    pack_failure,
    unpack_failure,
)


@pytest.fixture
def inbox():
    inbox = Inbox()
    yield inbox
    inbox.close()


@pytest.fixture
def channel():
    ends = Channel.pair()
    yield ends
    for end in ends:
        end.close()


def test_a_message_comes_back_as_it_was():
    message = {"type": "spawned", "nr": 3, "text": "é\n\u2028", "list": [1, None, True]}
    assert decode(encode(message)) == message


def test_bytes_of_a_file_name_that_are_no_text_pass():
    message = {"type": "files", "paths": [os.fsdecode(b"/srv/caf\xe9.py")]}
    assert os.fsencode(decode(encode(message))["paths"][0]) == b"/srv/caf\xe9.py"


@pytest.mark.parametrize("message", [{}, {"type": 1}, {"nr": 1}])
def test_a_message_needs_a_type(message):
    with pytest.raises(ValueError, match="needs a type"):
        encode(message)


def test_a_message_has_a_greatest_length():
    overhead = len(encode({"type": "x", "a": ""}))
    assert len(encode({"type": "x", "a": "y" * (MAX_MESSAGE - overhead)})) == MAX_MESSAGE
    with pytest.raises(ValueError, match="more than 65536"):
        encode({"type": "x", "a": "y" * (MAX_MESSAGE - overhead + 1)})


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"1", b'{"type":1}', b"\xff"])
def test_what_is_no_message_is_refused(data):
    with pytest.raises(ValueError):
        decode(data)


def test_a_failure_comes_back_as_it_was():
    failure = Failure("load", "It does not import.", ("  File x", "    y = 1"), "repair it")
    assert (
        unpack_failure(decode(encode({"type": "failed", "failure": pack_failure(failure)}))["failure"])
        == failure
    )


@pytest.mark.parametrize("character", ["x", "\x01", "\U0001f40d", "\udcff"])
def test_the_longest_failure_fits_into_a_message(character):
    line = character * 10_000
    failure = Failure("load", line, tuple(f"{number} {line}" for number in range(1000)), line)
    message = {"type": "mold_failed", "generation": 10**6, "pid": 10**6, "failure": pack_failure(failure)}
    cut = unpack_failure(decode(encode(message))["failure"])
    assert cut.details[0].startswith("0 ")
    assert cut.details[-1].startswith("999 ")
    assert "  ..." in cut.details


def test_messages_of_several_senders_come_whole_and_in_order(inbox):
    assert inbox.take() == []
    for nr in range(3):
        pid = os.fork()
        if pid == 0:
            try:
                for number in range(20):
                    inbox.send({"type": "x", "nr": nr, "number": number, "filler": "y" * 1000})
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
    messages = inbox.take()
    assert len(messages) == 60
    for nr in range(3):
        assert [m["number"] for m in messages if m["nr"] == nr] == list(range(20))


def test_nonsense_in_the_inbox_is_left_out(inbox):
    inbox.send({"type": "a"})
    inbox._writer.send(b"\x00garbage")
    inbox.send({"type": "b"})
    assert [message["type"] for message in inbox.take()] == ["a", "b"]


def test_a_sender_learns_that_nobody_reads_any_more(inbox):
    inbox.close_reader()
    with pytest.raises(OSError, match="Broken pipe"):
        inbox.send({"type": "a"})


def test_a_channel_carries_messages_and_its_end(channel):
    ours, theirs = channel
    assert ours.send({"type": "spawn", "nr": 1})
    assert ours.send({"type": "spawn", "nr": 2})
    ours.close()
    assert theirs.receive() == {"type": "spawn", "nr": 1}
    assert theirs.receive() == {"type": "spawn", "nr": 2}
    assert theirs.receive() is None
    assert ours.fileno() == -1


def test_sending_to_nobody_says_so(channel):
    ours, theirs = channel
    theirs.close()
    assert not ours.send({"type": "spawn", "nr": 1})


def test_sending_to_one_that_does_not_read_does_not_wait(channel):
    ours, _ = channel
    ours._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    sent = 0
    while ours.send({"type": "spawn", "filler": "x" * 1000}):
        sent += 1
    assert sent > 0
