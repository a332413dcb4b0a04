"""The understudy of a mold: dismissed, called, or alone when the mold just ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, sys
from portway.supervisor import spawn
from portway.supervisor.understudy import Understudy

supervisor = os.getpid()
spawn.adopt_orphans()
says, writer = os.pipe()

def take_over():
    os.write(writer, b"%d child of %d" % (os.getpid(), os.getppid()))
    return 7

def mold():
    understudy = Understudy(supervisor, take_over)
    os.write(writer, b"%d " % understudy.pid)
    {then}
    return 0

spawn.fork(mold)
os.close(writer)
ends = []
try:
    while True:
        pid, status = os.wait()
        ends.append((pid, os.waitstatus_to_exitcode(status)))
except ChildProcessError:
    pass
said = open(says).read().split(" ", 1)
print(said[1] == f"{{said[0]}} child of {{supervisor}}" if said[1] else "silent", sorted(code for _, code in ends))
"""


@pytest.mark.parametrize(
    ("then", "result"),
    [
        ("understudy.dismiss()", "silent [0]"),
        ("understudy.call()", "True [0, 7]"),
        # An import that exits, or a mold that is killed: nobody takes over.
        ("pass", "silent [0, 0]"),
        ("os.kill(os.getpid(), 9)", "silent [-9, 0]"),
        # A process that the application has forked has all that the mold has, and outlives it.
        ("os.fork() or os.execlp('sleep', 'sleep', '1')", "silent [0, 0, 0]"),
    ],
)
def test_what_becomes_of_the_understudy(then, result):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(then=then)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert (done.stdout.strip(), done.stderr) == (result, "")


WORKER = """
import os, threading
from pathlib import Path

ends = threading.Event()
threading.Thread(target=ends.wait, name="exporter", daemon=True).start()

def application(environ, start_response):
    start_response("200 OK", [])
    return [b""]

application.loaded_by = os.getpid()
application.version = 1
"""


def test_a_mold_that_has_moved_is_the_supervisors_child(supervise):
    server = supervise({"workers": 2}, source=WORKER)
    moved = int(server.wait_for_log(r"The mold of generation 1 is now process (\d+)")[1])
    assert moved in server.children()
    assert server.mold() not in server.children()
    assert all(worker["loaded_here"] for worker in server.workers(2))
    # What it is asked for goes to the new process; its end is noticed; and a new one tries to preload again.
    os.kill(server.workers(2)[0]["pid"], signal.SIGKILL)
    server.wait_for_log(r"Worker 0 \(process \d+\) is ready", 2)
    os.kill(moved, signal.SIGKILL)
    server.wait_for_log("The mold of generation 1 was killed by SIGKILL")
    server.wait_for_log("The mold of generation 2 is now process")
    server.wait_for_log("each worker imports it for itself", 2)
    assert server.stop() == 0
    assert not Path(f"/proc/{moved}").exists()


def test_with_preload_nobody_takes_over(supervise):
    server = supervise({"workers": 2, "preload_app": True}, source=WORKER)
    server.wait_for_log("The import has started a thread, 'exporter'")
    assert not any(worker["loaded_here"] for worker in server.workers(2))
    assert server.mold() in server.children()


def test_while_the_application_is_imported_a_stop_leaves_nobody(supervise, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    server = supervise(source=f"open({str(gate)!r}).read()", ready=False)
    with open(gate, "wb"):
        server.send(signal.SIGTERM)
        server.send(signal.SIGTERM)
        assert server.wait() == 0
        server.wait_until_gone()
