"""What the supervisor hears of its children: their messages, their signs of life, their deaths.

Runs in the supervisor. What is heard is told to `Children` and, where it matters to the operator, to the log;
what is to be done about it is decided by portway.supervisor.plan.
"""

import logging
import signal

from portway.observe.scoreboard import Scoreboard
from portway.supervisor.children import Child, Children
from portway.supervisor.ending import Ending
from portway.supervisor.generations import Generations
from portway.supervisor.messages import Message, unpack_failure
from portway.supervisor.perform import Performer, send_signal
from portway.supervisor.plan import Stop
from portway.supervisor.telling import tell_death
from portway.supervisor.watch import Watcher

log = logging.getLogger("portway.error")


class Hearing:
    """The ears of the supervisor.

    watcher: is told of source files, None where nobody watches them. ending: is told of workers that are ready.
    """

    def __init__(
        self,
        children: Children,
        generations: Generations,
        board: Scoreboard,
        performer: Performer,
        watcher: Watcher | None,
        ending: Ending,
    ) -> None:
        self._children = children
        self._generations = generations
        self._board = board
        self._performer = performer
        self._watcher = watcher
        self._ending = ending
        # How processes ended that nobody knew, while workers are being forked.
        self._strangers: dict[int, str] = {}

    def death(self, pid: int, how: str, now: float) -> None:
        """A process has ended; `how` says how, as "exited with 1"."""
        death = self._children.reaped(pid, how, now)
        if death is None:
            # An orphan of the application's, or a worker that died before we were told that it was there.
            if self._children.is_forking():
                self._strangers[pid] = how
            log.debug("Process %d, which is none of ours, %s.", pid, how)
            return
        if isinstance(death.child, Child):
            self._board.retire(death.child.nr)
        else:
            self._performer.forget_mold(death.child.generation)
        tell_death(death, how, self._ending.stop is not Stop.NO, self._children.candidate)

    def beats(self) -> None:
        """Take note of the workers' signs of life."""
        for child in self._children.workers.values():
            if child.pid:
                self._children.worker_beat(child.nr, self._board.heartbeat(child.nr) / 1e9)

    def forgive_silence(self, now: float) -> None:
        """Begin to listen anew: not only the workers were stopped for a while but this process too."""
        for child in self._children.workers.values():
            if child.beat:
                self._children.worker_beat(child.nr, now)

    def message(self, message: Message, now: float) -> None:
        """A mold or a worker has said something; see portway.supervisor.messages."""
        try:
            self._understand(message, now)
        except (KeyError, TypeError, ValueError) as error:
            # Only a process that is out of its mind sends such; it must not take the supervisor with it.
            log.debug("A message of type %r makes no sense: %r", message["type"], error)

    def _understand(self, message: Message, now: float) -> None:
        children, generation = self._children, message["generation"]
        match message["type"]:
            case "mold_ready":
                mounts = [(url, folder, kind) for url, folder, kind in message["mounts"]]
                self._generations.get(generation).mounts = mounts
                children.mold_ready(generation)
            case "mold_failed":
                children.mold_failed(generation, unpack_failure(message["failure"]))
            case "mold_moved":
                self._performer.move_mold(generation, message["mold"])
            case "spawned":
                self._note_spawned(message["nr"], generation, message["worker"], now)
            case "spawn_failed":
                failure = unpack_failure(message["failure"])
                log.error("%s", failure.summary)
                children.spawn_failed(message["nr"], generation, failure, now)
            case "ready":
                worker = children.worker_ready(message["pid"], now)
                if worker is not None:
                    log.debug("Worker %d (process %d) is ready.", message["nr"], message["pid"])
                    self._ending.announce(worker)
            case "failed":
                children.worker_failed(message["pid"], unpack_failure(message["failure"]))
            case "retire":
                children.worker_wishes(message["pid"], str(message["reason"]))
            case "files" if self._watcher is not None:
                self._watcher.add(message["paths"])

    def _note_spawned(self, nr: int, generation: int, worker: int, now: float) -> None:
        if self._children.worker_spawned(nr, generation, worker, now) is None:
            # Nobody has asked for it, and its slot is another's.
            send_signal(worker, signal.SIGKILL)
            return
        how = self._strangers.pop(worker, None)
        if how is not None:
            self.death(worker, how, now)
        if not self._children.is_forking():
            self._strangers.clear()
