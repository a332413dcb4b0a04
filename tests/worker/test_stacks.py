"""Stacks for the log: what of them is shown, and that asking never fails."""

import threading

from portway.worker.stacks import is_in, stack_of


class Waiting:
    """A thread that waits in a function of its own until the block ends."""

    def __enter__(self):
        self._go = threading.Event()
        self._there = threading.Event()
        self._thread = threading.Thread(target=self.wait_in_here)
        self._thread.start()
        assert self._there.wait(10)
        return self._thread.ident

    def wait_in_here(self):
        self._there.set()
        self._go.wait(10)

    def __exit__(self, *exception):
        self._go.set()
        self._thread.join(10)


def test_the_innermost_call_is_last():
    with Waiting() as ident:
        lines = stack_of(ident).split("\n")
    where = [number for number, line in enumerate(lines) if "in wait_in_here" in line]
    assert len(where) == 1
    assert "self._go.wait(10)" in lines[where[0] + 1]
    assert any("threading.py" in line for line in lines[where[0] + 2 :])


def test_a_thread_that_has_ended():
    with Waiting() as ident:
        pass
    assert stack_of(ident) == stack_of(None) == "  (the thread has ended)"
    assert not is_in(ident, "threading")


def test_in_which_packages_a_thread_is():
    with Waiting() as ident:
        assert is_in(ident, "threading")
        assert is_in(ident, __name__)
        assert not is_in(ident, "thread")
        assert not is_in(ident, "logging")


def test_a_loader_that_fails_does_not_matter():
    """Linecache asks the module's loader for source that is in no file."""

    class Loader:
        def get_source(self, _name):
            raise RuntimeError("on purpose")

    source = "def made_up(wait):\n    wait()\n"
    scope = {"__name__": "made_up", "__loader__": Loader()}
    exec(compile(source, "nowhere.py", "exec"), scope)
    there, go = threading.Event(), threading.Event()

    def wait():
        there.set()
        go.wait(10)

    thread = threading.Thread(target=scope["made_up"], args=(wait,))
    thread.start()
    assert there.wait(10)
    text = stack_of(thread.ident)
    go.set()
    thread.join(10)
    assert "made_up" in text or "RuntimeError: on purpose" in text
