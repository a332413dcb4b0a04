"""Processes that are killed, and code that ends or breaks them: what stays, and what comes back."""

import json
import os
import resource
import signal

import pytest

pytestmark = pytest.mark.functional


def workers(server, count=2):
    pids = set()
    while len(pids) < count:
        pids.add(json.loads(server.get().text)["pid"])
    return pids


def test_workers_that_are_killed_under_load_come_back(serve, load):
    server = serve("about", "--workers", 2, "--log-level", "debug")
    with load(server, "/sleep/0") as clients:
        for number in range(1, 4):
            clients.wait_for(20)
            victim = json.loads(server.get().text)["pid"]
            os.kill(victim, signal.SIGKILL)
            server.wait_for_log(rf"Worker \d \(process {victim}\) was killed by SIGKILL")
            server.wait_for_log(r"Worker \d \(process \d+\) is ready", 2 + number)
            # Requests that ran in the worker are lost with it; whoever asks again is answered.
            clients.failures.clear()
    assert len(workers(server)) == 2
    assert server.stop() == 0


def test_a_mold_that_is_killed_costs_no_request(serve, load):
    server = serve("hello", "--workers", 2, "--log-level", "debug")
    mold = int(server.wait_for_log(r"The mold of generation 1 is process (\d+)")[1])
    before = set(server.children()) - {mold}
    with load(server) as clients:
        os.kill(mold, signal.SIGKILL)
        server.wait_for_log("The mold of generation 1 was killed by SIGKILL")
        second = int(server.wait_for_log(r"The mold of generation 2 is process (\d+)")[1])
        clients.wait_for(100)
    assert not clients.failures
    assert set(server.children()) == before | {second}
    assert server.stop() == 0


def test_when_the_supervisor_is_killed_nothing_stays(serve, load, ended):
    server = serve("hello", "--workers", 3)
    family = server.children()
    assert len(family) == 4
    server.send(signal.SIGKILL)
    assert server.wait() == -signal.SIGKILL
    for pid in family:
        ended(pid)
    with pytest.raises(ConnectionRefusedError):
        server.connect()


def test_an_application_that_exits_ends_a_request_and_no_worker(serve):
    server = serve("about", "--workers", 1)
    before = workers(server, 1)
    assert server.get("/exit").status == 500
    assert workers(server, 1) == before


def test_an_application_that_kills_its_process_is_replaced(serve):
    server = serve("about", "--workers", 1)
    before = workers(server, 1)
    client = server.connect()
    client.sendall(b"GET /kill HTTP/1.1\r\nHost: test\r\n\r\n")
    assert client.recv(100) == b""
    client.close()
    server.wait_for_log(r"Worker 0 \(process \d+\) exited with 9. Another takes its place.")
    assert workers(server, 1) != before
    assert server.stop() == 0


def test_a_worker_that_ends_by_itself_is_replaced(serve):
    server = serve("about", "--workers", 1, "--log-level", "debug")
    (pid,) = workers(server, 1)
    os.kill(pid, signal.SIGTERM)
    server.wait_for_log(r"Worker 0 \(process \d+\) is ready", 2)
    assert workers(server, 1) != {pid}


def test_a_full_disk_does_not_stop_the_server(serve):
    server = serve("hello", "--access-logfile", "/dev/full", "--error-logfile", "-")
    assert server.get().status == 200
    server.send(signal.SIGUSR1)
    assert server.get().status == 200
    assert server.stop() == 0


def test_no_descriptors_left_in_the_supervisor(serve):
    server = serve("about", "--workers", 1, "--log-level", "debug")
    (pid,) = workers(server, 1)
    used = len(os.listdir(f"/proc/{server.pid}/fd"))
    soft, hard = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (used, hard))
    # A worker is forked without any; a mold needs a channel.
    os.kill(pid, signal.SIGKILL)
    server.wait_for_log(r"Worker 0 \(process \d+\) is ready", 2)
    server.send(signal.SIGHUP)
    server.wait_for_log(
        "Not reloaded, generation 1 keeps serving: The mold could not be forked: Too many open files."
    )
    assert server.get().status == 200
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (soft, hard))
    server.send(signal.SIGHUP)
    server.wait_for_log("Reloaded: generation 3")
    assert server.stop() == 0


def test_orphans_of_the_application_are_reaped(serve, project):
    folder = project(
        "import os\n"
        "def application(environ, start_response):\n"
        "    between = os.fork()\n"
        "    if between == 0:\n"
        "        if os.fork() == 0:\n"
        "            os._exit(0)\n"
        "        os._exit(0)\n"
        "    os.waitpid(between, 0)\n"
        "    start_response('200 OK', [('Content-Length', '1')])\n"
        "    return [b'x']\n"
    )
    server = serve("app", "--workers", 1, "--log-level", "debug", cwd=folder)
    for _ in range(5):
        assert server.get().status == 200
    server.wait_for_log("which is none of ours, exited with 0", 5)
    assert len(server.children()) == 2
    assert server.stop() == 0
