"""The client of the control socket, with servers that answer, that do not, and that are none."""

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from portway import control_client
from portway.control_client import ControlClient, ControlError, NoAnswerError, NobodyThereError


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "portway.ctl")


@pytest.fixture
def answer(path: str) -> Iterator[Callable[[Callable[[socket.socket], None]], None]]:
    """Return a function that makes a server of one connection, which is given to the function it is given."""
    threads = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        listener.settimeout(30)

        def answer(serve: Callable[[socket.socket], None]) -> None:
            def run() -> None:
                connection, _ = listener.accept()
                with connection:
                    serve(connection)

            threads.append(threading.Thread(target=run))
            threads[-1].start()

        yield answer
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()


def say(*pieces: bytes) -> Callable[[socket.socket], None]:
    """Return a server that reads a line and then sends the pieces."""

    def serve(connection: socket.socket) -> None:
        with connection.makefile("rb") as lines:
            assert json.loads(lines.readline()) == {"command": "status"}
        for piece in pieces:
            connection.sendall(piece)

    return serve


def ask(path: str, timeout: float = 30.0) -> dict[str, object]:
    with ControlClient(path) as client:
        return client.ask({"command": "status"}, timeout)


@pytest.mark.parametrize("timeout", [0, 30])
def test_an_answer_in_pieces(
    path: str, answer: Callable[[Callable[[socket.socket], None]], None], timeout: float
) -> None:
    answer(say(b'{"ok"', b": true, ", b'"a": 1}\n'))
    assert ask(path, timeout) == {"ok": True, "a": 1}


def test_the_server_is_known_by_its_process_id(
    path: str, answer: Callable[[Callable[[socket.socket], None]], None]
) -> None:
    answer(lambda connection: None)
    with ControlClient(path) as client:
        assert client.pid == os.getpid()


@pytest.mark.parametrize(
    "data", [b"HTTP/1.1 400 Bad Request\n", b"[]\n", b"{}\n", b'{"ok": 1}\n', b"\xff\xfe\n", b"\n"]
)
def test_what_is_no_portway(
    path: str, answer: Callable[[Callable[[socket.socket], None]], None], data: bytes
) -> None:
    answer(say(data))
    with pytest.raises(ControlError, match="is no Portway"):
        ask(path)


@pytest.mark.parametrize("data", [b"", b'{"ok": true'])
def test_a_server_that_ends(
    path: str, answer: Callable[[Callable[[socket.socket], None]], None], data: bytes
) -> None:
    answer(say(data))
    with pytest.raises(ControlError, match="has ended"):
        ask(path)


def test_an_answer_without_an_end(
    path: str,
    answer: Callable[[Callable[[socket.socket], None]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(control_client, "MAX_ANSWER", 1000)

    def serve(connection: socket.socket) -> None:
        try:
            while True:
                connection.sendall(b"x" * 1000)
        except OSError:
            pass

    answer(serve)
    with pytest.raises(ControlError, match="has no end"):
        ask(path)


def test_no_answer_in_time(path: str, answer: Callable[[Callable[[socket.socket], None]], None]) -> None:
    done = threading.Event()
    answer(lambda connection: (connection.sendall(b"{"), done.wait(30), None)[2])
    try:
        with pytest.raises(NoAnswerError, match=r"within 0\.1 s"):
            ask(path, 0.1)
    finally:
        done.set()


def test_nobody_there(tmp_path: Path, path: str) -> None:
    with pytest.raises(NobodyThereError, match="there is no control socket"):
        ControlClient(path)
    with pytest.raises(NobodyThereError, match="there is no control socket"):
        ControlClient(f"{tmp_path}/no/such")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(path)
    with pytest.raises(NobodyThereError, match="nobody listens"):
        ControlClient(path)


def test_a_path_that_is_none(path: str) -> None:
    with pytest.raises(ControlError, match="cannot be used"):
        ControlClient(path + "x" * 200)


def test_a_server_that_has_stopped_to_listen(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_client, "CONNECT_TIMEOUT", 1)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(0)
        with ControlClient(path), pytest.raises(ControlError, match="does not answer"):
            ControlClient(path)
