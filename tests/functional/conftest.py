"""The whole server as people start it: `python -m portway` with flags, and clients that talk to it."""

import glob
import http.client
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from portway import ctl

APPS = Path(__file__).parent / "apps"


@dataclass
class Answer:
    """A response as a client saw it."""

    status: int
    headers: dict
    body: bytes

    @property
    def text(self):
        return self.body.decode()


class Server:
    """A running server: where it is, what it logs, and how to ask it. The rest is that of `ServerProcess`."""

    def __init__(self, process, folder):
        self._process = process
        self.folder = folder
        self.url = None
        self.port = None

    def __getattr__(self, name):
        return getattr(self._process, name)

    def wait_until_ready(self):
        """Wait until the server reports where it listens, and that it serves."""
        self.url = self.wait_for_log(r"Listening on ([^\s,]+)")[1]
        self.wait_for_log("Stop with")
        found = re.fullmatch(r"http://.*:(\d+)", self.url)
        self.port = int(found[1]) if found else None
        return self

    def connect(self):
        """Open a connection to the first address."""
        if self.port is None:
            client = socket.socket(socket.AF_UNIX)
            client.connect(self.url.removeprefix("unix:").replace("\\0", "\0"))
        else:
            host = self.url.removeprefix("http://").rpartition(":")[0].strip("[]")
            client = socket.create_connection((host, self.port))
        client.settimeout(30)
        return client

    def get(self, path="/", method="GET", body=None, headers=(), client=None):
        """Send a request, on a connection of its own unless one is given, and return the answer."""
        connection = http.client.HTTPConnection("127.0.0.1")
        connection.sock = client or self.connect()
        try:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            if client is None:
                connection.close()

    def wait_for_answer(self, text, path="/"):
        """Ask until the answer is this text; a worker that is being replaced may answer once more."""
        answers = (self.get(path).text for _ in range(10_000))
        assert text in answers, self.log


@pytest.fixture
def serve(launch, tmp_path):
    """Return a function that starts a server: `serve("hello:application", "--workers", 2)`.

    It listens on a free port of the loopback interface unless the flags say where or `bind` is False, runs in
    the folder of the sample applications unless `cwd` is given, and is ready when the call returns unless
    `ready` is False. program: what Python is to run instead of portway. Other keywords are for the environment.
    """

    def serve(application, *flags, cwd=APPS, ready=True, bind=True, program=("-m", "portway"), **env):
        arguments = [*program, *flags]
        if bind and not {"--bind", "-b", "--help", "--version"} & set(flags):
            arguments += ["--bind", "127.0.0.1:0"]
        if application is not None:
            arguments.append(application)
        server = Server(launch(*arguments, cwd=cwd, **{"GUNICORN_CMD_ARGS": "", **env}), Path(cwd))
        return server.wait_until_ready() if ready else server

    return serve


@pytest.fixture
def project(tmp_path):
    """Return a function that writes a module into a folder of the test's own, and returns the folder."""
    folder = tmp_path / "project"

    def project(source, name="app.py"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.stat().st_mtime_ns if path.exists() else 0
        path.write_text(source)
        if path.stat().st_mtime_ns // 10**9 == before // 10**9:
            # The import system tells versions of a file apart by the second and the size.
            os.utime(path, ns=(0, before + 10**9))
        return folder

    return project


@dataclass
class Load:
    """Clients that keep asking, each on a connection that it keeps, and what became of their requests.

    A connection may be closed between two requests, and a client that has sent one meanwhile sends it again
    (RFC 9112 section 9.3.1); all else that is not a whole, right answer is a failure.
    """

    server: Server
    path: str = "/"
    clients: int = 8
    answered: int = 0
    closed: int = 0
    bodies: set = field(default_factory=set)
    failures: list = field(default_factory=list)

    def __enter__(self):
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=self._run) for _ in range(self.clients)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception):
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()

    def wait_for(self, more):
        """Wait until so many more requests were answered, or one has failed."""
        with self._changed:
            until = self.answered + more
            assert self._changed.wait_for(lambda: self.failures or self.answered >= until, 60), self

    def _run(self):
        client, used = None, False
        while not self._stop.is_set() and not self.failures:
            try:
                if client is None:
                    client, used = self.server.connect(), False
                answer = self.server.get(self.path, client=client)
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError) as error:
                client.close()
                client = None
                with self._changed:
                    if used:
                        self.closed += 1
                    else:
                        self.failures.append(error)
                    self._changed.notify_all()
                continue
            except Exception as error:
                with self._changed:
                    self.failures.append(error)
                    self._changed.notify_all()
                break
            used = True
            with self._changed:
                self.answered += 1
                self.bodies.add(answer.body)
                if answer.status != 200:
                    self.failures.append(answer)
                self._changed.notify_all()
            if answer.headers.get("Connection") == "close":
                client.close()
                client = None
        if client is not None:
            client.close()


@pytest.fixture
def load():
    """Return the class of clients that keep asking."""
    return Load


def postgresql_programs():
    """Return the folder of PostgreSQL's programs, which Debian does not put on the path; None where there is none."""
    folders = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[-2]))
    on_path = shutil.which("postgres")
    folders = [os.path.dirname(os.path.realpath(on_path)), *folders] if on_path else folders
    return next((folder for folder in reversed(folders) if os.access(f"{folder}/initdb", os.X_OK)), None)


@pytest.fixture(scope="session")
def postgresql():
    """Start a PostgreSQL of the tests' own; return the folder of its Unix socket. The user is `site`, trusted.

    It listens nowhere else, so there is no port to guess. It does not run as root, which it refuses.
    """
    programs = postgresql_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: deploy/install-postgresql, or make test where apt-get is")
    account = {}
    # Short, and not below the folder of the tests: a Unix socket's path has a greatest length, and a user of its own.
    folder = tempfile.mkdtemp(prefix="portway-pg-")
    if os.geteuid() == 0:
        names = [entry.pw_name for entry in pwd.getpwall()]
        user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
        account = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        os.chown(folder, user.pw_uid, user.pw_gid)
    os.chmod(folder, 0o755)
    data = f"{folder}/data"
    options = ["--auth=trust", "--no-sync", "--username=site", "--encoding=UTF8", "--locale=C"]
    try:
        subprocess.run(
            [f"{programs}/initdb", *options, "--pgdata", data],
            check=True,
            stdout=subprocess.DEVNULL,
            **account,
        )
        with open(f"{folder}/log", "wb") as log:
            server = subprocess.Popen(
                [
                    *(f"{programs}/postgres", "-D", data, "-k", folder),
                    *("-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=200"),
                ],
                stdout=log,
                stderr=log,
                cwd=folder,
                **account,
            )
        try:
            for _ in range(6000):
                ready = [f"{programs}/pg_isready", "-q", "-h", folder, "-U", "site"]
                if subprocess.run(ready, check=False).returncode == 0:
                    break
                assert server.poll() is None, Path(folder, "log").read_text()
                threading.Event().wait(0.01)
            yield folder
        finally:
            # INT: connections that are still open are ended.
            server.send_signal(signal.SIGINT)
            server.wait(60)
    finally:
        shutil.rmtree(folder)


#: An application whose answer is its version, and that waits or dies where it is asked to.
VERSION = """
import os

def application(environ, start_response):
    if environ["PATH_INFO"] == "/wait":
        with open(environ["QUERY_STRING"]) as gate:
            gate.read()
    if environ["PATH_INFO"] == "/die":
        os._exit(9)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "1")])
    return [b"{version}"]
"""


@pytest.fixture
def version():
    """Return a function that returns the source of a version of an application.

    It answers with its version; `/wait?FIFO` waits until somebody has written to that file, `/die` ends.
    """
    return lambda number: VERSION.format(version=number)


@pytest.fixture
def control(capsys):
    """Return a function that runs portwayctl and returns its exit status, what it printed, what it complained."""

    def control(server, *arguments):
        code = ctl.main(["--pid", str(server.folder / "portway.pid"), *map(str, arguments)])
        out, err = capsys.readouterr()
        return code, out, err

    return control


@pytest.fixture
def status(control):
    """Return a function that asks for the status."""

    def status(server):
        code, out, _ = control(server, "status", "--json")
        assert code == 0
        return json.loads(out)

    return status


@pytest.fixture
def start(serve, project):
    """Return a function that starts a server of two workers with a pid file, and so with a control socket."""

    def start(*flags, source=None, config="", **more):
        folder = project(source or VERSION.format(version=1))
        project(config, "gunicorn.conf.py")
        return serve("app", "--workers", 2, "--pid", "portway.pid", *flags, cwd=folder, **more)

    return start
