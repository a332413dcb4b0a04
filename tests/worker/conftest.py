import json
import os
import re
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def eventually(condition, seconds=20.0):
    """Wait until a condition holds; fail the test if it does not in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not so within {seconds} s: {condition}")
        select.select([], [], [], 0.005)


class Client:
    """A raw HTTP/1.1 client on one connection."""

    def __init__(self, port, timeout=30.0, receive_buffer=None):
        self.sock = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(timeout)
        self.sock.connect(("127.0.0.1", port))
        self.buffer = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def get(self, path, *fields, method="GET"):
        lines = [f"{method} {path} HTTP/1.1", "Host: test", *fields]
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1"))
        return self.response(head_only=method == "HEAD")

    def _more(self):
        data = self.sock.recv(65536)
        if not data:
            raise EOFError(f"closed after {bytes(self.buffer[:200])!r}")
        self.buffer += data

    def _take(self, count):
        while len(self.buffer) < count:
            self._more()
        taken = bytes(self.buffer[:count])
        del self.buffer[:count]
        return taken

    def _line(self):
        while b"\r\n" not in self.buffer:
            self._more()
        line = bytes(self.buffer[: self.buffer.index(b"\r\n")])
        del self.buffer[: len(line) + 2]
        return line

    def response(self, head_only=False):
        """Read one response: (status, fields as a dict with lower-case names, body)."""
        status_line = self._line().decode()
        _, status, _ = re.fullmatch(r"(HTTP/1\.1) (\d{3}) (.*)", status_line).groups()
        fields = {}
        while line := self._line():
            name, _, value = line.decode("latin-1").partition(": ")
            assert name.lower() not in fields, f"{name} twice"
            fields[name.lower()] = value
        status = int(status)
        if head_only or status in (204, 304) or status < 200:
            body = b""
        elif "content-length" in fields:
            body = self._take(int(fields["content-length"]))
        elif fields.get("transfer-encoding") == "chunked":
            pieces = []
            while size := int(self._line(), 16):
                pieces.append(self._take(size))
                assert self._line() == b""
            assert self._line() == b""
            body = b"".join(pieces)
        else:
            body = self.rest()
        return status, fields, body

    def rest(self):
        """Read until the server closes."""
        while True:
            try:
                self._more()
            except EOFError:
                return self._take(len(self.buffer))

    def is_readable(self):
        """Tell whether something of a response, or the end, is here already."""
        return bool(self.buffer or select.select([self.sock], [], [], 0)[0])

    def leave(self, reset=False):
        """Go away without a word, or with a reset."""
        if reset:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def is_closed(self):
        """Wait for the server to close; False if it says something instead."""
        try:
            return self.sock.recv(1) == b""
        except ConnectionResetError:
            return True


class RunningWorker:
    """A worker process of one_worker.py."""

    def __init__(self, application, flags, log_path, env=None):
        self.log_path = log_path
        with open(log_path, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "one_worker.py"), application, *flags],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **(env or {})},
            )
        self.clients = []
        self.lines = []
        self._stdout = b""
        try:
            self.port = self.wait_for_message("listening")["port"]
            self.wait_for_message("ready")
        except BaseException:
            self.close()
            raise

    @property
    def log(self):
        return self.log_path.read_text()

    def _read_line(self):
        while b"\n" not in self._stdout:
            ready, _, _ = select.select([self.process.stdout], [], [], 20)
            assert ready, f"nothing was printed; the log says: {self.log}"
            data = os.read(self.process.stdout.fileno(), 65536)
            assert data, f"the worker ended; its log says: {self.log}"
            self._stdout += data
        line, _, self._stdout = self._stdout.partition(b"\n")
        return line.decode()

    def wait_for_message(self, kind):
        while True:
            line = self._read_line()
            if line.startswith("{"):
                message = json.loads(line)
                if message["type"] == kind:
                    return message
            self.lines.append(line)

    def client(self, **options):
        client = Client(self.port, **options)
        self.clients.append(client)
        return client

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, seconds=20):
        return self.process.wait(seconds)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def highest_descriptor(self):
        return max(map(int, os.listdir(f"/proc/{self.process.pid}/fd")))

    def limit_descriptors(self, count):
        """Let new descriptors have numbers below `count` only; return what the limit was."""
        hard = resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE)[1]
        return resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE, (count, hard))[0]

    def cpu_seconds(self):
        """Return the processor time that it has used so far."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")

    def has_read(self):
        """Wait until it has taken in everything that was sent before; it needs --health-path /-/ for that."""
        with Client(self.port) as client:
            assert client.get("/-/live")[0] == 200

    def close(self):
        for client in self.clients:
            client.sock.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture(name="eventually")
def eventually_fixture():
    """Wait for a condition: eventually(lambda: ...)."""
    return eventually


@pytest.fixture
def start_worker(tmp_path, request):
    """Start a worker: start_worker(application, *flags) -> RunningWorker."""
    running = []

    def start(application="applications:routes", *flags, env=None):
        worker = RunningWorker(application, flags, tmp_path / f"worker-{len(running)}.log", env)
        running.append(worker)
        return worker

    yield start
    for worker in running:
        worker.close()
        log = worker.log
        assert "Portway failed" not in log, log


@pytest.fixture
def tiny_switch_interval():
    """Let threads take turns every microsecond rather than every five milliseconds."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)
