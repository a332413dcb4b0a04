"""The signal queue, in a process of its own."""

import re
from pathlib import Path

from portway.supervisor.signals import MEANINGS
from portway.supervisor.supervisor import Supervisor

PROGRAM = """
import os, select, signal, sys
from portway.supervisor.signals import SignalQueue

queue = SignalQueue()
before = signal.getsignal(signal.SIGTERM)
queue.open()
assert queue.take() == []
for number in (signal.SIGHUP, signal.SIGTTIN, signal.SIGTTIN, signal.SIGTERM):
    os.kill(os.getpid(), number)
select.select([queue], [], [])
taken = queue.take()
assert taken[0] == signal.SIGHUP and taken[-1] == signal.SIGTERM, taken
assert queue.take() == []
for _ in range(100_000):
    signal.raise_signal(signal.SIGUSR1)
assert set(queue.take()) == {signal.SIGUSR1}
queue.close()
assert signal.getsignal(signal.SIGTERM) is before
assert signal.set_wakeup_fd(-1) == -1
"""


def test_signals_wait_in_a_queue(launch):
    assert launch("-W", "error", "-c", PROGRAM).wait() == 0


def test_the_supervisor_has_a_method_for_each_signal_and_no_other():
    methods = {name for name in vars(Supervisor) if name.startswith("on_")}
    assert methods == {f"on_{meaning}" for meaning in MEANINGS.values()}


def test_the_documentation_of_messages_names_those_that_are_understood():
    folder = Path(__file__).parents[2] / "src" / "portway" / "supervisor"
    understood = set(re.findall(r'case "(\w+)"', (folder / "hearing.py").read_text()))
    said = set(re.findall(r'_say\(\s*"(\w+)"', (folder / "mold.py").read_text()))
    named = set(re.findall(r"^    (\w+)  +\S", (folder / "messages.py").read_text(), re.MULTILINE))
    assert named == understood | {"spawn"}
    assert said <= understood
