"""The mold: one process of each generation, which loads the application and then only forks workers.

`Mold.run` is the main function of a process that the supervisor forks. It prepares the process, loads the
application (or, without preload, finds out in a child of its own what is to be served beside it), scans the
static files, closes what must not be shared, and then forks a worker for each message that asks for one. It
serves nothing and has no threads of its own; it ends when the supervisor closes the channel or is gone.

What a worker needs is handed down by the fork: it begins in `Mold._work`, in a process that is the
supervisor's child.
"""

import faulthandler
import importlib
import json
import logging
import os
import pwd
import select
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any

from portway.files.mounts import Mount
from portway.files.server import FileServer
from portway.net.listeners import Listener
from portway.net.relay import Relay
from portway.observe.log import Logs
from portway.observe.scoreboard import Scoreboard
from portway.settings.application import LoadedTarget, load_target, prepare_process
from portway.settings.table import Settings
from portway.settings.target import Target
from portway.supervisor import report, settle, signals, spawn, startup
from portway.supervisor.children import Failure
from portway.supervisor.messages import Channel, Inbox, pack_failure, unpack_failure
from portway.supervisor.remnants import Remnant, Watch
from portway.supervisor.understudy import Understudy

log = logging.getLogger("portway.error")

#: What a worker's process runs: given a portway.worker.spec.WorkerSpec, it returns the exit code.
RunWorker = Callable[[Any], int]

#: How many paths one message about loaded files holds.
_PATHS_PER_MESSAGE = 200

#: Variables that are meant for the supervisor alone (sd_notify(3), sd_listen_fds(3)).
_SUPERVISORS_OWN = ("NOTIFY_SOCKET", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


@dataclass(slots=True)
class MoldSpec:
    """The beginning of a mold's life.

    supervisor: the process id of its parent. channel: its end of the path on which it is asked for workers.
    life_fd: reports end of file when the supervisor is gone. run_worker: None for
    portway.worker.process.run_worker. relay: see portway.worker.spec.WorkerSpec.
    """

    settings: Settings
    target: Target
    generation: int
    listeners: list[Listener]
    scoreboard: Scoreboard
    logs: Logs
    supervisor: int
    channel: Channel
    inbox: Inbox
    life_fd: int
    run_worker: RunWorker | None = None
    relay: Relay | None = None


class Mold:
    """One mold, seen from inside."""

    def __init__(self, spec: MoldSpec) -> None:
        self._spec = spec
        self._understudy: Understudy | None = None
        self._application: Callable[..., Any] | None = None
        self._file_server: FileServer | None = None

    def run(self) -> int:
        """Load, then fork workers until the channel is closed; return the exit code."""
        settings = self._spec.settings
        spawn.set_title(settings.proc_name, f"mold (generation {self._spec.generation})")
        self._take_signals()
        _dump_stacks_on_abort(self._spec.logs)
        startup.begin(settings.startup_timeout)
        try:
            self._prepare()
            if settings.preload_app is None:
                # Whether the application can be forked is known when it is too late to take the import back.
                self._understudy = self._make_understudy()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the operator gets a report
            return self._fail(error)
        return self._load_and_fork()

    def _make_understudy(self) -> Understudy | None:
        try:
            return Understudy(self._spec.supervisor, self._take_over)
        except OSError as error:
            # A kernel before 5.3 has no pidfd_open; there it is as it would be with --preload.
            log.info(
                "An application that cannot be forked after its import is forked all the same: %s.", error
            )
            return None

    def _take_over(self) -> int:
        """Be the mold of an application that must not be forked after its import, in the place of the one before."""
        self._understudy = None
        spawn.end_with_parent(self._spec.supervisor)
        startup.begin(self._spec.settings.startup_timeout)
        # They may have been rotated while this process had no name.
        self._spec.logs.reopen()
        self._spec.settings = replace(self._spec.settings, preload_app=False)
        return self._load_and_fork()

    def _load_and_fork(self) -> int:
        try:
            with Watch() as watch:
                mounts = self._load()
            remnants = settle.settle(watch) if self._application is not None else []
            startup.end()
        except BaseException as error:  # noqa: BLE001 - as above
            return self._fail(error)
        if self._leave_to_understudy(remnants):
            return 0
        self._report_files(None)
        self._take_signals()
        self._say("mold_ready", mounts=mounts)
        self._serve_channel()
        return 0

    def _fail(self, error: BaseException) -> int:
        startup.end()
        self._dismiss_understudy()
        failure = report.describe(error)
        self._say("mold_failed", failure=pack_failure(failure))
        self._report_files(error)
        return failure.exit_code

    def _dismiss_understudy(self) -> None:
        if self._understudy is not None:
            self._understudy.dismiss()
            self._understudy = None

    def _leave_to_understudy(self, remnants: list[Remnant]) -> bool:
        """Say what the import left behind; return whether the understudy takes over because of it."""
        # What listens on an address cannot be imported twice.
        leaves = self._understudy is not None and bool(remnants) and all(one.again for one in remnants)
        if leaves:
            log.warning(
                "The application cannot be forked after its import, for the reasons below: each worker imports it for "
                "itself. (--preload forks it all the same.)"
            )
        for remnant in remnants:
            log.warning("%s", remnant.text)
        if leaves and self._understudy is not None:
            # The understudy does not have them.
            self._report_files(None)
            self._say("mold_moved", mold=self._understudy.pid)
            self._understudy.call()
        else:
            self._dismiss_understudy()
        return leaves

    # Loading.

    def _prepare(self) -> None:
        for name in _SUPERVISORS_OWN:
            os.environ.pop(name, None)
        # Before the change of the user, who may not be able to read where Python itself is.
        importlib.invalidate_caches()
        _change_user(self._spec.settings)
        # A long import must not outlive a supervisor that was killed. The change of the user would undo this.
        spawn.end_with_parent(self._spec.supervisor)
        prepare_process(self._spec.settings, self._spec.target)

    def _load(self) -> list[tuple[str, str, str]]:
        """Load the application or ask a child about it; make the file server; return the mounts."""
        if self._spec.run_worker is None:
            # Imported here so that the workers share it, and not above so that the supervisor need not have
            # it.
            from portway.worker.process import run_worker

            self._spec.run_worker = run_worker
        if self._spec.settings.preload_app is not False:
            loaded = load_target(self._spec.settings, self._spec.target)
            self._application = loaded.application
            found = _describe(loaded)
        else:
            found = _probe(self._spec, self._report_files)
        for note in found["notes"]:
            log.info("%s", note)
        for warning in found["warnings"]:
            log.warning("%s", warning)
        mounts = [(url, folder, kind) for url, folder, kind in found["mounts"]]
        if mounts:
            self._file_server = FileServer([Mount(url, folder, kind) for url, folder, kind in mounts])
        return mounts

    def _load_in_worker(self) -> Callable[..., Any]:
        """Load the application where the mold has not: in the worker that asks for it."""
        return load_target(self._spec.settings, self._spec.target).application

    def _report_files(self, error: BaseException | None) -> None:
        """Tell the supervisor which source files were loaded, where it watches them."""
        if not self._spec.settings.reload:
            return
        paths = sorted(set(_source_files(error)))
        for start in range(0, len(paths), _PATHS_PER_MESSAGE):
            self._say("files", paths=paths[start : start + _PATHS_PER_MESSAGE])

    # Forking.

    def _take_signals(self) -> None:
        """Set the signals; again after the import, because the application may have changed them."""
        for number in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGWINCH):
            signal.signal(number, signals.ignore)
        # A worker that is forked after a rotation must not write to the file of before.
        signal.signal(signal.SIGUSR1, self._reopen)

    def _reopen(self, _number: int, _frame: FrameType | None) -> None:
        self._spec.logs.reopen()

    def _serve_channel(self) -> None:
        """Fork a worker for each message, until the other end of the channel or the supervisor is gone."""
        poll = select.poll()
        poll.register(self._spec.channel, select.POLLIN)
        poll.register(self._spec.life_fd, select.POLLIN)
        while True:
            ready = dict(poll.poll())
            if self._spec.channel.fileno() not in ready:
                return
            message = self._spec.channel.receive()
            if message is None:
                break
            if message["type"] == "spawn":
                self._spawn(message["nr"])
        # The workers are told before the mold is; no copy here must keep an address open that they have
        # closed.
        for listener in self._spec.listeners:
            listener.close()

    def _spawn(self, nr: int) -> None:
        try:
            spawn.fork_detached(
                lambda: self._work(nr), lambda worker: self._say("spawned", nr=nr, worker=worker)
            )
        except OSError as error:
            reason = Failure("boot", f"Worker {nr} could not be forked: {error.strerror}.")
            self._say("spawn_failed", nr=nr, failure=pack_failure(reason))

    def _work(self, nr: int) -> int:
        """Be a worker: the main function of its process."""
        from portway.worker.spec import WorkerSpec

        spec = self._spec
        signal.signal(signal.SIGUSR1, self._reopen)
        spec.channel.close()
        spawn.set_title(spec.settings.proc_name, f"worker {nr} (generation {spec.generation})")
        ready = False

        def tell(message: dict[str, Any]) -> None:
            nonlocal ready
            if message["type"] == "ready":
                ready = True
                startup.end()
            self._say(**{"nr": nr, **message})

        startup.begin(spec.settings.startup_timeout)
        worker = WorkerSpec(
            settings=spec.settings,
            nr=nr,
            generation=spec.generation,
            listeners=spec.listeners,
            application=self._application,
            load=self._load_in_worker,
            file_server=self._file_server,
            scoreboard=spec.scoreboard,
            logs=spec.logs,
            life_fd=spec.life_fd,
            report=tell,
            relay=spec.relay,
        )
        assert spec.run_worker is not None
        try:
            return spec.run_worker(worker)
        except BaseException as error:
            startup.end()
            if ready:
                log.exception("Worker %d ends by an error of its own.", os.getpid())
                return 1
            failure = report.describe(error)
            tell({"type": "failed", "failure": pack_failure(failure)})
            return failure.exit_code

    def _say(self, type: str, **content: Any) -> None:
        message = {"type": type, "generation": self._spec.generation, "pid": os.getpid(), **content}
        try:
            self._spec.inbox.send(message)
        except OSError:
            # The supervisor is gone; whoever speaks learns it by the life pipe.
            pass


def _describe(loaded: LoadedTarget) -> dict[str, Any]:
    return {"mounts": loaded.mounts, "notes": loaded.notes, "warnings": loaded.warnings}


def _probe(spec: MoldSpec, report_files: Callable[[BaseException | None], None]) -> dict[str, Any]:
    """Load the application in a child that ends at once, and return what is to be served beside it.

    report_files: called there, where the files are loaded. Raises ReportedError if the loading fails.
    """
    reader, writer = os.pipe()
    mold = os.getpid()

    def main() -> int:
        spawn.end_with_parent(mold)
        try:
            answer = _describe(load_target(spec.settings, spec.target))
            report_files(None)
        except BaseException as error:  # noqa: BLE001 - it is reported
            answer = {"failure": pack_failure(report.describe(error))}
            report_files(error)
        with open(writer, "w", encoding="utf-8") as pipe:
            json.dump(answer, pipe)
        return 0

    pid = spawn.fork(main, deaf=(signal.SIGINT, signal.SIGQUIT))
    os.close(writer)
    with open(reader, encoding="utf-8") as pipe:
        try:
            text = pipe.read()
        except startup.StartupTimeout:
            # It is the child that hangs, and that can tell where; if it does not, this process is killed with it.
            os.kill(pid, startup.EXPIRE)
            text = pipe.read()
    status = os.waitpid(pid, 0)[1]
    if not text:
        summary = f"A process that loaded the application {spawn.describe_end(status)}."
        raise report.ReportedError(Failure("load", summary))
    answer: dict[str, Any] = json.loads(text)
    if "failure" in answer:
        raise report.ReportedError(unpack_failure(answer["failure"]))
    return answer


def _change_user(settings: Settings) -> None:
    """Become the user and group of the settings, with the user's other groups; set the umask."""
    if settings.umask is not None:
        os.umask(settings.umask)
    group = settings.group
    if settings.user is not None and settings.user != os.geteuid():
        try:
            account = pwd.getpwuid(settings.user)
        except KeyError:
            os.setgroups([] if group is None else [group])
        else:
            group = account.pw_gid if group is None else group
            os.initgroups(account.pw_name, group)
    if group is not None:
        os.setgid(group)
    if settings.user is not None:
        os.setuid(settings.user)


def _dump_stacks_on_abort(logs: Logs) -> None:
    """Have SIGABRT, and the signals of crashes in C code, write where each thread is to the error log."""
    try:
        faulthandler.enable(logs.error.fd, all_threads=True)
    except (OSError, ValueError, RuntimeError):
        log.debug("Stacks cannot be written on a crash: the error log has no descriptor.")


def _source_files(error: BaseException | None) -> Iterator[str]:
    """Yield the files of the application's modules, those of libraries left out."""
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if isinstance(path, str) and path.endswith(".py") and not report.library_of(path):
            yield os.path.abspath(path)
    # The file with the syntax error is no module, and the one to look at.
    at = error
    while at is not None:
        if isinstance(at, SyntaxError) and at.filename:
            yield os.path.abspath(at.filename)
        at = at.__cause__ or at.__context__
