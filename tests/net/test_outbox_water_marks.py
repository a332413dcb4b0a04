"""The outbox's water marks: when the application's thread waits, and what wakes it."""

import random
import threading

PATIENCE = 30.0


class Writer(threading.Thread):
    """The application's thread: puts pieces, and waits when the outbox is high."""

    def __init__(self, box, pieces):
        super().__init__(daemon=True)
        self.box = box
        self.pieces = pieces
        self.waits = 0
        self.went_on = threading.Event()
        self.highest = 0
        self.result = None

    def run(self):
        for piece in self.pieces:
            self.box.put(piece)
            self.highest = max(self.highest, self.box.size)
            if self.box.is_high():
                self.waits += 1
                self.result = self.box.wait_below()
                self.went_on.set()
                if not self.result:
                    return


def test_a_writer_waits_above_the_high_water_mark_until_the_low_one(pair, outbox):
    ours, theirs = pair
    box = outbox(memory=1 << 20, high_water=100_000, low_water=20_000)
    pieces = [random.Random(n).randbytes(9_000) for n in range(200)]
    writer = Writer(box, pieces)
    writer.start()
    expected = b"".join(pieces)
    got = bytearray()
    sent = 0
    while len(got) < len(expected):
        sent += box.flush(ours)
        if len(got) < sent:
            got += theirs.recv(30_000)
    writer.join(PATIENCE)
    assert not writer.is_alive()
    assert got == expected
    assert writer.waits > 0
    assert writer.highest <= 109_000


def test_nobody_waits_below_the_high_water_mark(outbox):
    box = outbox(high_water=100, low_water=50)
    box.put(bytes(100))
    assert not box.is_high()
    box.put(bytes(1))
    assert box.is_high()
    low = outbox(high_water=100, low_water=50)
    low.put(bytes(50))
    assert low.wait_below()


def test_a_writer_goes_on_at_the_low_water_mark_and_not_before(outbox):
    class Measured:
        def __init__(self):
            self.room = 0

        def send(self, data):
            if not self.room:
                raise BlockingIOError
            taken = min(self.room, len(data))
            self.room -= taken
            return taken

    sock = Measured()
    box = outbox(high_water=1000, low_water=400)
    writer = Writer(box, [bytes(1001)])
    writer.start()
    sock.room = 600
    box.flush(sock)
    assert box.size == 401
    assert not writer.went_on.wait(0.05)
    sock.room = 1
    box.flush(sock)
    assert writer.went_on.wait(PATIENCE)
    assert writer.result is True


def test_closing_wakes_a_writer_that_waits_and_tells_it(outbox):
    box = outbox(high_water=10, low_water=5)
    writer = Writer(box, [bytes(100)] * 3)
    writer.start()
    # Wait until it waits: from then on nothing but the close can end it.
    while not writer.waits:
        threading.Event().wait(0.001)
    box.close()
    writer.join(PATIENCE)
    assert not writer.is_alive()
    assert writer.result is False
    assert writer.waits == 1
