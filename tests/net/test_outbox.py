"""The outbox: everything once and in order, whatever the socket takes; memory, disk, descriptors bounded."""

import os
import random
import socket
import threading
from contextlib import contextmanager

import pytest

from portway.net.outbox import FilePart

PATIENCE = 30.0


@pytest.fixture
def opened(tmp_path):
    """opened(data) -> a descriptor of a file with these bytes."""
    count = 0

    def make(data):
        nonlocal count
        count += 1
        path = tmp_path / f"file-{count}"
        path.write_bytes(data)
        return os.open(path, os.O_RDONLY)

    return make


@contextmanager
def nothing_left_open():
    """Hold the block to leaving as many descriptors open as before."""
    before = set(os.listdir("/proc/self/fd"))
    yield
    assert set(os.listdir("/proc/self/fd")) == before


def is_open(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def pump(box, pair, chunk=65536):
    """Flush and read in turn until the outbox is empty; return what the peer got."""
    ours, theirs = pair
    got = bytearray()
    sent = 0
    while box.size or len(got) < sent:
        sent += box.flush(ours)
        if len(got) < sent:
            got += theirs.recv(chunk)
    return bytes(got)


def bytes_of(number, count):
    return random.Random(number).randbytes(count)


# Order.


def test_bytes_come_in_order(pair, outbox):
    box = outbox()
    pieces = [bytes_of(n, n * 100) for n in range(100)]
    for piece in pieces:
        box.put(piece)
    assert box.size == sum(map(len, pieces))
    assert pump(box, pair) == b"".join(pieces)
    assert box.size == 0


def test_bytes_and_files_come_in_order(pair, outbox, opened):
    box = outbox()
    content = bytes_of("file", 100_000)
    with nothing_left_open():
        box.put(b"one,")
        box.put_file(opened(content), 1000, 50_000)
        box.put(b",two,")
        box.put_file(opened(content), 0, 1)
        box.put_file(opened(content), 99_999, 1)
        box.put(memoryview(b"--three--")[2:7])
        expected = b"one," + content[1000:51_000] + b",two," + content[:1] + content[-1:] + b"three"
        assert box.size == len(expected)
        assert pump(box, pair) == expected


def test_what_is_put_between_flushes_comes_behind(pair, outbox, opened):
    """Random parts of every kind, into memory and beyond, with random flushes and reads between."""
    seed = os.environ.get("PORTWAY_SEED", "outbox")
    print(f"PORTWAY_SEED={seed}")
    dice = random.Random(seed)
    ours, theirs = pair
    box = outbox(memory=20_000)
    content = bytes_of("file", 30_000)
    expected, got, sent = bytearray(), bytearray(), 0
    with nothing_left_open():
        for _ in range(600):
            action = dice.random()
            if action < 0.4:
                piece = dice.randbytes(dice.choice((1, 10, 1000, 15_000, 25_000)))
                box.put(dice.choice((piece, memoryview(piece))))
                expected += piece
            elif action < 0.5:
                offset = dice.randrange(30_000)
                count = dice.randint(1, 30_000 - offset)
                box.put_file(opened(content), offset, count)
                expected += content[offset : offset + count]
            elif action < 0.8:
                sent += box.flush(ours)
            elif len(got) < sent:
                got += theirs.recv(dice.randint(1, 40_000))
            assert box.size == len(expected) - sent
        got += theirs.recv(sent - len(got), socket.MSG_WAITALL) if len(got) < sent else b""
        got += pump(box, pair)
        assert got == expected
        box.close()


def test_a_flush_says_how_much_it_sent_and_does_not_block(pair, outbox):
    ours, theirs = pair
    box = outbox()
    box.put(bytes(1_000_000))
    sent = box.flush(ours)
    assert 0 < sent < 1_000_000
    assert box.size == 1_000_000 - sent
    assert box.flush(ours) == 0
    theirs.recv(sent, socket.MSG_WAITALL)
    assert box.flush(ours) > 0


def test_nothing_to_send_is_no_error(pair, outbox):
    box = outbox()
    assert box.flush(pair[0]) == 0
    box.put(b"")
    assert pump(box, pair) == b""
    box.put(b"more")
    assert pump(box, pair) == b"more"


def test_an_empty_part_of_a_file_is_no_error(pair, outbox, opened):
    box = outbox()
    with nothing_left_open():
        box.put_file(opened(b"content"), 3, 0)
        box.put(b"after")
        assert pump(box, pair) == b"after"


def test_one_flush_does_not_send_for_ever(outbox):
    """A client that takes everything at once does not keep the leader from the others."""

    class Greedy:
        def send(self, data):
            return len(data)

    box = outbox(memory=50_000_000)
    for _ in range(500):
        box.put(bytes(100_000))
    assert 0 < box.flush(Greedy()) < 5_000_000
    assert box.size > 45_000_000


# Disk.


def test_beyond_its_memory_it_writes_to_a_file_that_has_no_name(pair, outbox, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    data = bytes_of("disk", 300_000)
    with nothing_left_open():
        box = outbox(memory=100_000)
        before = len(os.listdir("/proc/self/fd"))
        box.put(data[:100_000])
        assert len(os.listdir("/proc/self/fd")) == before
        box.put(data[100_000:200_000])
        assert len(os.listdir("/proc/self/fd")) == before + 1
        box.put(data[200_000:])
        assert len(os.listdir("/proc/self/fd")) == before + 1
        assert os.listdir(tmp_path) == []
        assert pump(box, pair) == data
        box.close()


def test_after_the_file_comes_memory_again_in_order(pair, outbox):
    box = outbox(memory=1000)
    pieces = [bytes_of(n, n) for n in (900, 5000, 50, 2000, 40, 3000)]
    for piece in pieces:
        box.put(piece)
    assert pump(box, pair) == b"".join(pieces)
    for piece in pieces:
        box.put(piece)
    assert pump(box, pair) == b"".join(pieces)


def test_what_was_sent_leaves_its_room_in_memory_to_what_comes(pair, outbox, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "no such folder"))
    box = outbox(memory=10_000)
    for _ in range(10):
        box.put(bytes(9_000))
        assert len(pump(box, pair)) == 9_000
    with pytest.raises(FileNotFoundError):
        box.put(bytes(10_001))


def spooled(tmp_path):
    """Return the bytes on disk of the unnamed files below a folder that this process has open."""
    total = 0
    for entry in os.scandir("/proc/self/fd"):
        try:
            target, status = os.readlink(entry.path), os.stat(entry.path)
        except FileNotFoundError:
            continue  # The descriptor of the listing itself.
        if target.startswith(str(tmp_path)):
            total += status.st_blocks * 512
    return total


def test_the_disk_is_given_back_when_the_client_has_caught_up(pair, outbox, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    box = outbox(memory=1000)
    box.put(bytes_of("disk", 500_000))
    assert spooled(tmp_path) >= 500_000
    pump(box, pair)
    assert spooled(tmp_path) == 0


def test_a_client_that_never_catches_up_takes_a_bounded_part_of_the_disk(pair, outbox, tmp_path, monkeypatch):
    """A stream of hours to a client that is always a little behind: the disk holds what is on the way."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ours, theirs = pair
    high_water = 1 << 20
    box = outbox(memory=1 << 14, high_water=high_water, low_water=high_water // 4)
    piece = bytes(range(256)) * 256
    put = sent = got = 0
    most = 0
    while put < 60 * high_water:
        while not box.is_high():
            box.put(piece)
            put += len(piece)
        while box.size > high_water // 2:
            sent += box.flush(ours)
            if got < sent:
                data = theirs.recv(65536)
                first = got % 256
                assert data[:8] == (bytes(range(256)) * 2)[first : first + min(8, len(data))]
                got += len(data)
        most = max(most, spooled(tmp_path))
    assert most < 5 * high_water
    box.close()
    assert spooled(tmp_path) == 0


def test_a_full_disk_leaves_the_outbox_as_it_was(pair, outbox, monkeypatch):
    box = outbox(memory=1000)
    box.put(b"a" * 900)

    def no_room(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", no_room)
    with pytest.raises(OSError, match="No space left"):
        box.put(b"b" * 500)
    assert box.size == 900
    box.put(b"c" * 100)
    assert pump(box, pair) == b"a" * 900 + b"c" * 100


def test_a_disk_that_fills_up_leaves_the_outbox_as_it_was(pair, outbox, monkeypatch):
    box = outbox(memory=1000)
    box.put(b"a" * 3000)
    write = os.pwrite

    def half(fd, data, offset):
        if len(data) > 1000:
            return write(fd, data[:1000], offset)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.pwrite", half)
    with pytest.raises(OSError, match="No space left"):
        box.put(b"b" * 2000)
    monkeypatch.undo()
    assert box.size == 3000
    box.put(b"c" * 3000)
    assert pump(box, pair) == b"a" * 3000 + b"c" * 3000


# Files.


def test_a_file_that_became_shorter_is_an_error(pair, outbox, opened, tmp_path):
    box = outbox()
    with nothing_left_open():
        fd = opened(b"x" * 50_000)
        os.truncate(f"/proc/self/fd/{fd}", 10_000)
        box.put_file(fd, 0, 50_000)
        with pytest.raises(EOFError):
            pump(box, pair)
        box.close()
        assert not is_open(fd)


def test_a_file_is_closed_when_it_was_sent(pair, outbox, opened):
    box = outbox()
    fd = opened(b"content")
    box.put_file(fd, 0, 7)
    assert is_open(fd)
    assert pump(box, pair) == b"content"
    assert not is_open(fd)


def test_files_that_were_not_sent_are_closed_once(outbox, opened):
    """The number of a descriptor that was closed is soon another's: a second close would hit that."""
    box = outbox()
    fds = [opened(b"content") for _ in range(3)]
    for fd in fds:
        box.put_file(fd, 0, 7)
    box.close()
    others = [opened(b"other") for _ in range(3)]
    assert set(others) == set(fds)
    box.close()
    assert all(is_open(fd) for fd in others)
    for fd in others:
        os.close(fd)


def test_a_file_that_comes_too_late_is_closed_at_once(outbox, opened):
    box = outbox()
    box.close()
    fd = opened(b"content")
    box.put_file(fd, 0, 7)
    assert not is_open(fd)
    box.put(b"late")
    assert box.size == 0


def test_a_part_closes_only_what_it_owns(opened):
    fd = opened(b"content")
    FilePart(fd, 0, 7, False).close()
    assert is_open(fd)
    part = FilePart(fd, 0, 7, True)
    part.close()
    assert not is_open(fd)
    part.close()


# A broken connection.


def test_a_broken_connection_is_an_error_and_closing_frees_everything(pair, outbox, opened):
    ours, theirs = pair
    with nothing_left_open():
        box = outbox(memory=1000)
        box.put(bytes(500))
        box.put(bytes(10_000))
        box.put_file(opened(b"content"), 0, 7)
        shut = theirs.fileno()
        theirs.shutdown(socket.SHUT_RDWR)
        with pytest.raises(OSError, match="Broken pipe"):
            box.flush(ours)
        box.close()
        assert is_open(shut)
    assert box.size == 0
    assert box.flush(ours) == 0


# Two threads.


def test_two_threads_and_every_size(pair, outbox, opened):
    """One thread puts bytes and files and waits, the other flushes: nothing is lost or out of order."""
    ours, theirs = pair
    box = outbox(memory=30_000, high_water=200_000, low_water=50_000)
    dice = random.Random("two threads")
    content = bytes_of("file", 60_000)
    expected = bytearray()
    plan = []
    for _ in range(400):
        if dice.random() < 0.2:
            offset = dice.randrange(60_000)
            count = dice.randint(1, 60_000 - offset)
            plan.append((offset, count))
            expected += content[offset : offset + count]
        else:
            piece = dice.randbytes(dice.choice((1, 100, 5_000, 40_000)))
            plan.append(piece)
            expected += piece

    def write():
        for part in plan:
            if isinstance(part, bytes):
                box.put(part)
            else:
                box.put_file(opened(content), *part)
            if box.is_high():
                assert box.wait_below()

    with nothing_left_open():
        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        got = bytearray()
        ours.settimeout(0)
        theirs.setblocking(False)
        while len(got) < len(expected):
            box.flush(ours)
            try:
                got += theirs.recv(50_000)
            except BlockingIOError:
                continue
        writer.join(PATIENCE)
        assert not writer.is_alive()
        box.close()
    assert got == expected
