"""How the server ends: told to stop, it may serve on for a while, then finishes what runs, or drops it.

Runs in the supervisor. During `drain_delay` everything goes on as before, workers that die are replaced, but
whoever asks learns that the server is about to stop: the health path answers 503 and every answer closes its
connection, so that load balancers turn elsewhere before the sockets are closed.
"""

import logging
import signal
from time import monotonic

from portway.settings.table import Settings
from portway.supervisor.children import Child, Children, Phase
from portway.supervisor.notify import Notifier
from portway.supervisor.perform import send_signal
from portway.supervisor.plan import Stop
from portway.supervisor.succession import Succession

log = logging.getLogger("portway.error")


class Ending:
    """Whether and how the server is to end. stop: for the plan. begun: somebody has asked for it."""

    def __init__(self, children: Children, succession: Succession, notifier: Notifier) -> None:
        self.stop = Stop.NO
        self.begun = False
        self._children = children
        self._succession = succession
        self._notifier = notifier
        # When `drain_delay` is over, None where it does not run.
        self.delayed_until: float | None = None

    def ask(self, settings: Settings) -> None:
        """Stop gracefully, after the delay of the settings; at once if it is asked for again."""
        if self.begun:
            self.hurry()
            return
        self._begin()
        delay, rest = settings.drain_delay, settings.graceful_timeout
        # Where another server listens on the same sockets nobody has to turn elsewhere.
        if delay and not self._succession.has_heir and self._children.current:
            self._notifier.send("STOPPING=1", f"STATUS=Serving for {delay:g} s more, then stopping")
            log.info("Stopping in %g s, not ready any more; then requests that run have %g s.", delay, rest)
            self.delayed_until = monotonic() + delay
            for child in self._children.workers.values():
                if child.phase is Phase.READY:
                    self.announce(child)
        else:
            self._stop_gracefully(settings)

    def announce(self, worker: Child) -> None:
        """Tell a worker, if the delay runs, that it is going to be stopped."""
        if self.delayed_until is not None:
            send_signal(worker.pid, signal.SIGUSR2)

    def look(self, settings: Settings, now: float) -> None:
        """Go on when the delay is over."""
        if self.delayed_until is not None and now >= self.delayed_until:
            self.delayed_until = None
            self._stop_gracefully(settings)

    def hurry(self) -> None:
        """Stop at once."""
        if self.stop is not Stop.QUICK:
            log.info("Stopping at once.")
            self._begin()
            self._notifier.send("STOPPING=1")
        self.drop()

    def drop(self) -> None:
        """Stop at once, for a reason that has been told."""
        self.begun = True
        self.delayed_until = None
        self.stop = Stop.QUICK

    def _begin(self) -> None:
        if not self.begun:
            self.begun = True
            self._succession.stopping()

    def _stop_gracefully(self, settings: Settings) -> None:
        log.info("Stopping; requests that run have %g s to finish.", settings.graceful_timeout)
        self._notifier.send("STOPPING=1", "STATUS=Finishing the requests that run")
        self.stop = Stop.GRACEFUL
