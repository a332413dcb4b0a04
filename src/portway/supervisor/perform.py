"""Performs what the plan says about processes: forks molds, has workers forked, tells and kills them.

Runs in the supervisor. Each method does one thing to one process and tells `Children` that it was done;
whether and when is not decided here. What follows from a promotion, a failed trial or the end is the
supervisor's own.
"""

import logging
import os
import random
import signal
from collections.abc import Callable
from time import monotonic
from typing import Any

from portway.net.relay import Relay
from portway.observe.log import Logs
from portway.observe.scoreboard import Scoreboard
from portway.settings.target import Target
from portway.supervisor import plan, spawn, startup
from portway.supervisor.children import Children, Failure, Phase
from portway.supervisor.generations import Generation, Generations
from portway.supervisor.messages import Channel, Inbox
from portway.supervisor.mold import Mold, MoldSpec, RunWorker
from portway.supervisor.recycling import Recycle

log = logging.getLogger("portway.error")


class Performer:
    """The hands of the supervisor. `logs` is what the next mold is given."""

    def __init__(
        self,
        children: Children,
        generations: Generations,
        target: Target,
        board: Scoreboard,
        logs: Logs,
        inbox: Inbox,
        run_worker: RunWorker | None,
        close_own: Callable[[], None],
    ) -> None:
        """Make the path by which children notice the supervisor's end.

        close_own: closes, in a forked process, what else belongs to the supervisor alone.
        """
        self.logs = logs
        self._children = children
        self._generations = generations
        self._target = target
        self._board = board
        self._inbox = inbox
        self._run_worker = run_worker
        self._close_own = close_own
        self._channels: dict[int, Channel] = {}
        self._life_read, self._life_write = os.pipe()
        self._relay = Relay()
        #: The actions that are performed here, each with its method.
        self.methods: dict[type[Any], Callable[[Any], None]] = {
            plan.StartMold: self.start_mold,
            plan.EndMold: self.end_mold,
            plan.KillMold: self.kill_mold,
            plan.Spawn: self.spawn,
            Recycle: self.recycle,
            plan.Drain: self.drain,
            plan.Quit: self.quit,
            plan.Abort: self.abort,
            plan.Expire: self.expire,
            plan.ExpireMold: self.expire_mold,
            plan.AbortStart: self.abort_start,
            plan.AbortMold: self.abort_mold,
            plan.Kill: self.kill,
        }

    # Molds.

    def start_mold(self, action: plan.StartMold) -> None:
        """Fork the mold of a new generation."""
        number = action.generation
        generation = self._generations.begin(number, 0 if action.trial else self._children.current)
        started = self._children.trial_started if action.trial else self._children.replacement_started
        try:
            started(number, self._fork_mold(number, generation), monotonic())
        except OSError as error:
            # No process has this number; it stands for the one that there should have been.
            nobody = -number
            started(number, nobody, monotonic())
            failure = Failure("boot", f"The mold could not be forked: {error.strerror}.")
            self._children.mold_failed(number, failure)
            self._children.reaped(nobody, "was not forked", monotonic())
            log.error("%s", failure.summary)

    def _fork_mold(self, number: int, generation: Generation) -> int:
        ours, theirs = Channel.pair()
        spec = MoldSpec(
            settings=generation.settings,
            target=self._target,
            generation=number,
            listeners=generation.listeners,
            scoreboard=self._board,
            logs=self.logs,
            supervisor=os.getpid(),
            channel=theirs,
            inbox=self._inbox,
            life_fd=self._life_read,
            run_worker=self._run_worker,
            relay=self._relay,
        )

        def main() -> int:
            ours.close()
            self._leave_supervisor(generation)
            return Mold(spec).run()

        try:
            pid = spawn.fork(main, deaf=(signal.SIGINT, signal.SIGQUIT))
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._channels[number] = ours
        log.debug("The mold of generation %d is process %d.", number, pid)
        return pid

    def _leave_supervisor(self, generation: Generation) -> None:
        """In a forked process: close what only the supervisor may hold, or what another generation has."""
        self._close_own()
        os.close(self._life_write)
        for channel in self._channels.values():
            channel.close()
        for listener in self._generations.listeners:
            if listener not in generation.listeners:
                listener.close()

    def end_mold(self, action: plan.EndMold) -> None:
        """Close the channel, which the mold reads as the end."""
        self._channels[action.generation].close()
        self._children.mold_told(action.generation, Phase.QUITTING, action.kill_at)

    def kill_mold(self, action: plan.KillMold) -> None:
        """Kill a mold."""
        if action.reason:
            log.error("The mold of generation %d is killed: %s.", action.generation, action.reason)
        send_signal(self._children.molds[action.generation].pid, signal.SIGKILL)
        self._children.mold_told(action.generation, Phase.KILLED, None)

    def move_mold(self, number: int, pid: int) -> None:
        """Take another process for a mold, which has inherited the channel of the one that ends."""
        log.debug("The mold of generation %d is now process %d.", number, pid)
        if self._children.mold_moved(number, pid, monotonic()) is not Phase.STARTING:
            # Who was told to end has not passed it on.
            send_signal(pid, signal.SIGKILL)

    def expire_mold(self, action: plan.ExpireMold) -> None:
        """Interrupt a mold that has not loaded the application in time."""
        mold = self._children.molds[action.generation]
        failure = _not_in_time("The application was not loaded", action.limit)
        self._children.mold_expired(action.generation, failure, action.kill_at)
        send_signal(mold.pid, startup.EXPIRE)

    def abort_mold(self, action: plan.AbortMold) -> None:
        """Have a mold that nothing interrupts write where it is, and end."""
        mold = self._children.molds[action.generation]
        log.error("The mold of generation %d cannot be interrupted. Its stacks follow.", action.generation)
        send_signal(mold.pid, signal.SIGABRT)
        self._children.mold_told(action.generation, Phase.QUITTING, action.kill_at)

    def forget_mold(self, number: int) -> None:
        """Close what belonged to a mold that has ended."""
        channel = self._channels.pop(number, None)
        if channel is not None:
            channel.close()

    # Workers.

    def spawn(self, action: plan.Spawn) -> None:
        """Ask a mold for a worker."""
        self._board.open(action.nr)
        # Where the mold has just died the message is lost, and with its death the request is forgotten.
        self._channels[action.generation].send({"type": "spawn", "nr": action.nr})
        # The jitter of its recycling, not a secret.
        self._children.worker_asked(action.nr, action.generation, monotonic(), random.random())  # noqa: S311

    def recycle(self, action: Recycle) -> None:
        """Let another worker take the place of this one."""
        child = self._children.workers[action.nr]
        log.debug("Worker %d (process %d) %s: to be replaced.", action.nr, child.pid, action.reason)
        self._children.worker_retires(action.nr, action.reason, monotonic())

    def drain(self, action: plan.Drain) -> None:
        """Tell a worker to finish its requests and end."""
        child = self._children.workers[action.nr]
        if child.retiring:
            other = self._children.successor(child)
            by = f"replaced by process {other.pid}" if other is not None else "not replaced, there are enough"
            log.info("Worker %d (process %d) %s: %s.", action.nr, child.pid, child.retiring, by)
        self._tell(action.nr, signal.SIGTERM, Phase.DRAINING, action.kill_at)

    def quit(self, action: plan.Quit) -> None:
        """Tell a worker to end at once.

        INT, because QUIT makes a worker that does not handle it yet dump memory.
        """
        self._tell(action.nr, signal.SIGINT, Phase.QUITTING, action.kill_at)

    def abort(self, action: plan.Abort) -> None:
        """Have a worker that hangs write its stacks and end."""
        log.error(
            "Worker %d (process %d) has given no sign of life for %.0f s: it is killed. Its stacks follow.",
            action.nr,
            self._children.workers[action.nr].pid,
            action.silent_for,
        )
        self._tell(action.nr, signal.SIGABRT, Phase.QUITTING, action.kill_at)

    def expire(self, action: plan.Expire) -> None:
        """Interrupt a worker that is not ready in time."""
        child = self._children.workers[action.nr]
        failure = _not_in_time(f"Worker {action.nr} was not ready", action.limit)
        self._children.worker_expired(action.nr, failure, action.kill_at)
        send_signal(child.pid, startup.EXPIRE)

    def abort_start(self, action: plan.AbortStart) -> None:
        """Have a worker that starts and that nothing interrupts write where it is, and end."""
        pid = self._children.workers[action.nr].pid
        log.error("Worker %d (process %d) cannot be interrupted. Its stacks follow.", action.nr, pid)
        self._tell(action.nr, signal.SIGABRT, Phase.QUITTING, action.kill_at)

    def kill(self, action: plan.Kill) -> None:
        """Kill a worker."""
        pid = self._children.workers[action.nr].pid
        log.warning("Worker %d (process %d) has not ended in time: it is killed.", action.nr, pid)
        self._tell(action.nr, signal.SIGKILL, Phase.KILLED, None)

    def _tell(self, nr: int, number: signal.Signals, phase: Phase, kill_at: float | None) -> None:
        send_signal(self._children.workers[nr].pid, number)
        self._children.worker_told(nr, phase, kill_at)

    # All of them.

    def forward(self, number: signal.Signals) -> None:
        """Send a signal to every mold and worker."""
        pids = [mold.pid for mold in self._children.molds.values()]
        pids += [child.pid for child in self._children.workers.values() if child.pid]
        for pid in pids:
            send_signal(pid, number)

    def close(self) -> None:
        """Let go of all; a process that is left, unknown to us, ends by it."""
        for channel in self._channels.values():
            channel.close()
        os.close(self._life_write)
        os.close(self._life_read)
        self._relay.close()


def _not_in_time(what: str, limit: float) -> Failure:
    """Return what is known of a start that has taken too long and says nothing about it."""
    return Failure("boot", f"{what} within {limit:g} s (startup_timeout).", hint=startup.HINT)


def send_signal(pid: int, number: signal.Signals) -> None:
    """Send a signal to a child. One that has ended and is not reaped yet takes it without effect."""
    assert pid > 1, pid
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
