"""What happens to a mold between the import and the first fork."""

import gc
import logging
import os
import sys
import threading
from types import SimpleNamespace

import pytest

from portway.supervisor import settle


class Connections:
    """What django.db.connections does, as far as it is used."""

    def __init__(self, connections, error=None):
        self._connections = connections
        self._error = error
        self.closed = 0

    def all(self, initialized_only=False):
        assert initialized_only
        return self._connections

    def close_all(self):
        if self._error:
            raise self._error
        self.closed += 1


@pytest.fixture
def django_with(monkeypatch):
    def django_with(*connections, error=None):
        made = Connections(connections, error)
        monkeypatch.setitem(sys.modules, "django.db", SimpleNamespace(connections=made))
        return made

    return django_with


def test_without_django_there_is_nothing_to_close(monkeypatch):
    monkeypatch.delitem(sys.modules, "django.db", raising=False)
    settle.close_django_connections()
    assert "django.db" not in sys.modules


def test_connections_and_pools_are_closed(django_with):
    closed = []
    pooled = SimpleNamespace(close_pool=lambda: closed.append("pool"))
    connections = django_with(SimpleNamespace(), pooled)
    settle.close_django_connections()
    assert connections.closed == 1
    assert closed == ["pool"]


def test_connections_that_cannot_be_closed_are_reported(django_with, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("portway.error"), "propagate", True)
    django_with(error=OSError("gone"))
    settle.close_django_connections()
    assert "could not be closed" in caplog.text


def test_threads_that_were_started_are_named(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("portway.error"), "propagate", True)
    end = threading.Event()
    thread = threading.Thread(target=end.wait, name="metrics-exporter")
    thread.start()
    try:
        settle.report_threads()
    finally:
        end.set()
        thread.join()
    assert "(metrics-exporter): workers do not have them" in caplog.text


def test_what_is_left_is_frozen():
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            settle.settle()
            code = 0 if gc.get_freeze_count() > 1000 else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
