"""The service manager's socket: what is sent to it, and that its absence is nobody's trouble."""

import os
import socket

import pytest

from portway.supervisor.notify import Notifier


@pytest.mark.parametrize("abstract", [False, True])
def test_states_are_sent_in_one_message(tmp_path, abstract):
    name = f"portway-notify-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(10)
        manager.bind("\0" + name if abstract else str(tmp_path / name))
        notifier = Notifier({"NOTIFY_SOCKET": "@" + name if abstract else str(tmp_path / name)})
        notifier.send("READY=1", "STATUS=two\nlines")
        assert manager.recv(100) == b"READY=1\nSTATUS=two lines"


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "/nowhere/at/all"}])
def test_without_a_service_manager_nothing_happens(environ):
    Notifier(environ).send("READY=1")


def test_a_service_manager_that_does_not_read_is_not_waited_for(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")})
        for _ in range(1000):
            notifier.send("STATUS=" + "x" * 1000)
