"""What happens to a mold between the import and the first fork."""

import gc
import logging
import os
import sys
import threading
from types import SimpleNamespace

import pytest

from portway.supervisor import remnants, settle
from portway.supervisor.remnants import Watch


class Connections:
    """What django.db.connections does, as far as it is used. pooled: aliases whose settings ask for a pool."""

    def __init__(self, pooled=(), error=None):
        self.settings = {alias: {} for alias in ("default", "other")}
        self.settings["other"]["OPTIONS"] = {"pool": False}
        for alias in pooled:
            self.settings[alias] = {"OPTIONS": {"pool": True}}
        self._error = error
        self.closed = []

    def __iter__(self):
        return iter(self.settings)

    def __getitem__(self, alias):
        return SimpleNamespace(close_pool=lambda: self.closed.append(alias))

    def close_all(self):
        if self._error:
            raise self._error
        self.closed.append("all")


@pytest.fixture
def django_with(monkeypatch):
    def django_with(**options):
        made = Connections(**options)
        monkeypatch.setitem(sys.modules, "django.db", SimpleNamespace(connections=made))
        return made

    return django_with


def test_without_django_there_is_nothing_to_close(monkeypatch):
    monkeypatch.delitem(sys.modules, "django.db", raising=False)
    monkeypatch.delitem(sys.modules, "django.core.cache", raising=False)
    settle.close_django_connections()
    settle.close_django_caches()
    assert not {"django.db", "django.core.cache"} & set(sys.modules)


def test_connections_are_closed_and_then_the_pools_of_all_threads(django_with):
    connections = django_with(pooled=["default"])
    settle.close_django_connections()
    assert connections.closed == ["all", "default"]


def test_connections_that_cannot_be_closed_are_reported(django_with, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("portway.error"), "propagate", True)
    django_with(error=OSError("gone"))
    settle.close_django_connections()
    assert "could not be closed" in caplog.text


def test_connections_of_caches_are_closed(monkeypatch):
    closed = []
    caches = SimpleNamespace(close_all=lambda: closed.append("all"))
    monkeypatch.setitem(sys.modules, "django.core.cache", SimpleNamespace(caches=caches))
    settle.close_django_caches()
    assert closed == ["all"]


def test_what_cannot_be_closed_is_told(monkeypatch):
    monkeypatch.setattr(remnants, "GRACE", 0.0)
    end = threading.Event()
    with Watch() as watch:
        thread = threading.Thread(target=end.wait, name="metrics-exporter")
        thread.start()
    try:
        (remnant,) = settle.settle(watch)
    finally:
        gc.unfreeze()
        end.set()
        thread.join()
    assert "'metrics-exporter'" in remnant.text


def test_what_is_left_is_frozen():
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            settle.settle(Watch())
            code = 0 if gc.get_freeze_count() > 1000 else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
