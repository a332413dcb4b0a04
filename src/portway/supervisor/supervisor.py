"""The supervisor: parent of all processes, owner of the sockets, the signals and the scoreboard.

It never imports the application, starts no thread and writes nothing to disk but the pid file and the logs
that it was asked for. Everything happens in one loop in one thread:

    reap the dead, take the messages, take the signals, plan, perform, wait

What is to be done is decided by portway.supervisor.plan and done by portway.supervisor.perform; the methods
here find out what happened, tell it to `Children`, and say it to the operator.
"""

import logging
import os
import selectors
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from time import monotonic
from typing import Any

from portway.net.listeners import BindError, activated_addresses
from portway.observe.log import Logs
from portway.observe.scoreboard import Scoreboard
from portway.settings.table import Settings
from portway.settings.target import Target
from portway.supervisor import plan, signals, spawn
from portway.supervisor.children import Children
from portway.supervisor.command import Command
from portway.supervisor.commands import Commands
from portway.supervisor.control import Control, ControlSocketError
from portway.supervisor.ending import Ending
from portway.supervisor.gauge import MEMORY_INTERVAL, Gauge
from portway.supervisor.generations import Generations, listen
from portway.supervisor.hearing import Hearing
from portway.supervisor.logfiles import open_logs, reopen_logs
from portway.supervisor.messages import Inbox
from portway.supervisor.mold import RunWorker
from portway.supervisor.notify import Notifier
from portway.supervisor.perform import Performer
from portway.supervisor.pidfile import PidFile, PidFileError
from portway.supervisor.plan import Stop, Wanted
from portway.supervisor.recycling import limits_of
from portway.supervisor.reloads import Reloads
from portway.supervisor.state import State
from portway.supervisor.status import StatusSource
from portway.supervisor.strength import Strength
from portway.supervisor.succession import Predecessor, Succession, is_in_foreground, take_inheritance
from portway.supervisor.telling import tell_failure, tell_start
from portway.supervisor.watch import Watcher

log = logging.getLogger("portway.error")

#: Seconds without a sign of life after which a worker is taken for dead. Workers give one each second; only
#: code that holds the interpreter's lock all the time keeps them from it. Not the same as `timeout`, which is
#: about requests.
SILENCE = 30.0

#: The longest wait in seconds while signs of life are listened for; after a longer one we were stopped, too.
TICK = 5.0

#: How many workers, and threads of each, the scoreboard has place for at least. Memory that nobody writes to
#: costs nothing, so there is room for reloads and for more workers.
ROOM = 64

#: Exit codes, as Gunicorn's; those of a failed boot are in `Failure.exit_code`.
CANNOT_START, UNEXPECTED = 1, 255


def run(
    settings: Settings,
    target: Target,
    reload: Callable[[], Settings] | None = None,
    run_worker: RunWorker | None = None,
) -> int:
    """Serve the target until told to stop; return the exit status. Main thread only.

    reload: reads the settings again when a reload is asked for, and raises SettingsError if they are wrong;
    without it they stay as they are. run_worker: what a worker's process runs, None for
    portway.worker.process.run_worker.

    0: stopped as asked. 1: an address, a log or the pid file cannot be used. 3: a worker did not boot. 4: the
    application could not be loaded. 255: an error in the supervisor itself.
    """
    activated = activated_addresses(os.environ, os.getpid())
    if activated:
        # The service manager has the last word, as with Gunicorn.
        settings = replace(settings, bind=tuple(activated))
    try:
        logs = open_logs(settings)
    except OSError as error:
        print(f"portway: the log {error.filename} cannot be opened: {error.strerror}", file=sys.stderr)
        return CANNOT_START
    try:
        predecessor = take_inheritance(os.environ)
        generations = Generations(settings, listen(settings, predecessor.listeners if predecessor else ()))
    except BindError as error:
        log.error("%s", error)
        return CANNOT_START
    if predecessor is not None:
        predecessor.close_unused(generations.listeners)
    return Supervisor(
        generations, target, logs, reload, run_worker, keep_addresses=bool(activated), predecessor=predecessor
    ).run()


class Supervisor:
    """The supervisor of one server. `run` is called once.

    keep_addresses: a reload does not change where the server listens. predecessor: the server whose place this
    one is to take, None where there is none.
    """

    def __init__(
        self,
        generations: Generations,
        target: Target,
        logs: Logs,
        reload: Callable[[], Settings] | None = None,
        run_worker: RunWorker | None = None,
        keep_addresses: bool = False,
        predecessor: Predecessor | None = None,
    ) -> None:
        settings = generations.next.settings
        self.children = Children()
        self._generations = generations
        self._target = target
        self._exit_code = 0
        self._finished = False
        threads = 2 * settings.threads + settings.max_io_threads
        self.board = Scoreboard(max(ROOM, 4 * settings.workers), max(ROOM, threads))
        self._strength = Strength(settings, self.board)
        self._gauge = Gauge(self.board, MEMORY_INTERVAL)
        self._inbox = Inbox()
        self._signals = signals.SignalQueue()
        self._selector = selectors.DefaultSelector()
        self._notifier = Notifier(os.environ)
        self._reloads = Reloads(
            self.children, generations, self._strength, self._notifier, reload, keep_addresses
        )
        self._status = StatusSource(
            self.children,
            generations,
            self._strength,
            self._reloads,
            self.board,
            target,
            started=monotonic(),
            stopping=lambda: self._ending.begun,
        )
        commands = Commands(self._status, self._reloads, self._begin_reload, self.heed)
        self._control = Control(commands.handle)
        command = Command.of_this_process(settings.origin)
        self._succession = Succession(
            command, predecessor, generations, self._notifier, PidFile(), self._control
        )
        self._ending = Ending(self.children, self._succession, self._notifier)
        self._watcher = Watcher() if settings.reload else None
        self._performer = Performer(
            self.children, generations, target, self.board, logs, self._inbox, run_worker, self._close_own
        )
        self._hearing = Hearing(
            self.children, generations, self.board, self._performer, self._watcher, self._ending
        )
        self._methods: dict[type[Any], Callable[[Any], None]] = {
            **self._performer.methods,
            plan.Promote: self._promote,
            plan.Drop: self._drop,
            plan.GiveUp: self._give_up,
            plan.Finish: self._finish,
        }

    def run(self) -> int:
        """Serve until told to stop; return the exit status."""
        try:
            self._open()
            while not self._finished:
                self._turn()
        except (PidFileError, ControlSocketError) as error:
            log.error("%s", error)
            self._exit_code = CANNOT_START
        except Exception:
            log.critical("The supervisor ends by an error of its own.", exc_info=True)
            self._performer.forward(signal.SIGKILL)
            self._exit_code = UNEXPECTED
        finally:
            self._close()
        return self._exit_code

    # The loop.

    def _open(self) -> None:
        settings = self._generations.next.settings
        self._succession.use_files(settings)
        spawn.set_title(settings.proc_name, "supervisor")
        spawn.adopt_orphans()
        self._signals.open()
        self._selector.register(self._signals, selectors.EVENT_READ)
        self._selector.register(self._inbox, selectors.EVENT_READ)
        self._selector.register(self._control, selectors.EVENT_READ)
        self._succession.open(self._selector)

    def _turn(self) -> None:
        now = monotonic()
        # Before reaping: the signal of a death that comes later stays in the queue and ends the next wait at
        # once.
        numbers = self._signals.take()
        self._succession.look()
        # Before the messages: what a child said before it died is in the inbox by the time that its death is
        # known.
        deaths = spawn.reap()
        for message in self._inbox.take():
            self._hearing.message(message, now)
        for number in numbers:
            self.heed(number)
        for pid, how in deaths:
            if self._succession.reaped(pid, how):
                # Whoever sent the workers to rest relied on the new server.
                self._strength.wake()
            else:
                self._hearing.death(pid, how, now)
        self._control.take(now)
        self._hearing.beats()
        self._gauge.look(self.children, limits_of(self._settings()), now)
        if self._watcher is not None and self._watcher.has_changes(now):
            self.on_reload()
        self._ending.look(self._settings(), now)
        self._follow_plan(now)
        self._tell_state(now)
        if not self._finished:
            self._wait(now)

    def _follow_plan(self, now: float) -> None:
        # What is done may make more to do. A plan that never ends would be a bug, and must not stop the loop.
        for _ in range(100):
            actions = plan.plan(self.children, self._wanted(), now)
            if not actions:
                break
            for action in actions:
                self._methods[type(action)](action)
            if self._finished:
                return
        if self._ending.stop is not Stop.NO:
            # The workers know by now, and accept what has queued up; the last to close ends it for new
            # clients.
            self._generations.close_listeners()
            self._reloads.abandoned()

    def _tell_state(self, now: float) -> None:
        if self._status.state(now) in (State.READY, State.DEGRADED):
            self._notifier.status(self._status.sentence(now))

    def _wait(self, now: float) -> None:
        wanted = self._wanted()
        times = [
            plan.next_deadline(self.children, wanted, now),
            self._gauge.next_look(wanted.recycle),
            self._control.next_deadline(),
            self._ending.delayed_until,
            self._watcher.next_look if self._watcher is not None else None,
        ]
        deadline = min((time for time in times if time is not None), default=None)
        begun = monotonic()
        timeout = None if deadline is None else max(0.0, deadline - begun)
        if any(child.beat for child in self.children.workers.values()):
            timeout = TICK if timeout is None else min(timeout, TICK)
        self._selector.select(timeout)
        if timeout is not None and monotonic() - begun - timeout > TICK:
            self._hearing.forgive_silence(monotonic())

    def _wanted(self) -> Wanted:
        return Wanted(
            workers=self._strength.workers,
            trial_workers=self._strength.trial,
            slots=self.board.workers,
            graceful_timeout=self._settings().graceful_timeout,
            silence=SILENCE,
            stop=self._ending.stop,
            recycle=None if self._ending.begun else limits_of(self._settings()),
            startup=self._settings().startup_timeout,
            trial_startup=self._generations.get(self.children.candidate).settings.startup_timeout,
        )

    def _settings(self) -> Settings:
        """Return the settings of the generation that serves, or is to be the first."""
        return self._generations.get(self.children.current).settings

    def _close_own(self) -> None:
        """In a forked process: close what only the supervisor may hold."""
        self._selector.close()
        self._signals.abandon()
        self._inbox.close_reader()
        self._control.abandon()
        self._succession.close_own()

    def _close(self) -> None:
        self._generations.close_listeners()
        self._reloads.abandoned()
        self._control.close()
        self._selector.close()
        self._signals.close()
        self._inbox.close()
        self._performer.close()
        self._succession.close()

    # What happened: signals. The methods have the names of signals.MEANINGS.

    def heed(self, number: signal.Signals) -> None:
        """Do what a signal asks for."""
        getattr(self, f"on_{signals.MEANINGS[number]}")(number)

    def on_stop(self, _number: signal.Signals) -> None:
        """Finish what runs, then end; a second time: end at once."""
        self._ending.ask(self._settings())

    def on_quit(self, _number: signal.Signals) -> None:
        """End at once."""
        self._ending.hurry()

    def on_reload(self, _number: signal.Signals | None = None) -> None:
        """Try a new generation, with the settings and the code as they are now."""
        if self._ending.begun:
            return
        if self._strength.at_rest:
            # What was there before comes back, whatever is on disk by now.
            self._strength.wake()
        else:
            self._begin_reload()

    def _begin_reload(self) -> bool:
        logs = self._reloads.begin(self._settings())
        if logs is not None:
            self._performer.logs = logs
        return logs is not None

    def on_add_worker(self, _number: signal.Signals) -> None:
        """Have one worker more."""
        self._strength.change(1)

    def on_remove_worker(self, _number: signal.Signals) -> None:
        """Have one worker less, but always one."""
        self._strength.change(-1)

    def on_reopen(self, number: signal.Signals) -> None:
        """Reopen the log files here and everywhere, after they were rotated."""
        reopen_logs(self._performer.logs, self._settings())
        self._performer.forward(number)

    def on_upgrade(self, _number: signal.Signals) -> None:
        """Start the same command again, on the same sockets, to take this server's place."""
        if self.children.current and not self._ending.begun:
            self._succession.start()
        else:
            log.error(
                "Not upgraded: this server %s.", "stops" if self.children.current else "is not ready yet"
            )

    def on_rest(self, number: signal.Signals) -> None:
        """End the workers gracefully and stay; a terminal that was resized does not ask for that."""
        if self._ending.begun or not self.children.current:
            return
        if self.children.candidate or self.children.reload_asked:
            log.error("%s is refused while a reload runs. Send it again.", number.name)
        elif self._succession.has_heir or not is_in_foreground():
            self._strength.rest()

    def on_reap(self, _number: signal.Signals) -> None:
        """Do nothing: the dead are looked for in every turn."""

    # What the plan says and the performer does not do.

    def _promote(self, action: plan.Promote) -> None:
        first = not self.children.current
        self.children.promoted()
        workers = self._strength.workers = self._strength.trial
        self._forget_generations()
        if first:
            tell_start(self._generations.get(self.children.current), self._target, workers)
            self._succession.say_ready()
        else:
            count = f"{workers} worker{'s' if workers > 1 else ''}"
            log.info("Reloaded: generation %d serves with %s.", action.generation, count)
        try:
            self._succession.use_files(self._settings())
        except (PidFileError, ControlSocketError) as error:
            log.error("%s", error)
        self._reloads.promoted(action.generation)

    def _drop(self, action: plan.Drop) -> None:
        self.children.dropped()
        self._strength.trial = self._strength.workers
        self._forget_generations()
        self._reloads.dropped(action.generation, action.failure)

    def _give_up(self, action: plan.GiveUp) -> None:
        tell_failure("The server cannot start:", action.failure)
        self._notifier.send("STOPPING=1", f"STATUS=Cannot start: {action.failure.summary}")
        self._exit_code = action.failure.exit_code
        self._ending.drop()

    def _finish(self, _action: plan.Finish) -> None:
        self._finished = True
        if not self._exit_code:
            log.info("Stopped.")

    def _forget_generations(self) -> None:
        children = self.children
        needed = {children.current, children.candidate, children.replacement}
        # A reload that waits for its turn has said already what comes next.
        self._generations.keep(needed, 0 if children.reload_asked else children.current)
