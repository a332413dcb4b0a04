"""RequestTimeout reaches the request it is meant for, or nobody: the two threads that meet there, many times over."""

import logging
import threading
import time
from types import SimpleNamespace

import pytest

from portway.worker.expiry import Expiry
from portway.wsgi.sink import ClientDisconnected
from portway.wsgi.timeout import RequestTimeout

ROUNDS = 3000


def call(exchange, steps):
    """What the application does: a few steps of Python code, of which some send."""
    for step in range(steps):
        if step % 60 == 40:
            send(exchange)
        if step % 50 == 10:
            time.sleep(0)
        sum(range(20))


def send(exchange):
    """What Exchange.send does, as far as it matters here."""
    exchange.guarded = True
    try:
        if exchange.expiry is not None:
            exchange.expiry.stop_sending()
        # No exception may come between these two: the lock would be left taken.
        exchange.lock.acquire()
        time.sleep(0)
        exchange.lock.release()
    finally:
        exchange.guarded = False


def run(exchange, seat, steps):
    """What Exchange.run does around the call; return what came of it."""
    seat.running = exchange
    try:
        call(exchange, steps)
        outcome = "returned"
    except RequestTimeout:
        outcome = "RequestTimeout"
    except ClientDisconnected:
        outcome = "ClientDisconnected"
    seat.running = None
    if exchange.expiry is not None:
        try:
            exchange.expiry.settle()
        except RequestTimeout:
            outcome = "RequestTimeout"
    return outcome


@pytest.mark.usefixtures("tiny_switch_interval")
def test_it_never_comes_after_the_end_of_the_call_nor_within_the_servers_code():
    seat = SimpleNamespace(ident=None, running=None)
    exchanges, outcomes, strays = [], [], []
    ended = threading.Event()

    def work():
        seat.ident = threading.get_ident()
        for number in range(ROUNDS):
            exchange = SimpleNamespace(seat=seat, guarded=False, expiry=None, lock=threading.Lock())
            exchanges.append(exchange)
            try:
                try:
                    outcomes.append(run(exchange, seat, number * 37 % 300))
                except RequestTimeout:
                    # On the way out, before it was settled: Loop's handler.
                    seat.running = None
                    outcomes.append("late")
                for _ in range(20):
                    sum(range(20))
            except BaseException as error:
                strays.append(repr(error))
            if exchange.lock.locked():
                strays.append("a lock was left taken")
        ended.set()

    thread = threading.Thread(target=work)
    thread.start()
    tried = raised = 0
    while not ended.is_set():
        exchange = seat.running
        if exchange is None:
            continue
        if exchange.expiry is None:
            expiry = Expiry(exchange)
            exchange.expiry = expiry
            tried += 1
            raised += expiry.interrupt()
        time.sleep(0)
    thread.join(60)
    assert not strays, strays[:5]
    assert len(outcomes) == ROUNDS
    # The race was run: it came, it came too late, and it was not tried at all.
    assert tried > ROUNDS / 100
    assert 0 < outcomes.count("RequestTimeout") <= raised
    assert outcomes.count("returned") > 0


def test_what_is_raised_and_has_not_arrived_is_taken_back():
    """The thread is in C code, and its call ends before it runs another line of Python."""
    seat = SimpleNamespace(ident=None, running=None)
    exchange = SimpleNamespace(seat=seat, guarded=False, expiry=None)
    reached, gate, results = threading.Event(), threading.Lock(), []
    gate.acquire()

    def work():
        seat.ident = threading.get_ident()
        seat.running = exchange
        reached.set()
        try:
            try:
                gate.acquire()
            finally:
                seat.running = None
        except RequestTimeout:
            results.append("arrived")
        try:
            exchange.expiry.settle()
            for _ in range(1000):
                sum(range(10))
            results.append("quiet")
        except RequestTimeout:
            results.append("again")

    thread = threading.Thread(target=work)
    thread.start()
    assert reached.wait(10)
    exchange.expiry = Expiry(exchange)
    assert exchange.expiry.interrupt()
    assert exchange.expiry.interrupt(), "a second time it is only reported"
    gate.release()
    thread.join(10)
    assert results == ["arrived", "quiet"]


def test_a_thread_in_the_logging_module_is_left_alone(monkeypatch):
    """Its locks are everybody's."""
    seat = SimpleNamespace(ident=None, running=None)
    exchange = SimpleNamespace(seat=seat, guarded=False, expiry=None)
    inside, go, results = threading.Event(), threading.Event(), []

    class Slow(logging.Handler):
        def emit(self, _record):
            inside.set()
            go.wait(10)

    logger = logging.Logger("slow")
    logger.addHandler(Slow())

    def work():
        seat.ident = threading.get_ident()
        seat.running = exchange
        try:
            logger.error("slowly")
            results.append("logged")
            while True:
                sum(range(10))
        except RequestTimeout:
            results.append("arrived")
        seat.running = None

    thread = threading.Thread(target=work)
    thread.start()
    assert inside.wait(10)
    exchange.expiry = Expiry(exchange)
    assert not exchange.expiry.interrupt()
    go.set()
    while not exchange.expiry.interrupt():
        time.sleep(0)
    thread.join(10)
    assert results == ["logged", "arrived"]


def test_nothing_is_raised_when_the_call_is_over():
    seat = SimpleNamespace(ident=threading.get_ident(), running=None)
    expiry = Expiry(SimpleNamespace(seat=seat, guarded=False))
    assert not expiry.interrupt()
    expiry.settle()
    for _ in range(1000):
        sum(range(10))
