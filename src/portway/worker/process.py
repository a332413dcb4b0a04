"""The worker process: puts its parts together, runs its threads, and ends when it is told to.

`run_worker` is called in the main thread of a forked process and returns the exit code. The main thread is application
thread 0, because some libraries insist on the main thread. Signals are read by the leader, from a pipe that the C-level
handler writes to, so an application that computes for a minute does not keep the worker from hearing them:

    TERM        drain: take what is in the accept backlog, finish what runs, then exit 0
    INT, QUIT   stop at once, exit 0
    USR1        open the log files again
    USR2        TERM comes soon: not ready any more, and every answer closes its connection
    HUP, WINCH, TTIN, TTOU   nothing (they are the supervisor's)

When the supervisor is gone, the life pipe reports it, and the worker stops at once.
"""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from time import monotonic, monotonic_ns
from typing import Any

from portway.http.limits import Limits
from portway.net.system import Poller
from portway.observe.access import AccessLog
from portway.observe.scoreboard import WorkerState
from portway.worker.acceptor import Acceptor, prepare_listening_socket
from portway.worker.deadlines import Deadlines
from portway.worker.io_bound import IoBound
from portway.worker.leadership import Leadership, Seat
from portway.worker.local import LocalAnswers
from portway.worker.loop import Loop
from portway.worker.overload import Overload
from portway.worker.passing import Passing
from portway.worker.request_deadline import RequestDeadline
from portway.worker.service import Service
from portway.worker.site import Site
from portway.worker.slow import SlowRequests
from portway.worker.spec import WorkerSpec
from portway.worker.tuning import keep_freed_memory, wake_on_time
from portway.worker.warmup import warm_up
from portway.wsgi.environ import EnvironBuilder
from portway.wsgi.gateway import Gateway
from portway.wsgi.proxy import TrustedPeers

log = logging.getLogger("portway.error")

#: Seconds that a quick stop gives the application's threads.
QUICK = 1.0
#: Seconds that an extra thread sleeps before it ends: a thread that is started for each call, and its connection to the
#: database, would cost more than one that sleeps.
LINGER = 10.0
#: The exit code of a worker that could not start (Gunicorn's WORKER_BOOT_ERROR).
BOOT_ERROR = 3


def run_worker(spec: WorkerSpec) -> int:
    """Serve until told to stop; return the exit code. Called in the main thread of the worker's own process."""
    keep_freed_memory()
    wake_on_time()
    return Worker(spec).run()


class Worker:
    """One worker process, seen from inside."""

    def __init__(self, spec: WorkerSpec) -> None:
        settings = spec.settings
        self._spec = spec
        self._slot = spec.scoreboard.worker(spec.nr)
        self._slot.start(os.getpid(), spec.generation, settings.threads, monotonic_ns())
        application = spec.application if spec.application is not None else spec.load()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        threads = settings.threads
        self._seats = [Seat(index, index == threads) for index in range(threads + 1)]
        # Those that run the application; extra ones are added as they are needed, and none is removed.
        self._callers = self._seats[:threads]
        # The scoreboard was made for the settings of the first generation.
        extra = min(settings.max_io_threads, spec.scoreboard.threads - threads)
        self._leadership = Leadership(
            self._seats[threads], settings.max_queue, self._slot.set_free_threads, extra, self._start_extra
        )
        poller = Poller()
        trusted = TrustedPeers(settings.forwarded_allow_ips)
        server = b"portway" if settings.server_header else b""
        self._service = Service(
            leadership=self._leadership,
            epoll=poller.epoll,
            environ=EnvironBuilder(
                trusted=trusted,
                script_name=settings.script_name,
                multithread=settings.threads > 1,
                multiprocess=settings.workers > 1,
                extra={
                    "portway.deadline": RequestDeadline(self._callers),
                    "portway.io_bound": IoBound(self._callers),
                },
            ),
            gateway=Gateway(application, server),
            limits=_limits(settings),
            deadlines=_deadlines(settings),
            slot=self._slot,
            trusted=trusted,
            server=server,
        )
        self._service.overload = Overload(self._leadership, settings.max_queue_time)
        slots: list[Any] = [self._slot.thread(index) for index in range(threads + extra)]
        # As the seats are numbered: the standby, which runs nothing, is between.
        slots.insert(threads, None)
        self._loop = Loop(self._service, poller, slots, self._wake_write)
        self._service.retire = self._retire
        if settings.slow_request:
            self._loop.slow = SlowRequests(self._callers, settings.slow_request)
            # Twice in the time that is slow, but not so often that it shows.
            self._loop.sweep = min(self._loop.sweep, max(settings.slow_request / 2, 0.02))
        for listener in spec.listeners:
            prepare_listening_socket(listener.socket)
        sites = [Site(listener.socket, listener.url) for listener in spec.listeners]
        self._loop.acceptor = Acceptor(
            self._service, sites, settings.worker_connections, self._leave_to_others, self._loop.wake
        )
        if spec.relay is not None:
            passing = Passing(spec.relay, self._service, self._slot, sites)
            self._loop.share(passing)
            self._loop.acceptor.give = passing.give_new
        if spec.file_server is not None or settings.health_path:
            self._service.local = LocalAnswers(spec.file_server, settings.health_path, self._is_ready)
        if spec.logs.access is not None:
            self._service.access_log = AccessLog(settings.access_log_format, spec.logs.access.write)
        self._threads: list[threading.Thread] = []
        self._main_left = threading.Event()
        self._quick = False
        self._drain_until = 0.0
        self._retired = False

    def run(self) -> int:
        """Warm up, start the threads, serve, and return the exit code once the worker has been told to stop."""
        service, first = self._service, self._spec.listeners[0]
        warm_up(self._spec.settings, service.environ, service.gateway, first.socket.getsockname())
        self._take_signals()
        loop = self._loop
        loop.watch(self._wake_read, self._on_wake)
        loop.watch(self._spec.life_fd, self._on_orphaned)
        for seat in self._seats[1:]:
            name = "portway-standby" if seat.is_standby else f"portway-{seat.index}"
            target = self._stand_by if seat.is_standby else self._serve
            thread = threading.Thread(target=self._guard, args=(target, seat), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()
        loop.acceptor.open()
        self._slot.beat(monotonic_ns())
        self._slot.set_state(WorkerState.READY)
        self._spec.report({"type": "ready"})
        self._guard(self._serve, self._seats[0])
        self._main_left.set()
        self._join_threads()
        self._end_slow_log()
        return 0

    # Threads.

    def _guard(self, run: Callable[[Seat], None], seat: Seat) -> None:
        """Run a thread; end the worker at once if the server itself fails in it.

        A worker whose leader has died would hold its clients until it is found silent; a new one takes a second.
        """
        seat.ident = threading.get_ident()
        try:
            run(seat)
        except BaseException:
            log.critical(
                "Portway failed in worker %d, which ends; please report this", os.getpid(), exc_info=True
            )
            os._exit(1)

    def _serve(self, seat: Seat) -> None:
        """An application thread: lead, or run requests, or wait."""
        leadership, loop = self._leadership, self._loop
        if leadership.take_first(seat):
            loop.lead(seat)
        while not leadership.stopping:
            exchange = leadership.next_exchange(seat)
            if exchange is not None:
                loop.serve(seat, exchange)
            elif not leadership.stopping:
                seat.wait()
                self._woken(seat)

    def _start_extra(self, seat: Seat) -> bool:
        """Start the thread of an extra seat; False if the system has none. Any thread."""
        name = f"portway-extra-{seat.index - len(self._seats)}"
        thread = threading.Thread(target=self._guard, args=(self._serve_extra, seat), name=name, daemon=True)
        if seat not in self._callers:
            self._callers.append(seat)
            self._slot.set_threads(len(self._callers))
        try:
            thread.start()
        except RuntimeError as error:
            log.warning("No thread could be started beside a call that waits (portway.io_bound): %s.", error)
            return False
        self._threads = [other for other in self._threads if other.is_alive()] + [thread]
        return True

    def _serve_extra(self, seat: Seat) -> None:
        """A thread beside a call that waits: as an application thread, until it was not needed for a while."""
        leadership, loop = self._leadership, self._loop
        while not leadership.stopping:
            exchange = leadership.next_exchange(seat)
            if exchange is not None:
                loop.serve(seat, exchange)
            elif not leadership.stopping:
                while not seat.wait_for(LINGER):
                    if leadership.retire(seat):
                        return
                self._woken(seat)

    def _woken(self, seat: Seat) -> None:
        """Do what the seat was woken for."""
        exchange = seat.take()
        if self._leadership.leads(seat):
            if exchange is not None:
                self._loop.dispatch(seat, exchange)
            self._loop.lead(seat)
        elif exchange is not None:
            self._loop.serve(seat, exchange)

    def _stand_by(self, seat: Seat) -> None:
        """The standby thread: lead while everybody is busy, else watch over slow calls."""
        leadership = self._leadership
        while not leadership.stopping:
            leadership.watch()
            if leadership.leads(seat):
                self._loop.lead(seat)
        # The main thread may be in an application that does not return; then this thread ends the process.
        if not self._main_left.wait(self._patience()):
            self._exit_now()

    def _patience(self) -> float:
        """Return how many seconds threads that are in the application may still take."""
        if self._quick:
            return QUICK
        return max(self._drain_until - monotonic(), 0.0) + QUICK

    def _join_threads(self) -> None:
        until = monotonic() + self._patience()
        for thread in self._threads:
            thread.join(max(until - monotonic(), 0.0))

    def _end_slow_log(self) -> None:
        if self._loop.slow is not None:
            self._loop.slow.finish(monotonic())

    def _exit_now(self) -> None:
        self._end_slow_log()
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                pass
        os._exit(0)

    # What the leader is told.

    def _take_signals(self) -> None:
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
            # The handler does nothing: the byte in the pipe is what counts, and system calls go on by themselves.
            signal.signal(number, _nothing)
            signal.siginterrupt(number, False)
        # SIG_IGN would be handed down to the programs that the application starts: they would not hear a hangup.
        for number in (signal.SIGHUP, signal.SIGWINCH, signal.SIGTTIN, signal.SIGTTOU):
            signal.signal(number, _nothing)
            signal.siginterrupt(number, False)
        # As Python itself has it, and undoes for the programs that subprocess starts.
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)

    def _on_wake(self, now: float) -> None:
        try:
            said = os.read(self._wake_read, 4096)
        except BlockingIOError:
            return
        for number in said:
            if number == signal.SIGTERM:
                self._drain(now)
            elif number in (signal.SIGINT, signal.SIGQUIT):
                self._stop(quick=True)
            elif number == signal.SIGUSR1:
                self._spec.logs.reopen()
            elif number == signal.SIGUSR2:
                self._service.leaving = True

    def _on_orphaned(self, now: float) -> None:
        log.warning("The supervisor is gone: worker %d stops.", os.getpid())
        self._loop.unwatch(self._spec.life_fd)
        self._stop(quick=True)

    def _drain(self, now: float) -> None:
        if self._drain_until:
            return
        self._drain_until = now + self._spec.settings.graceful_timeout
        self._slot.set_state(WorkerState.DRAINING)
        self._loop.drain(self._is_drained)

    def _is_drained(self, now: float) -> bool:
        """Called by the leader in each round of a drain; stops the worker when nothing is left to do."""
        if (self._service.connections or not self._loop.acceptor.is_closed) and now < self._drain_until:
            return False
        if self._service.connections:
            log.warning(
                "Worker %d stops with %d connections open: graceful_timeout (%g s) is over.",
                os.getpid(),
                len(self._service.connections),
                self._spec.settings.graceful_timeout,
            )
            self._name_stuck(now)
            self._quick = True
        self._stop(quick=self._quick)
        return True

    def _name_stuck(self, now: float) -> None:
        """Say which requests the worker leaves unfinished, and where they are."""
        for seat in self._callers:
            exchange = seat.running
            if exchange is not None:
                exchange.report_stuck(now)

    def _stop(self, quick: bool) -> None:
        self._quick = quick
        if quick:
            for connection in list(self._service.connections.values()):
                exchange = connection.exchange
                if exchange is not None:
                    # Nobody answers it any more.
                    expired = exchange.expiry is not None
                    exchange.log_unserved(504 if expired else 503, 0, exchange.started or monotonic())
        self._leadership.stop(self._loop.wake)

    def _retire(self, reason: str) -> None:
        """Ask the supervisor, once, for a replacement; until it is there this worker serves on. The leader."""
        if self._retired:
            return
        self._retired = True
        log.debug("Worker %d asks to be replaced: %s.", os.getpid(), reason)
        try:
            self._spec.report({"type": "retire", "reason": reason[:1000]})
        except OSError:
            pass  # The supervisor is gone; the life pipe says so as well.

    def _is_ready(self) -> bool:
        return not self._service.leaving

    def _leave_to_others(self) -> bool:
        """Tell whether a new connection is better off with another worker: no thread is free here, one is there."""
        return self._leadership.free_threads() == 0 and self._slot.free_threads_elsewhere(monotonic_ns()) > 0


def _nothing(_number: int, _frame: object) -> None:
    """Handle a signal whose byte in the wake-up pipe says it all."""


def _limits(settings: Any) -> Limits:
    return Limits(
        request_line=settings.limit_request_line,
        fields=settings.limit_request_fields,
        field_size=settings.limit_request_field_size,
        head=settings.limit_request_head,
        body=settings.max_body,
    )


def _deadlines(settings: Any) -> Deadlines:
    return Deadlines(
        head=settings.head_timeout,
        body=settings.body_timeout,
        keep_alive=settings.keepalive,
        write=settings.write_timeout,
        application=settings.timeout,
    )
