"""What the server says of itself when it is asked: one JSON object, put together when somebody asks.

Runs in the supervisor. The figures come from the scoreboard, everything else from what the supervisor knows
of its children. docs/reference/portwayctl.md tells the fields; a test holds the page to them.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic, time
from typing import Any

from portway import __version__
from portway.observe.scoreboard import Scoreboard, ThreadState, WorkerFigures
from portway.settings.build import build_text
from portway.settings.target import Target
from portway.supervisor.children import Child, Children
from portway.supervisor.generations import Generations
from portway.supervisor.reloads import Reloads, Trouble, serving
from portway.supervisor.report import compose
from portway.supervisor.state import State, reasons, state_of
from portway.supervisor.strength import Strength


@dataclass(slots=True)
class StatusSource:
    """What the answer is made of.

    started: when the server was, in seconds of the monotonic clock. stopping: tells whether it is to stop.
    """

    children: Children
    generations: Generations
    strength: Strength
    reloads: Reloads
    board: Scoreboard
    target: Target
    started: float
    stopping: Callable[[], bool]

    def state(self, now: float) -> State:
        """Return how the server is; now: seconds of the monotonic clock."""
        return state_of(self.children, self.reloads.trouble, self.stopping(), now, self.strength.workers)

    def sentence(self, now: float) -> str:
        """Return one line for the service manager: what serves, or what is to be mended."""
        found = reasons(self.children, self.reloads.trouble, now)
        return found[0] if found else serving(self.children.current, self.strength.workers)

    def gather(self) -> dict[str, Any]:
        """Return all that can be told."""
        now = monotonic()
        children = self.children
        generation = self.generations.get(children.current)
        snapshot = self.board.snapshot()
        figures = {worker.nr: worker for worker in snapshot.workers}
        totals = snapshot.totals
        return {
            "state": self.state(now).value,
            "reasons": reasons(children, self.reloads.trouble, now),
            "pid": os.getpid(),
            "version": __version__,
            "build": build_text(),
            "uptime": round(now - self.started, 3),
            "application": str(self.target),
            "listening": [listener.url for listener in generation.listeners],
            "generation": children.current,
            "trial": children.candidate,
            "wanted": self.strength.workers,
            "failure": _failure(self.reloads.trouble),
            "totals": {
                "connections": totals.accepted,
                "requests": totals.requests,
                "errors": totals.errors,
                "files": totals.files,
                "refused": totals.refused,
                "bytes": totals.bytes_sent,
                "busy": round(totals.busy / 1e9, 3),
            },
            "workers": [
                _worker(child, figures.get(nr), now) for nr, child in sorted(children.workers.items())
            ],
        }


def _failure(trouble: Trouble | None) -> dict[str, Any] | None:
    if trouble is None:
        return None
    return {
        "summary": str(trouble),
        "report": compose(trouble.headline, trouble.failure),
        "at": round(trouble.at, 3),
        "age": round(time() - trouble.at, 3),
    }


def _worker(child: Child, figures: WorkerFigures | None, now: float) -> dict[str, Any]:
    told: dict[str, Any] = {
        "nr": child.nr,
        "pid": child.pid,
        "state": child.phase.value,
        "generation": child.generation,
        "age": round(now - child.since, 3),
        # As last measured where there is a limit. To measure here would take the kernel milliseconds for each
        # worker, and the supervisor has more to do.
        "memory": child.memory or None,
    }
    if figures is None or figures.pid != child.pid:
        # It has not taken its place yet; what stands there was another's.
        return {**told, "requests": 0, "connections": 0, "queue": 0, "threads": 0, "busy": 0, "doing": []}
    doing = [
        {
            "thread": index,
            "method": thread.method,
            "path": thread.path,
            "seconds": round(max(0.0, now - thread.start / 1e9), 3),
        }
        for index, thread in enumerate(figures.threads)
        if thread.state is ThreadState.APPLICATION
    ]
    return {
        **told,
        "requests": sum(thread.requests for thread in figures.threads),
        "connections": figures.connections,
        "queue": figures.queue,
        "threads": len(figures.threads),
        "busy": len(doing),
        "doing": doing,
    }
