"""The one table of settings: what each is called, where it may be given, what it may be, what it is for.

The fields of `Settings` are the table: each declares its kind, default, flags and meaning where it declares
its name and type. The command line, the configuration file, `--print-config` and docs/reference/settings.md
are derived from it. Names and flags are Gunicorn's where Gunicorn has the setting. A `Settings` is made by
portway.settings.load and never changes; every process of a generation works with the same one.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from portway.net.addresses import Address, parse_address
from portway.observe.access import DEFAULT_FORMAT, check_format
from portway.settings import kinds
from portway.settings.kinds import Kind
from portway.settings.worker_class import worker_class

CONFIG, SOCKET, WORKERS, TIMES, LIMITS, FILES, PROXY, LOGS, PROCESS, DEBUG = (
    "Configuration",
    "Listening",
    "Workers",
    "Timeouts",
    "Limits",
    "Static and media files",
    "Proxies and responses",
    "Logging",
    "Process",
    "Development and checks",
)

#: A default that portway.settings.load works out on the machine.
WORKED_OUT: Any = None


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table.

    flags: those that take the value, or that mean True; off_flags: those that mean False. env: the
    environment variable that gives the default, "" for none. default_text: how the reference page writes the
    default. gunicorn: True where Gunicorn has the setting by this name.
    """

    name: str
    section: str
    kind: Kind
    default: Any
    default_text: str
    meaning: str
    flags: tuple[str, ...] = ()
    off_flags: tuple[str, ...] = ()
    env: str = ""
    repeatable: bool = False
    gunicorn: bool = True


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value came from. kind: default, machine, environment, file or flag; text: as people say it."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Origin:
    """What settings were loaded from, so that they can be loaded again: see portway.settings.load.load."""

    arguments: tuple[str, ...]
    environ: Mapping[str, str]
    directory: str


def setting(
    section: str,
    kind: Kind,
    default: Any,
    meaning: str,
    *flags: str,
    off: tuple[str, ...] = (),
    env: str = "",
    default_text: str | None = None,
    repeatable: bool = False,
    gunicorn: bool = True,
) -> Any:
    """Return the dataclass field of a setting; its row is completed with the field's name in TABLE."""
    shown = default_text
    if shown is None:
        shown = kind.show(default) or "none"
    row = Setting("", section, kind, default, shown, meaning, flags, off, env, repeatable, gunicorn)
    return field(default=default, metadata={"row": row})


@dataclass(frozen=True)
class Settings:
    """The settings that a generation runs with: an attribute for each row, by its name."""

    # fmt: off
    config: str | None = setting(
        CONFIG, kinds.text("FILE", optional=True, allowed="a path, file:PATH or python:MODULE"), None,
        "The configuration file, Python that is run: PATH, file:PATH or python:MODULE.",
        "-c", "--config", default_text="./portway.conf.py, else ./gunicorn.conf.py, if there is one")
    wsgi_app: str | None = setting(
        CONFIG, kinds.text("APP", optional=True, allowed="MODULE[:CALLABLE]"), None,
        "The application to serve when the command line names none.")

    bind: tuple[Address, ...] = setting(
        SOCKET, kinds.addresses(), (parse_address("127.0.0.1:8000"),),
        "Where to listen; can be given several times. PORT in the environment stands for 0.0.0.0:PORT.",
        "-b", "--bind", env="PORT", repeatable=True)
    backlog: int = setting(
        SOCKET, kinds.integer(1, 65535), 2048,
        "How many connections may wait to be accepted; the kernel's net.core.somaxconn is a bound too.",
        "--backlog")

    workers: int = setting(
        WORKERS, kinds.integer(1, 1024), WORKED_OUT, "The number of worker processes.",
        "-w", "--workers", env="WEB_CONCURRENCY",
        default_text="one for each CPU the cgroup grants, at least 2, fewer where memory is short")
    # A request that waits for the database must not stop a worker; but each thread is a database connection.
    threads: int = setting(
        WORKERS, kinds.integer(1, 1024), 4,
        "The number of threads in each worker that run the application.", "--threads")
    # With the defaults, 2 x (4 + 16) threads with a database connection each: less than PostgreSQL's 100.
    max_io_threads: int = setting(
        WORKERS, kinds.integer(0, 1024), 16,
        "How many threads a worker may add for calls that the application marks as waiting (portway.io_bound).",
        "--max-io-threads", gunicorn=False)
    worker_class: str = setting(
        WORKERS, worker_class(), "gthread",
        "Accepted for Gunicorn's sake: sync and gthread both name Portway's worker, which runs threads.",
        "-k", "--worker-class")
    worker_connections: int = setting(
        WORKERS, kinds.integer(1, 1_000_000), 1000,
        "How many connections a worker holds open at once; more wait in the backlog.", "--worker-connections")
    # As many as there are connections: nobody is refused until the operator says what is too long.
    max_queue: int = setting(
        WORKERS, kinds.integer(1, 1_000_000), 1000,
        "How many complete requests may wait in a worker for a thread; those beyond are answered 503.",
        "--max-queue", gunicorn=False)
    # Nginx and load balancers give up after 60 s: what waited half of that can still be answered within the other half.
    max_queue_time: float = setting(
        WORKERS, kinds.seconds(0, 86400), 30,
        "How long a complete request may wait for a thread before it is answered 503; 0 is for ever.",
        "--max-queue-time", gunicorn=False)
    # Gunicorn's True is a decision of the operator's; nobody has made one here until the flag is given.
    preload_app: bool | None = setting(
        WORKERS, kinds.boolean("auto"), None,
        "Import the application once and fork the workers from there; without it each worker imports it. "
        "auto: once, unless the import leaves threads or connections open, which a fork does not carry over.",
        "--preload", off=("--no-preload",))

    max_requests: int = setting(
        WORKERS, kinds.integer(0, 10**9), 0,
        "Replace a worker when the application has answered so many requests in it, or a few more; 0 is never.",
        "--max-requests")
    max_requests_jitter: int = setting(
        WORKERS, kinds.integer(0, 10**9), 0,
        "Up to how many requests, by chance, are added to max_requests for each worker.",
        "--max-requests-jitter")
    max_lifetime: float = setting(
        WORKERS, kinds.seconds(0, 365 * 86400), 0,
        "Replace a worker that has lived so long, or up to a tenth less, by chance; 0 is never.",
        "--max-lifetime", gunicorn=False)
    # Below what an interpreter with a framework takes, each worker would be replaced as soon as it is ready.
    max_rss: int = setting(
        WORKERS, kinds.size(16 * 1024**2, 1024**5, zero=True), 0,
        "Replace a worker that takes so much memory, measured every ten seconds as PSS, where a page that several "
        "processes share counts for each in part; 0 is never.",
        "--max-rss", gunicorn=False)

    warmup: tuple[str, ...] = setting(
        WORKERS, kinds.own_requests(), (),
        "A path that each worker requests of the application before it serves: it is not ready if that fails or the "
        "answer is 5xx. http://HOST/PATH also says the host. Can be given several times.",
        "--warmup", repeatable=True, gunicorn=False)
    ready_check: str | None = setting(
        WORKERS, kinds.text("MODULE:CALLABLE", optional=True, allowed="MODULE:CALLABLE"), None,
        "What each worker calls, without arguments, before it serves: it is not ready if that raises or returns "
        "a false value.",
        "--ready-check", gunicorn=False)

    timeout: float = setting(
        TIMES, kinds.seconds(0, 86400), 30,
        "How long the application may take for a request before the client is answered 504; 0 is for ever.",
        "-t", "--timeout")
    slow_request: float = setting(
        TIMES, kinds.seconds(0, 86400), 0,
        "Log where a request is that takes longer than this, again at 2, 4 ... times as long; 0 is never.",
        "--slow-request", gunicorn=False)
    graceful_timeout: float = setting(
        TIMES, kinds.seconds(0, 86400), 30,
        "How long requests may take to finish when a worker is to stop.", "--graceful-timeout")
    # The largest Django projects import in some ten seconds; what takes longer waits for something.
    startup_timeout: float = setting(
        TIMES, kinds.seconds(0, 86400), 60,
        "How long the application may take to be imported, and a worker to become ready; 0 is for ever.",
        "--startup-timeout", gunicorn=False)
    # With 0 nobody waits who has no load balancer; those who have know how often it asks.
    drain_delay: float = setting(
        TIMES, kinds.seconds(0, 3600), 0,
        "How long to serve on when told to stop, while the health path answers 503 and each answer says close.",
        "--drain-delay", gunicorn=False)
    # Load balancers keep idle connections for 60 s (AWS) and must not be the last to know that one is closed.
    keepalive: float = setting(
        TIMES, kinds.seconds(0, 86400), 75,
        "How long a connection may wait for its next request; should outlast a load balancer. 0 closes it.",
        "--keep-alive")
    # A head fits into a few packets: 15 s is enough for the slowest network, and short for who only pretends.
    head_timeout: float = setting(
        TIMES, kinds.seconds(1, 3600), 15,
        "How long a request line and its header fields may take to arrive.", "--head-timeout", gunicorn=False)
    # Pauses, not totals: an upload may take hours, and a phone that changes networks is silent for seconds.
    body_timeout: float = setting(
        TIMES, kinds.seconds(1, 3600), 30,
        "How long a client may pause while it sends a request's body.", "--body-timeout", gunicorn=False)
    write_timeout: float = setting(
        TIMES, kinds.seconds(1, 3600), 30,
        "How long a client may take no byte of a response that waits for it.",
        "--write-timeout", gunicorn=False)

    limit_request_line: int = setting(
        LIMITS, kinds.size(0, 65536), 4094,
        "The longest request line in bytes; 0 leaves it to limit_request_head.", "--limit-request-line")
    limit_request_fields: int = setting(
        LIMITS, kinds.integer(0, 32768), 100,
        "The greatest number of header fields; 0 leaves it to limit_request_head.", "--limit-request-fields")
    limit_request_field_size: int = setting(
        LIMITS, kinds.size(0, 1024**2), 8190,
        "The longest header field in bytes; 0 leaves it to limit_request_head.",
        "--limit-request-field_size", "--limit-request-field-size")
    limit_request_head: int = setting(
        LIMITS, kinds.size(1024, 16 * 1024**2), 65536,
        "The greatest size of the request line and all header fields together, in bytes.",
        "--limit-request-head", gunicorn=False)
    # Far above what forms and most uploads need, far below a disk: bodies are buffered on one.
    max_body: int = setting(
        LIMITS, kinds.size(1, 1024**5, zero=True), 100 * 1024**2,
        "The largest request body, as 512k, 20m or 1g; larger ones are answered 413. 0 is no limit.",
        "--max-body", gunicorn=False)

    static: tuple[tuple[str, str], ...] = setting(
        FILES, kinds.mounts(), (),
        "Serve the files of a folder that change only with a release; can be given several times.",
        "--static", repeatable=True, gunicorn=False)
    media: tuple[tuple[str, str], ...] = setting(
        FILES, kinds.mounts(), (),
        "Serve the files of a folder that users add to; can be given several times.",
        "--media", repeatable=True, gunicorn=False)
    auto_static: bool = setting(
        FILES, kinds.boolean(), True,
        "Serve STATIC_URL from STATIC_ROOT and MEDIA_URL from MEDIA_ROOT of a Django project's settings.",
        off=("--no-static",), gunicorn=False)

    forwarded_allow_ips: tuple[str, ...] = setting(
        PROXY, kinds.peers(), ("127.0.0.1", "::1"),
        "The proxies whose X-Forwarded-For and -Proto are believed; peers on a Unix socket always are.",
        "--forwarded-allow-ips", env="FORWARDED_ALLOW_IPS")
    script_name: str = setting(
        PROXY, kinds.prefix(slash=False), "",
        "The path that the application is mounted at, as /app: SCRIPT_NAME in environ.",
        "--script-name", env="SCRIPT_NAME", gunicorn=False)
    server_header: bool = setting(
        PROXY, kinds.boolean(), True, "Send a Server field with each response.",
        "--server-header", off=("--no-server-header",), gunicorn=False)
    health_path: str = setting(
        PROXY, kinds.prefix(slash=True), "",
        "Answer PATHlive and PATHready without the application, as /-/ for /-/live and /-/ready.",
        "--health-path", gunicorn=False)

    accesslog: str | None = setting(
        LOGS, kinds.text("FILE", optional=True, allowed="a path, or - for standard output"), None,
        "Where each request is logged; - is standard output.", "--access-logfile")
    access_log_format: str = setting(
        LOGS, dataclasses.replace(
            kinds.text("FORMAT", allowed="a format of the access log"), parse=check_format), DEFAULT_FORMAT,
        "What the access log says about a request.", "--access-logformat")
    errorlog: str = setting(
        LOGS, kinds.text("FILE", allowed="a path, or - for standard error"), "-",
        "Where the server says what it does and what went wrong; - is standard error.",
        "--error-logfile", "--log-file")
    loglevel: str = setting(
        LOGS, kinds.choice(("debug", "info", "warning", "error", "critical"), "LEVEL"), "info",
        "The least important messages that are logged.", "--log-level")

    chdir: str = setting(
        PROCESS, kinds.text("FOLDER", allowed="the path of a folder"), WORKED_OUT,
        "The folder to change to; it is also put on the path that modules are imported from.",
        "--chdir", default_text="the current folder")
    pythonpath: tuple[str, ...] = setting(
        PROCESS, kinds.paths(), (), "More folders to import modules from, in a comma list.", "--pythonpath")
    raw_env: tuple[str, ...] = setting(
        PROCESS, kinds.variables(), (),
        "Set a variable in the application's environment; can be given several times.",
        "-e", "--env", repeatable=True)
    pidfile: str | None = setting(
        PROCESS, kinds.text("FILE", optional=True, allowed="a path"), None,
        "The file to write the supervisor's process id to.", "-p", "--pid")
    control_socket: str | None = setting(
        PROCESS, kinds.text("FILE", optional=True, allowed="a path"), WORKED_OUT,
        "The Unix socket on which portwayctl asks the server how it is and tells it what to do.",
        "--control-socket",
        default_text="beside the pid file (x.ctl for x.pid), else in RUNTIME_DIRECTORY, else none")
    control_socket_mode: int = setting(
        PROCESS, kinds.mode(), 0o600,
        "Who may use the control socket: the permissions of its file, in octal.", "--control-socket-mode")
    control_socket_disable: bool = setting(
        PROCESS, kinds.boolean(), False, "Have no control socket.", "--no-control-socket")
    proc_name: str = setting(
        PROCESS, kinds.text("NAME", allowed="a name"), "portway",
        "What the processes are called in ps and top, where setproctitle is installed.", "-n", "--name")
    user: int | None = setting(
        PROCESS, kinds.user(), None, "The user, by name or number, that workers run as.",
        "-u", "--user", default_text="the one that starts the server")
    group: int | None = setting(
        PROCESS, kinds.group(), None, "The group, by name or number, that workers run as.",
        "-g", "--group", default_text="that of the process that starts the server")
    umask: int | None = setting(
        PROCESS, kinds.umask(), None, "The mode bits that new files and Unix sockets do not get.",
        "-m", "--umask", default_text="that of the process that starts the server")

    reload: bool = setting(
        DEBUG, kinds.boolean(), False, "Start new workers when the code changes; for development.",
        "--reload")
    check_config: bool = setting(
        DEBUG, kinds.boolean(), False,
        "Check the settings, load the application, and exit: 0 when all is well, else 1.", "--check-config")
    print_config: bool = setting(
        DEBUG, kinds.boolean(), False,
        "Print each setting and where its value came from, then do as --check-config.", "--print-config")
    # fmt: on

    sources: Mapping[str, Source] = field(default_factory=dict, repr=False, compare=False)
    sizing_reason: str = field(default="", repr=False, compare=False)
    origin: Origin | None = field(default=None, repr=False, compare=False)

    def explain(self, name: str) -> str:
        """Say where the value came from: "default", "GUNICORN_CMD_ARGS --workers", a file's path."""
        source = self.sources.get(name)
        return source.text if source else "default"

    def source(self, name: str) -> str:
        """Return the kind of place that the value came from: default, machine, environment, file or flag."""
        source = self.sources.get(name)
        return source.kind if source else "default"


def _rows() -> dict[str, Setting]:
    return {
        f.name: dataclasses.replace(f.metadata["row"], name=f.name)
        for f in dataclasses.fields(Settings)
        if "row" in f.metadata
    }


#: Every setting by its name, in the order of the reference page.
TABLE: Mapping[str, Setting] = _rows()
