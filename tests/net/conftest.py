"""Outboxes, and a socket with little room to flush them into."""

import socket

import pytest

from portway.net.outbox import Outbox


@pytest.fixture
def pair():
    """A non-blocking socket with a small buffer, and its peer."""
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    ours.setblocking(False)
    theirs.settimeout(30.0)
    yield ours, theirs
    ours.close()
    theirs.close()


@pytest.fixture
def outbox():
    """Return outbox(**options): makes an Outbox that is closed after the test."""
    made = []

    def make(**options):
        made.append(Outbox(**options))
        return made[-1]

    yield make
    for one in made:
        one.close()
