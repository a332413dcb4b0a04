"""Reloads: what is read and opened before a new generation may begin, and what became of it.

Runs in the supervisor. A reload that cannot begin (wrong settings, an address or a log that cannot be opened)
is refused here and changes nothing; how one that has begun ends is told to this module by the supervisor.
What went wrong is remembered until a later reload succeeds.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from portway.net.listeners import BindError
from portway.observe.log import Logs
from portway.settings.errors import SettingsError
from portway.settings.table import Settings
from portway.supervisor.children import Children, Failure
from portway.supervisor.generations import Generations
from portway.supervisor.logfiles import open_logs
from portway.supervisor.notify import Notifier
from portway.supervisor.plan import REPLACED
from portway.supervisor.report import describe
from portway.supervisor.strength import Strength
from portway.supervisor.telling import tell_failure

log = logging.getLogger("portway.error")


@dataclass(frozen=True, slots=True)
class Trouble:
    """A reload that failed.

    headline: who serves instead. at: when, in seconds since the epoch. newest: the highest number that a
    generation had by then.
    """

    headline: str
    failure: Failure
    at: float
    newest: int

    def __str__(self) -> str:
        return f"{self.headline} {self.failure.summary}"


#: Is told what became of a reload: None where the new generation serves.
Waiter = Callable[[Trouble | None], None]


class Reloads:
    """The reloads of one server. trouble: how the last one failed, None where it did not.

    read: reads the settings again, and raises SettingsError if they are wrong; None to keep them as they are.
    keep_addresses: a reload does not change where the server listens.
    """

    def __init__(
        self,
        children: Children,
        generations: Generations,
        strength: Strength,
        notifier: Notifier,
        read: Callable[[], Settings] | None,
        keep_addresses: bool,
    ) -> None:
        self.trouble: Trouble | None = None
        self._children = children
        self._generations = generations
        self._strength = strength
        self._notifier = notifier
        self._read = read
        self._keep_addresses = keep_addresses
        # Each with the highest number that a generation had when the reload was asked for: the one that is
        # to answer for it comes later.
        self._waiters: list[tuple[int, Waiter]] = []

    def begin(self, before: Settings) -> Logs | None:
        """Read the settings and open what they name; ask for a new generation, or refuse it.

        before: the settings of now. Returns the logs that the new generation has; None where the reload is
        refused: then everything is as it was, and `trouble` says why.
        """
        self._notifier.send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            settings = self._read() if self._read is not None else before
            if self._keep_addresses:
                settings = replace(settings, bind=before.bind)
            self._strength.check(settings)
            listeners = self._generations.prepare(settings)
        except (SettingsError, BindError) as error:
            self._fail(Failure("settings", str(error)))
            return None
        except Exception as error:  # noqa: BLE001 - whatever it is, the server goes on
            why = describe(error, "settings")
            self._fail(replace(why, summary=f"The settings cannot be read: {why.summary}"))
            return None
        try:
            logs = open_logs(settings)
        except OSError as error:
            self._generations.refuse(listeners)
            summary = f"The log {error.filename} cannot be opened: {error.strerror}."
            self._fail(Failure("settings", summary))
            return None
        log.info("Reloading.")
        self._generations.accept(settings, listeners)
        self._strength.trial = settings.workers
        self._children.reload_asked = True
        return logs

    def when_done(self, waiter: Waiter) -> None:
        """Have `waiter` called once with the outcome of the reload that has just begun."""
        self._waiters.append((self._children.newest, waiter))

    def promoted(self, generation: int) -> None:
        """A generation that was on trial serves now, with all its workers."""
        if self.trouble is not None and self.trouble.newest < generation:
            self.trouble = None
        # What was refused while this one was on trial is still to be mended.
        status = self.trouble or serving(generation, self._strength.workers)
        self._notifier.send("READY=1", f"STATUS={status}")
        self._tell(generation, None)

    def dropped(self, generation: int, failure: Failure) -> None:
        """A generation on trial was dropped."""
        if failure is REPLACED:
            # The reload that has taken its place answers for both.
            tell_failure(self._headline(), failure)
            return
        self._fail(failure)
        self._tell(generation, self.trouble)

    def abandoned(self) -> None:
        """The server is to stop: no reload is going to end."""
        newest = self._children.newest
        failure = Failure("boot", "The server is stopping.")
        self._tell(newest + 1, Trouble("Not reloaded:", failure, time.time(), newest))

    def _fail(self, failure: Failure) -> None:
        self.trouble = Trouble(self._headline(), failure, time.time(), self._children.newest)
        tell_failure(self.trouble.headline, failure)
        # Ready again, unless another reload goes on, which says so when it is done.
        done = () if self._children.candidate or self._children.reload_asked else ("READY=1",)
        self._notifier.send(*done, f"STATUS={self.trouble}")

    def _headline(self) -> str:
        if not self._children.current:
            return "Not reloaded, the server goes on starting:"
        return f"Not reloaded, generation {self._children.current} keeps serving:"

    def _tell(self, generation: int, trouble: Trouble | None) -> None:
        answered = [waiter for after, waiter in self._waiters if after < generation]
        self._waiters = [(after, waiter) for after, waiter in self._waiters if after >= generation]
        for waiter in answered:
            waiter(trouble)


def serving(generation: int, workers: int) -> str:
    """Return one line for the service manager of a server that is as it should be."""
    return f"Generation {generation}, {workers} workers"
