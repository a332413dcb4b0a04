"""Servers as processes: found whatever they forked, weighed, and ended to the last."""

import os
import sys

import pytest

from benchmarks import processes

#: Forks a child that forks another and ends, so that the last is nobody's child, then listens.
FAMILY = """
import os, socket, sys
reader, writer = os.pipe()
if os.fork() == 0:
    if os.fork() == 0:
        import signal
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.write(writer, b".")
        signal.pause()
    os._exit(0)
os.wait()
os.read(reader, 1)
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    server.accept()[0].close()
"""

BUSY = """
import os, socket, sys
if os.fork() == 0:
    import signal
    signal.pause()
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    connection, _ = server.accept()
    sum(range(3_000_000))
    connection.close()
"""


@pytest.fixture
def start(tmp_path):
    """Return start(program) -> Processes, port; what is started is ended."""
    started = []

    def start(program, core=None):
        port = processes.free_port()
        argv = [sys.executable, "-c", program, str(port)]
        running = processes.Processes(argv, env=os.environ, cwd=tmp_path, log=tmp_path / "log", core=core)
        started.append(running)
        return running, port

    yield start
    for running in started:
        running.stop()


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stream:
            return stream.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_everything_that_a_server_started_is_found_and_ended(start):
    running, port = start(FAMILY)
    running.wait_for_port(port)
    found = running.ids()
    assert running.pid in found
    assert len(found) == 2
    assert all(size > 0 for size in running.pss().values())
    assert set(running.pss()) == set(found)
    running.stop()
    assert running.ids() == []
    assert not any(alive(pid) for pid in found)


def test_the_context_ends_it_also_after_an_error(start):
    running, port = start(FAMILY)
    running.wait_for_port(port)
    with pytest.raises(processes.ServerFailedError), running:
        raise processes.ServerFailedError
    assert running.ids() == []


def test_the_busiest_is_who_has_worked(start):
    running, port = start(BUSY)
    running.wait_for_port(port)
    before = running.cpu()
    assert len(before) == 2
    after = before
    while sum(after.values()) - sum(before.values()) < 0.05:
        running.wait_for_port(port)
        after = running.cpu()
    assert processes.busiest(before, after) == running.pid


def test_nobody_is_busiest_where_nobody_lives():
    with pytest.raises(processes.ServerFailedError):
        processes.busiest({}, {})


def test_a_server_that_ends_says_why(start):
    running, port = start("import sys; print('first'); sys.exit('no such application')")
    with pytest.raises(processes.ServerFailedError, match="ended with 1: first / no such application"):
        running.wait_for_port(port)


def test_a_server_that_does_not_listen_is_not_waited_for_for_ever(start):
    running, port = start("import signal; signal.pause()")
    with pytest.raises(processes.ServerFailedError, match="does not listen"):
        running.wait_for_port(port, seconds=0.05)


def test_a_server_has_the_core_that_it_is_given(start):
    core = min(os.sched_getaffinity(0))
    running, port = start(FAMILY, core)
    running.wait_for_port(port)
    assert all(os.sched_getaffinity(pid) == {core} for pid in running.ids())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('File "/srv/python/lib/app.py", line 3', 'File "app.py", line 3'),
        ("http://127.0.0.1:8000/a/b and /posts/", "http://127.0.0.1:8000/a/b and /posts/"),
        ("no such file: /a/b/c-1.txt", "no such file: c-1.txt"),
    ],
)
def test_paths_are_shortened(text, expected):
    assert processes.without_paths(text) == expected
