"""Children in every state, written short; and real supervisors and molds with imitated workers."""

import json
import socket
import time
from pathlib import Path

import pytest

from portway.supervisor.children import Child, Children, Mold, Phase
from portway.supervisor.plan import Stop, Wanted

PHASES = {
    "A": Phase.ASKED,
    "S": Phase.STARTING,
    "R": Phase.READY,
    "D": Phase.DRAINING,
    "Q": Phase.QUITTING,
    "K": Phase.KILLED,
}


@pytest.fixture
def make():
    """Return a function that makes Children: `make("1R 1R 1D", molds="1R", current=1)`.

    Each worker is its generation and the first letter of its phase, and has the slot of its place in the
    list ("-" leaves one free); its process id is 100 more. Molds have the process id of their generation plus
    10. All of them began at 999.0.
    """

    def make(workers="", molds="", current=0, candidate=0, **fields):
        children = Children()
        children.reload_asked = False
        children.current = current
        children.accepted = frozenset({current}) if current else frozenset()
        children.candidate = candidate
        for nr, text in enumerate(workers.split()):
            if text != "-":
                phase = PHASES[text[-1]]
                child = Child(nr, int(text[:-1]), 999.0, phase, pid=0 if phase is Phase.ASKED else 100 + nr)
                children.workers[nr] = child
        for text in molds.split():
            generation = int(text[:-1])
            children.molds[generation] = Mold(generation, 10 + generation, 999.0, PHASES[text[-1]])
        children.newest = max([current, candidate, *children.molds], default=0)
        for name, value in fields.items():
            setattr(children, name, value)
        return children

    return make


@pytest.fixture
def want():
    """Return a function that makes a Wanted of so many workers."""

    def want(workers=2, stop=Stop.NO, **fields):
        values = {
            "trial_workers": workers,
            "slots": 8,
            "graceful_timeout": 30.0,
            "silence": 30.0,
            **fields,
        }
        return Wanted(workers=workers, stop=stop, **values)

    return want


APPLICATION = """
import os

def application(environ, start_response):
    start_response("200 OK", [])
    return [b""]

application.loaded_by = os.getpid()
application.version = {version}
"""


class Supervised:
    """A server of tests/supervisor/programs/server.py; what it has of `ServerProcess` is passed through."""

    def __init__(self, process, folder):
        self._process = process
        self.folder = folder
        self.port = None

    def __getattr__(self, name):
        return getattr(self._process, name)

    def wait_until_ready(self):
        """Wait for the start-up lines."""
        self.port = int(self.wait_for_log(r"Listening on http://127\.0\.0\.1:(\d+)")[1])
        self.wait_for_log("Stop with")
        return self

    def ask(self):
        """Connect, and return what the worker that accepts says about itself."""
        with socket.create_connection(("127.0.0.1", self.port), 30) as client, client.makefile() as answer:
            return json.loads(answer.read())

    def workers(self, count):
        """Return what `count` different workers say, the lowest slot first."""
        answers = {}
        while len(answers) < count:
            answer = self.ask()
            answers[answer["pid"]] = answer
        return sorted(answers.values(), key=lambda answer: answer["nr"])

    def mold(self, generation=1):
        """Return the process id of a mold."""
        return int(self.wait_for_log(rf"The mold of generation {generation} is process (\d+)")[1])

    def write_application(self, version=1, source=APPLICATION):
        """Write the application's module, new for the import system too."""
        (self.folder / "app.py").write_text(source.replace("{version}", str(version)) + "#" * version)


@pytest.fixture
def supervise(launch, tmp_path):
    """Return a function that starts a server: `supervise({"workers": 2}, source=..., FAKE_WORKER=...)`.

    settings: by name. source: of the application's module, None for none. ready: wait until it serves. Other
    keywords are for the environment.
    """
    program = Path(__file__).parent / "programs" / "server.py"

    def supervise(settings=None, source=APPLICATION, ready=True, application="app", **env):
        folder = tmp_path / "project"
        folder.mkdir(exist_ok=True)
        if source is not None:
            (folder / "app.py").write_text(source.replace("{version}", "1"))
        server = Supervised(
            launch(program, json.dumps(settings or {}), application, cwd=folder, **env), folder
        )
        return server.wait_until_ready() if ready else server

    return supervise


BROKEN = """
import json

def read():
    return json.loads("{nonsense")

application = read()
"""


@pytest.fixture
def broken_source():
    """Return the source of an application whose import raises."""
    return BROKEN


def wait_until(condition, why):
    """Wait for something that no event tells of."""
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until, why
        time.sleep(0.01)


@pytest.fixture(name="wait_until")
def wait_until_fixture():
    """Return wait_until(condition, why): polls, and fails with the reason after 30 seconds."""
    return wait_until


@pytest.fixture
def wait_for_text():
    """Return wait_for_text(path, text): waits until a file has the text."""

    def wait_for_text(path, text):
        wait_until(lambda: path.exists() and text in path.read_text(), f"{text!r} never came to {path}")

    return wait_for_text
