"""What an import leaves open is found, and named with the line that made it."""

import concurrent.futures
import socket
import threading
from pathlib import Path

import pytest

from portway.supervisor import remnants
from portway.supervisor.remnants import Watch

HERE = Path(__file__)


def line_of(text):
    """Return where this file has a text, as FILE:LINE."""
    lines = HERE.read_text().splitlines()
    return f"{HERE}:{next(n for n, line in enumerate(lines, 1) if text in line)}"


@pytest.fixture
def end():
    """Return an event that ends the threads of a test."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


def test_nothing_is_found_where_nothing_is_left(listener):
    with Watch() as watch:
        thread = threading.Thread(target=lambda: None)
        thread.start()
        thread.join()
        socket.create_connection(listener.getsockname()).close()
    assert watch.find() == []


def test_a_thread_is_named_with_the_line_that_started_it(end, monkeypatch):
    monkeypatch.setattr(remnants, "GRACE", 0.0)
    with Watch() as watch:
        thread = threading.Thread(target=end.wait, name="exporter")
        thread.start()  # this one
    (remnant,) = watch.find()
    place = f"{line_of('# this one')} in test_a_thread_is_named_with_the_line_that_started_it"
    assert f"a thread, 'exporter' (started at {place}), which still runs." in remnant.text
    assert remnant.again


def test_a_thread_of_a_library_is_named_with_the_line_of_the_application(end, monkeypatch):
    monkeypatch.setattr(remnants, "GRACE", 0.0)
    with Watch() as watch:
        pool = concurrent.futures.ThreadPoolExecutor(1, "pool")
        pool.submit(end.wait)  # here
    (remnant,) = watch.find()
    assert f"(started at {line_of('# ' + 'here')} in" in remnant.text
    end.set()
    pool.shutdown()


def test_a_thread_that_is_about_to_end_is_waited_for(end):
    with Watch() as watch:
        threading.Thread(target=end.wait).start()
    threading.Timer(0.05, end.set).start()
    assert watch.find() == []


def test_a_thread_from_before_is_not_the_imports(end, monkeypatch):
    monkeypatch.setattr(remnants, "GRACE", 0.0)
    threading.Thread(target=end.wait, name="early").start()
    with Watch() as watch:
        pass
    assert watch.find() == []


def test_a_thread_that_was_started_otherwise_has_no_line(end, monkeypatch):
    monkeypatch.setattr(remnants, "GRACE", 0.0)

    class Thread(threading.Thread):
        start = threading.Thread.start

    with Watch() as watch:
        Thread(target=end.wait, name="other").start()
    (remnant,) = watch.find()
    assert "a thread, 'other', which still runs" in remnant.text


def test_a_connection_is_named_with_its_peer_and_the_line_that_made_it(listener):
    host, port = listener.getsockname()
    with Watch() as watch:
        client = socket.create_connection((host, port))  # made
    (remnant,) = watch.find()
    assert f"a connection to {host}:{port} open (made at {line_of('# ' + 'made')} in" in remnant.text
    assert remnant.again
    client.close()


def test_a_connection_over_a_unix_socket(tmp_path):
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        with Watch() as watch:
            client = socket.socket(socket.AF_UNIX)
            client.connect(path)
        (remnant,) = watch.find()
        assert f"a connection to {path} open" in remnant.text
        client.close()


def test_what_listens_cannot_be_imported_twice():
    with Watch() as watch:
        listener = socket.create_server(("127.0.0.1", 0))
    (remnant,) = watch.find()
    assert f"listens on 127.0.0.1:{listener.getsockname()[1]} (made at " in remnant.text
    assert not remnant.again
    listener.close()


def test_a_connection_that_a_library_in_c_has_made(listener):
    with Watch() as watch:
        # Without the class of the standard library.
        client = socket.socket.__base__(socket.AF_INET, socket.SOCK_STREAM)
        client.connect(listener.getsockname())
    (remnant,) = watch.find()
    assert "(made by a library in C)" in remnant.text
    client.close()


def test_datagrams_pairs_and_unused_sockets_may_be_shared(listener):
    with Watch() as watch:
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagrams.connect(("127.0.0.1", 9))
        kept = [datagrams, *socket.socketpair(), socket.socket()]
    assert watch.find() == []
    for sock in kept:
        sock.close()


def test_sockets_from_before_are_not_the_imports(listener):
    with socket.create_connection(listener.getsockname()):
        with Watch() as watch:
            pass
        assert watch.find() == []


def test_the_standard_library_is_as_before():
    start, init = threading.Thread.start, socket.socket.__init__
    with Watch():
        assert threading.Thread.start is not start
        assert socket.socket.__init__ is not init
    assert (threading.Thread.start, socket.socket.__init__) == (start, init)
