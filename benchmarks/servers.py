"""How each server is started: one process (where it has a supervisor: one worker), no access log, loopback.

A `Server` turns a `Launch` into a command and an environment; it starts nothing itself. Options are given
only where a default would be in the way of the measurement: sizes of backlogs, limits of connections. Servers
without threads are started as they are, whatever number is asked for.
"""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.machine import backlog, package_version, portway_version, tool_version

ROOT = Path(__file__).resolve().parent.parent
_BIN = Path(sys.executable).parent
#: More connections than this need an option where a server has a limit; several have 1000 by default.
_ORDINARY = 900
_MANY = 20_000


@dataclass(frozen=True, slots=True)
class Launch:
    """What a server is to serve.

    application: MODULE:CALLABLE. connections: how many there will be at once. folder: an empty folder for
    the server's own files. env: more variables for the application.
    """

    application: str
    port: int
    threads: int
    connections: int
    folder: Path
    workers: int = 1
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def bind(self) -> str:
        """The address in the form that most servers take."""
        return f"127.0.0.1:{self.port}"

    @property
    def crowded(self) -> bool:
        """Tell whether limits of connections must be raised."""
        return self.connections > _ORDINARY


@dataclass(frozen=True, slots=True)
class Server:
    """A server of the comparison.

    threaded: it runs an application in as many threads as it is told. runs: "wsgi", or "fixed" for a
    server that runs no application and answers the 13 bytes by itself. closes: it ends each connection
    after a response without announcing it.
    """

    name: str
    title: str
    version: Callable[[], str]
    command: Callable[[Launch], list[str]]
    threaded: bool = True
    runs: str = "wsgi"
    env: Mapping[str, str] = field(default_factory=dict)
    closes: bool = False

    def environment(self, launch: Launch) -> dict[str, str]:
        """Return the whole environment: the same for all, and nothing of the shell that runs this."""
        kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
        path = os.pathsep.join([str(_BIN), "/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"])
        return {"PATH": path, "PYTHONPATH": str(ROOT), **kept, **launch.env, **self.env}


def _portway(launch: Launch) -> list[str]:
    more = ["--worker-connections", str(_MANY), "--max-queue", str(_MANY)] if launch.crowded else []
    return [
        *(sys.executable, "-m", "portway", launch.application, "--bind", launch.bind),
        *("--workers", str(launch.workers), "--threads", str(launch.threads), "--backlog", str(backlog())),
        *more,
    ]


def _gunicorn(worker_class: str, parser: str) -> Callable[[Launch], list[str]]:
    def command(launch: Launch) -> list[str]:
        threads = ["--threads", str(launch.threads)] if worker_class == "gthread" else []
        more = ["--worker-connections", str(_MANY)] if launch.crowded else []
        return [
            *(sys.executable, "-m", "gunicorn", launch.application, "--bind", launch.bind),
            *("--workers", str(launch.workers), "--worker-class", worker_class, *threads),
            *("--http-parser", parser, "--no-control-socket", "--backlog", str(backlog()), *more),
        ]

    return command


def _granian(launch: Launch) -> list[str]:
    return [
        *(sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1"),
        *("--port", str(launch.port), "--workers", str(launch.workers)),
        *("--blocking-threads", str(launch.threads), "--backlog", str(backlog()), "--no-ws"),
        *("--log-level", "warning", launch.application),
    ]


def _program(name: str) -> Callable[[Launch], list[str]]:
    def command(launch: Launch) -> list[str]:
        program = [sys.executable, "-m", "benchmarks.programs", name]
        return [*program, launch.application, str(launch.port), str(backlog())]

    return command


def _uwsgi(launch: Launch) -> list[str]:
    threads = ["--threads", str(launch.threads)] if launch.threads > 1 else ["--enable-threads"]
    return [
        *(str(_BIN / "uwsgi"), "--http-socket", launch.bind, "--module", launch.application),
        *("--virtualenv", sys.prefix, "--processes", str(launch.workers), *threads),
        *("--need-app", "--die-on-term", "--disable-logging", "--listen", str(backlog())),
        *("--pythonpath", str(ROOT)),
    ]


def _waitress(launch: Launch) -> list[str]:
    return [
        *(sys.executable, "-m", "waitress", f"--listen={launch.bind}", f"--threads={launch.threads}"),
        *(f"--backlog={backlog()}", f"--connection-limit={_MANY}", "--asyncore-use-poll"),
        launch.application,
    ]


def _cheroot(launch: Launch) -> list[str]:
    return [
        *(sys.executable, "-m", "cheroot", "--bind", launch.bind, "--threads", str(launch.threads)),
        *("--max-threads", str(launch.threads), "--request-queue-size", str(backlog()), launch.application),
    ]


_NGINX_CONF = """\
daemon off;
worker_processes {workers};
error_log stderr warn;
pid {folder}/nginx.pid;
events {{ worker_connections {connections}; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen {bind} backlog={backlog};
        location / {{ default_type text/plain; return 200 "Hello, world!"; }}
    }}
}}
"""


def _nginx(launch: Launch) -> list[str]:
    configuration = launch.folder / "nginx.conf"
    configuration.write_text(
        _NGINX_CONF.format(
            workers=launch.workers,
            folder=launch.folder,
            connections=10_000,
            bind=launch.bind,
            backlog=backlog(),
        )
    )
    return ["nginx", "-p", str(launch.folder), "-e", "stderr", "-c", str(configuration)]


def _gunicorn_c() -> str:
    parser = package_version("gunicorn_h1c")
    return f"{package_version('gunicorn')} (gunicorn_h1c {parser})" if parser else ""


def _installed(distribution: str) -> Callable[[], str]:
    return lambda: package_version(distribution)


SERVERS: tuple[Server, ...] = (
    Server("portway", "Portway", lambda: portway_version(False), _portway),
    Server(
        "portway-uncompiled",
        "Portway, uncompiled",
        lambda: portway_version(True),
        _portway,
        env={"PORTWAY_NO_EXTENSIONS": "1"},
    ),
    Server("fastpysgi", "FastPySGI", _installed("fastpysgi"), _program("fastpysgi"), threaded=False),
    Server("bjoern", "bjoern", _installed("bjoern"), _program("bjoern"), threaded=False),
    Server("granian", "Granian", _installed("granian"), _granian),
    Server("uwsgi", "uWSGI", _installed("uwsgi"), _uwsgi, closes=True),
    Server("cheroot", "Cheroot", _installed("cheroot"), _cheroot),
    Server("waitress", "Waitress", _installed("waitress"), _waitress),
    Server("gunicorn-gthread", "Gunicorn gthread", _installed("gunicorn"), _gunicorn("gthread", "python")),
    Server("gunicorn-gthread-c", "Gunicorn gthread, C parser", _gunicorn_c, _gunicorn("gthread", "fast")),
    Server(
        "gunicorn-sync", "Gunicorn sync", _installed("gunicorn"), _gunicorn("sync", "python"), threaded=False
    ),
    Server(
        "gunicorn-sync-c",
        "Gunicorn sync, C parser",
        _gunicorn_c,
        _gunicorn("sync", "fast"),
        threaded=False,
    ),
    Server(
        "nginx",
        "Nginx `return 200`",
        lambda: tool_version("nginx", "-v"),
        _nginx,
        threaded=False,
        runs="fixed",
    ),
)

BY_NAME: Mapping[str, Server] = {server.name: server for server in SERVERS}
