"""A worker whose threads are all busy, beside one that has a free thread: nobody waits for the busy one."""

import json
import os
import random
import signal
import threading

import pytest

APP = """
import json, os, time

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/open/"):
        # Waits until somebody writes to the FIFO that the test has made.
        with open("/" + path.removeprefix("/open/"), "rb") as gate:
            gate.read()
    elif path.startswith("/sleep/"):
        time.sleep(float(path.removeprefix("/sleep/")))
    body = environ["wsgi.input"].read()
    about = {
        "pid": os.getpid(),
        "said": len(body),
        "first": body[:1].decode(),
        "query": environ["QUERY_STRING"],
        "field": environ.get("HTTP_X_FIELD"),
        "client": [environ["REMOTE_ADDR"], environ.get("REMOTE_PORT")],
        "server": [environ["SERVER_NAME"], environ["SERVER_PORT"]],
    }
    answer = json.dumps(about).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
    return [answer]
"""


class Busy:
    """A request that keeps a thread in the application until `release`."""

    def __init__(self, server, gate, client=None):
        os.mkfifo(gate)
        self.gate = gate
        self.answer = None
        self._client = client or server.connect()
        self._thread = threading.Thread(target=self._ask, args=(server,))
        self._thread.start()
        # The opening of a FIFO waits for the other side: from here on the thread is in the application.
        self._writer = os.open(gate, os.O_WRONLY)

    def _ask(self, server):
        with self._client:
            self.answer = json.loads(server.get(f"/open{self.gate}", client=self._client).body)

    def release(self):
        os.close(self._writer)
        self._thread.join(30)
        return self.answer

    @property
    def is_running(self):
        return self._thread.is_alive()


@pytest.fixture
def pair(serve, project):
    """Return a function that starts two workers with one thread each."""

    opened = []

    def pair(*flags):
        server = serve("app:application", "--workers", "2", "--threads", "1", *flags, cwd=project(APP))
        connect = server.connect

        def keep():
            opened.append(connect())
            return opened[-1]

        server.connect = keep
        return server

    yield pair
    for client in opened:
        client.close()


def kept_alive(server, count=8):
    """Return kept-alive connections, each with what its worker said about itself."""
    clients = [server.connect() for _ in range(count)]
    return [(client, json.loads(server.get("/", client=client).body)) for client in clients]


def test_new_connections_go_to_the_worker_that_is_free(pair, tmp_path):
    server = pair()
    for round_ in range(3):
        busy = Busy(server, tmp_path / f"gate-{round_}")
        pids = {json.loads(server.get("/").body)["pid"] for _ in range(20)}
        assert busy.is_running
        assert len(pids) == 1
        assert busy.release()["pid"] not in pids


def test_new_connections_at_once_go_to_the_worker_that_is_free(pair, tmp_path):
    server = pair()
    busy = Busy(server, tmp_path / "gate")
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(json.loads(server.get("/").body))) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert busy.is_running
    assert len(answers) == 20
    assert busy.release()["pid"] not in {answer["pid"] for answer in answers}


def test_a_connection_that_says_nothing_at_first_is_served_by_whoever_has_it(pair, tmp_path):
    server = pair()
    busy = Busy(server, tmp_path / "gate")
    silent = [server.connect() for _ in range(5)]
    assert server.get("/").status == 200
    assert all(server.get("/", client=client).status == 200 for client in silent)
    assert busy.is_running
    busy.release()


def test_requests_on_kept_alive_connections_go_to_the_worker_that_is_free(pair, tmp_path):
    server = pair("--access-logfile", "-")
    clients = kept_alive(server)
    busy = Busy(server, tmp_path / "gate", clients.pop()[0])
    answers = []
    for number, (client, before) in enumerate(clients):
        answer = json.loads(
            server.get(f"/kept?n={number}", client=client, headers=[("X-Field", "as sent")]).body
        )
        assert answer["query"] == f"n={number}"
        assert answer["field"] == "as sent"
        assert (answer["client"], answer["server"]) == (before["client"], before["server"])
        answers.append(answer)
    assert busy.is_running
    taken = busy.release()["pid"]
    assert taken not in {answer["pid"] for answer in answers}
    # They stay where they are, and are as good as before.
    for client, _ in clients:
        assert server.get("/after", client=client).status == 200
        client.close()
    for number in range(len(clients)):
        server.wait_for_log(rf'"GET /kept\?n={number} HTTP/1.1" 200')


def test_small_bodies_go_along_and_large_ones_wait(pair, tmp_path):
    server = pair()
    clients = kept_alive(server)
    first = clients[0][1]["pid"]
    mine = [client for client, about in clients if about["pid"] == first]
    while len(mine) < 3:
        client = server.connect()
        if json.loads(server.get("/", client=client).body)["pid"] == first:
            mine.append(client)
    busy = Busy(server, tmp_path / "gate", mine[0])
    small = json.loads(server.get("/", "POST", b"s" * 10_000, client=mine[1]).body)
    assert (small["said"], small["first"]) == (10_000, "s")
    assert small["pid"] != first
    large = []
    waiting = threading.Thread(
        target=lambda: large.append(
            json.loads(server.get("/", "POST", b"l" * 1_000_000, client=mine[2]).body)
        )
    )
    waiting.start()
    assert json.loads(server.get("/", client=mine[1]).body)["pid"] != first
    assert busy.is_running
    assert busy.release()["pid"] == first
    waiting.join(30)
    assert (large[0]["said"], large[0]["first"], large[0]["pid"]) == (1_000_000, "l", first)


def test_pipelined_requests_are_answered_in_order(pair, tmp_path):
    server = pair()
    clients = kept_alive(server)
    busy = Busy(server, tmp_path / "gate", clients.pop()[0])
    for client, _ in clients:
        client.sendall(b"".join(b"GET /?%d HTTP/1.1\r\nHost: test\r\n\r\n" % n for n in range(3)))
    busy.release()
    for client, _ in clients:
        data = b""
        while data.count(b"HTTP/1.1 200") < 3 or not data.endswith(b"}"):
            piece = client.recv(65536)
            assert piece
            data += piece
        assert [data.index(b'"query": "%d"' % n) for n in range(3)] == sorted(
            data.index(b'"query": "%d"' % n) for n in range(3)
        )


def test_what_was_left_to_a_worker_that_does_not_take_it_is_not_lost(pair, tmp_path):
    server = pair()
    clients = kept_alive(server, 12)
    pids = {about["pid"] for _, about in clients}
    busy = Busy(server, tmp_path / "gate", clients.pop()[0])
    while len(pids) < 2:
        pids.add(json.loads(server.get("/").body)["pid"])
    # It has said that it has a free thread, and says nothing more.
    answering = json.loads(server.get("/").body)["pid"]
    os.kill(answering, signal.SIGSTOP)
    try:
        mine = [client for client, about in clients if about["pid"] != answering]
        for client in mine:
            client.sendall(b"GET /?left HTTP/1.1\r\nHost: test\r\n\r\n")
        assert busy.release()["pid"] != answering
        for client in mine:
            assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
    finally:
        os.kill(answering, signal.SIGCONT)


def test_what_was_passed_to_a_worker_that_is_killed_is_answered_by_another(pair, tmp_path):
    server = pair()
    clients = kept_alive(server, 12)
    busy = Busy(server, tmp_path / "gate", clients.pop()[0])
    answering = json.loads(server.get("/").body)["pid"]
    os.kill(answering, signal.SIGSTOP)
    mine = [client for client, about in clients if about["pid"] != answering]
    for client in mine:
        client.sendall(b"GET /?left HTTP/1.1\r\nHost: test\r\n\r\n")
    os.kill(answering, signal.SIGKILL)
    # By the one that takes its place, while the busy one is busy.
    for client in mine:
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert busy.is_running
    busy.release()


def test_connections_that_move_between_workers_get_their_own_answers(serve, project):
    server = serve("app:application", "--workers", "3", "--threads", "1", cwd=project(APP))
    workers, wrong, answered = set(), [], []

    def ask(number):
        dice = random.Random(number)
        client = server.connect()
        with client:
            for turn in range(60):
                body = b"b" * dice.choice([0, 0, 0, 10, 5000])
                path = f"/sleep/{dice.choice([0, 0, 0.002, 0.02])}?{number}-{turn}"
                answer = json.loads(
                    server.get(path, "POST" if body else "GET", body or None, client=client).body
                )
                if (answer["query"], answer["said"]) != (f"{number}-{turn}", len(body)):
                    wrong.append((path, answer))
                workers.add(answer["pid"])
                answered.append(number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []
    assert len(answered) == 12 * 60
    assert len(workers) > 1
