"""The control socket: requests whole, in pieces and hostile; nobody makes the supervisor wait."""

import json
import os
import select
import socket
import stat
import time

import pytest

from portway.settings.table import Settings, Source
from portway.supervisor import control as module
from portway.supervisor.control import IDLE, MAX_CLIENTS, MAX_REQUEST, Control, ControlSocketError


class Socket:
    """A control socket whose requests are answered by what they are, and its clients."""

    def __init__(self, path):
        self.path = path
        self.requests = []
        self.waiting = []
        self.clients = []
        self.control = Control(self.handle)
        self.control.use(str(path))

    def handle(self, request, client):
        self.requests.append(request)
        match request:
            case {"command": "later"}:
                self.waiting.append(client)
            case {"command": "raise"}:
                raise RuntimeError("a mistake")
            case {"command": "much", "size": size}:
                client.answer({"ok": True, "much": "x" * size})
            case {"command": "who"}:
                client.answer({"ok": True, "who": client.who})
            case _:
                client.answer({"ok": True, **request})

    def connect(self):
        """Connect a client; nothing in this process may wait for the other side."""
        client = socket.socket(socket.AF_UNIX)
        client.setblocking(False)
        client.connect(str(self.path))
        self.clients.append(client)
        self.settle()
        return client

    def settle(self, now=None):
        """Let the socket do what it can, until nothing is left to do."""
        for _ in range(1000):
            self.control.take(time.monotonic() if now is None else now)
            if not select.select([self.control], [], [], 0)[0]:
                return
        raise AssertionError("there is always something to do")

    def send(self, client, *requests):
        """Send requests and return all that came back."""
        client.send(b"".join(json.dumps(request).encode() + b"\n" for request in requests))
        return self.answers(client)

    def answers(self, client):
        """Return the answers that have come, and None at the end for the end of the connection."""
        received = b""
        while True:
            self.settle()
            try:
                data = client.recv(1 << 16)
            except BlockingIOError:
                lines = received.splitlines(keepends=True)
                assert all(line.endswith(b"\n") for line in lines)
                return [json.loads(line) for line in lines]
            except ConnectionResetError:
                data = b""
            if not data:
                return [*map(json.loads, received.splitlines()), None]
            received += data

    def is_open(self, client):
        """Tell whether the other side still has the client."""
        self.settle()
        try:
            return client.recv(1, socket.MSG_PEEK) != b""
        except BlockingIOError:
            return True
        except ConnectionResetError:
            return False


@pytest.fixture
def sock(tmp_path):
    """An open control socket."""
    sock = Socket(tmp_path / "portway.ctl")
    yield sock
    for client in sock.clients:
        client.close()
    sock.control.close()


# Requests.


def test_a_request_is_answered(sock):
    client = sock.connect()
    assert sock.send(client, {"command": "status"}) == [{"ok": True, "command": "status"}]
    assert sock.send(client, {"a": 1}, {"b": 2}) == [{"ok": True, "a": 1}, {"ok": True, "b": 2}]
    assert sock.is_open(client)


def test_a_request_in_pieces(sock):
    client = sock.connect()
    for byte in b'{"command": "status"}':
        client.send(bytes([byte]))
        assert sock.answers(client) == []
    client.send(b"\n")
    assert sock.answers(client) == [{"ok": True, "command": "status"}]


def test_the_last_request_needs_no_line_feed(sock):
    client = sock.connect()
    client.send(b'{"a": 1}\n{"b": 2}')
    client.shutdown(socket.SHUT_WR)
    assert sock.answers(client) == [{"ok": True, "a": 1}, {"ok": True, "b": 2}, None]


def test_half_a_request_at_the_end_is_refused(sock):
    client = sock.connect()
    client.send(b'{"command": "st')
    client.shutdown(socket.SHUT_WR)
    (answer, end) = sock.answers(client)
    assert not answer["ok"]
    assert end is None
    assert sock.requests == []


@pytest.mark.parametrize(
    "line",
    [
        b"status",
        b"",
        b"[]",
        b'"status"',
        b"null",
        b"\x00\xff\xfe",
        b"GET / HTTP/1.1\r",
        b"[" * (MAX_REQUEST - 1),
        b'{"a":' * 800,
        b"9" * (MAX_REQUEST - 1),
    ],
)
def test_garbage_is_refused_and_the_next_request_answered(sock, line):
    client = sock.connect()
    client.send(line + b"\n")
    (answer,) = sock.answers(client)
    assert answer == {"ok": False, "error": "a request is a JSON object on a line"}
    assert sock.send(client, {"a": 1}) == [{"ok": True, "a": 1}]


@pytest.mark.parametrize(("size", "taken"), [(-1, True), (0, True), (1, False), (10 * MAX_REQUEST, False)])
def test_the_length_of_a_request_is_bounded(sock, size, taken):
    client = sock.connect()
    empty = len(b'{"a": ""}\n')
    client.send(b'{"a": "%s"}\n' % (b"x" * (MAX_REQUEST + size - empty)))
    answers = sock.answers(client)
    assert answers[0]["ok"] is taken
    if not taken:
        assert answers == [{"ok": False, "error": f"a request has at most {MAX_REQUEST} bytes"}, None]


def test_a_line_without_an_end_is_not_kept(sock):
    client = sock.connect()
    refused = False
    for _ in range(100):
        try:
            client.send(b"x" * 1000)
        except BrokenPipeError:
            refused = True
            break
        sock.settle()
        assert sum(len(one.received) for one in sock.control._clients.values()) <= 2 * MAX_REQUEST
    assert refused
    assert not sock.answers(client)[0]["ok"]


def test_an_error_of_the_handler_is_answered(sock, caplog):
    client = sock.connect()
    (answer,) = sock.send(client, {"command": "raise"})
    assert answer == {"ok": False, "error": "an error in the server; its log has it"}
    assert "a mistake" in caplog.text
    assert sock.send(client, {"a": 1}) == [{"ok": True, "a": 1}]


def test_the_log_can_name_the_client(sock):
    (answer,) = sock.send(sock.connect(), {"command": "who"})
    assert answer["who"] == f"process {os.getpid()} of user {os.getuid()}"


# Answers that come later.


def test_an_answer_may_come_later_and_keeps_its_place(sock):
    client = sock.connect()
    assert sock.send(client, {"command": "later"}, {"a": 1}) == []
    sock.waiting.pop().answer({"ok": True, "late": 1})
    assert sock.answers(client) == [{"ok": True, "late": 1}, {"ok": True, "a": 1}]


def test_a_second_answer_to_a_request_is_not_sent(sock):
    client = sock.connect()
    sock.send(client, {"command": "later"})
    late = sock.waiting.pop()
    late.answer({"ok": True})
    late.answer({"ok": False})
    assert sock.answers(client) == [{"ok": True}]


def test_who_waits_is_not_read_and_not_idle(sock):
    client = sock.connect()
    sock.send(client, {"command": "later"})
    taken = 0
    try:
        while taken < 10_000_000:
            taken += client.send(b"x" * 1000)
            sock.settle()
    except BlockingIOError:
        pass
    assert taken < 10_000_000
    assert sum(len(one.received) for one in sock.control._clients.values()) <= MAX_REQUEST
    assert sock.control.next_deadline() is None
    sock.settle(time.monotonic() + 100 * IDLE)
    assert sock.is_open(client)


def test_who_waits_and_goes_is_forgotten(sock):
    client = sock.connect()
    sock.send(client, {"command": "later"})
    client.close()
    sock.settle()
    assert not sock.control._clients
    sock.waiting.pop().answer({"ok": True})


def test_an_answer_does_not_go_to_the_next_client_with_the_same_descriptor(sock):
    first = sock.connect()
    sock.send(first, {"command": "later"})
    first.close()
    sock.settle()
    second = sock.connect()
    sock.send(second, {"command": "later"})
    sock.waiting[0].answer({"ok": True})
    assert sock.answers(second) == []


def test_who_waits_with_its_side_closed_still_gets_the_answer(sock):
    client = sock.connect()
    sock.send(client, {"command": "later"})
    client.shutdown(socket.SHUT_WR)
    assert sock.answers(client) == []
    sock.waiting.pop().answer({"ok": True})
    assert sock.answers(client) == [{"ok": True}, None]


# Clients that do not do their part.


def test_a_slow_reader_holds_nobody_up_and_gets_everything(sock):
    slow, quick = sock.connect(), sock.connect()
    size = 4_000_000
    request = json.dumps({"command": "much", "size": size}).encode() + b"\n"
    slow.send(request + b'{"a": 1}\n')
    sock.settle()
    assert sock.send(quick, {"a": 2}) == [{"ok": True, "a": 2}]
    assert len(sock.requests) == 2  # what comes after an answer waits until it is taken
    much, after = sock.answers(slow)
    assert len(much["much"]) == size
    assert after == {"ok": True, "a": 1}


def test_a_reader_that_stops_is_forgotten_after_a_while(sock):
    client = sock.connect()
    client.send(json.dumps({"command": "much", "size": 4_000_000}).encode() + b"\n")
    sock.settle()
    sock.settle(sock.control.next_deadline() + 0.001)
    assert not sock.control._clients


@pytest.mark.parametrize("data", [b"", b"{", b'{"a": 1}\n{'])
def test_an_idle_client_is_forgotten_after_a_while(sock, data):
    client = sock.connect()
    client.send(data)
    sock.answers(client)
    deadline = sock.control.next_deadline()
    sock.settle(deadline - 0.001)
    assert sock.is_open(client)
    sock.settle(deadline)
    assert not sock.is_open(client)
    assert sock.control.next_deadline() is None


def test_pieces_of_a_request_do_not_lengthen_the_time(sock):
    client = sock.connect()
    deadline = sock.control.next_deadline()
    client.send(b"{")
    sock.settle()
    assert sock.control.next_deadline() == deadline


def test_the_number_of_clients_is_bounded(sock):
    clients = [sock.connect() for _ in range(MAX_CLIENTS)]
    more = sock.connect()
    (answer, end) = sock.answers(more)
    assert answer == {"ok": False, "error": f"{MAX_CLIENTS} clients are connected; try again in a while"}
    assert end is None
    assert all(sock.is_open(client) for client in clients)
    clients[3].close()
    assert sock.send(sock.connect(), {"a": 1}) == [{"ok": True, "a": 1}]


def test_many_clients_that_come_and_go_leave_nothing(sock):
    descriptors = len(os.listdir("/proc/self/fd"))
    for number in range(300):
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(sock.path))
        client.send(
            [b"", b"{", b'{"command": "later"}\n', b'{"command": "much", "size": 300000}\n'][number % 4]
        )
        if number % 3:
            sock.settle()
        client.close()
        sock.settle()
    assert not sock.control._clients
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_without_a_descriptor_for_a_client_the_loop_comes_to_rest(sock, monkeypatch):
    class NoDescriptor:
        def __init__(self, real):
            self._real = real

        def accept(self):
            raise OSError(24, "Too many open files")

        def __getattr__(self, name):
            return getattr(self._real, name)

    client = socket.socket(socket.AF_UNIX)
    client.connect(str(sock.path))
    sock.clients.append(client)
    listener = sock.control._listener
    real = listener.socket
    listener.socket = NoDescriptor(real)
    now = time.monotonic()
    sock.settle(now)
    assert sock.control.next_deadline() == now + module.PAUSE
    listener.socket = real
    sock.settle(now + module.PAUSE)
    client.setblocking(False)
    assert sock.send(client, {"a": 1}) == [{"ok": True, "a": 1}]


# The file.


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
def test_the_file_has_its_mode_from_the_beginning(tmp_path, mode):
    path = tmp_path / "portway.ctl"
    before = os.umask(0o022)
    control = Control(lambda request, client: None)
    try:
        control.use(str(path), mode)
        assert stat.S_IMODE(path.stat().st_mode) == mode
        control.use(str(path), 0o640)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        assert os.umask(0o022) == 0o022
    finally:
        control.close()
        os.umask(before)
    assert not path.exists()


def test_another_path_takes_the_place_of_the_first(sock, tmp_path):
    client = sock.connect()
    second = tmp_path / "second.ctl"
    sock.control.use(str(second))
    assert not sock.path.exists()
    assert sock.send(client, {"a": 1}) == [{"ok": True, "a": 1}]
    sock.path = second
    assert sock.send(sock.connect(), {"a": 2}) == [{"ok": True, "a": 2}]
    sock.control.use(None)
    assert not second.exists()
    sock.control.use(str(second))
    assert sock.send(sock.connect(), {"a": 3}) == [{"ok": True, "a": 3}]


def test_a_file_that_was_taken_away_is_made_again(sock):
    sock.path.unlink()
    sock.control.use(str(sock.path))
    assert sock.send(sock.connect(), {"a": 1}) == [{"ok": True, "a": 1}]


def test_what_a_killed_server_left_is_replaced(tmp_path):
    path = tmp_path / "portway.ctl"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    control = Control(lambda request, client: None)
    control.use(str(path))
    control.close()
    assert not path.exists()


def test_another_servers_socket_stays(sock):
    other = Control(lambda request, client: None)
    with pytest.raises(ControlSocketError, match="the address is in use") as caught:
        other.use(str(sock.path))
    assert str(caught.value).startswith(f"The control socket {sock.path} cannot be opened: ")
    assert "--control-socket" in str(caught.value)
    assert other.path is None
    other.close()
    assert sock.send(sock.connect(), {"a": 1}) == [{"ok": True, "a": 1}]


def test_a_path_that_cannot_be_used_leaves_the_one_before(sock, tmp_path):
    (tmp_path / "file").write_text("not a socket")
    for path in ("file", "no/such/folder.ctl", "x" * 200):
        with pytest.raises(ControlSocketError):
            sock.control.use(str(tmp_path / path))
    assert sock.send(sock.connect(), {"a": 1}) == [{"ok": True, "a": 1}]
    assert (tmp_path / "file").read_text() == "not a socket"


def test_a_socket_that_nobody_asked_for_by_name_is_done_without(tmp_path, caplog):
    control = Control(lambda request, client: None)
    path = str(tmp_path / "no" / "such.ctl")
    source = Source("machine", "beside the pid file")
    control.follow(Settings(control_socket=path, sources={"control_socket": source}))
    assert control.path is None
    assert "its folder does not exist" in caplog.text
    with pytest.raises(ControlSocketError):
        control.follow(Settings(control_socket=path))
    control.close()


def test_a_forked_process_lets_go_of_the_socket_and_the_clients(sock):
    client = sock.connect()
    pid = os.fork()
    if pid == 0:
        sock.control.abandon()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert sock.path.exists()
    assert sock.send(client, {"a": 1}) == [{"ok": True, "a": 1}]
    assert sock.send(sock.connect(), {"a": 2}) == [{"ok": True, "a": 2}]
