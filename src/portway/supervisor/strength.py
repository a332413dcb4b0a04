"""How many workers there shall be: as many as the settings say, more or fewer by signals, none at rest.

Plain numbers and the lines that tell the operator of their change. Runs in the supervisor.
"""

import logging

from portway.observe.scoreboard import Scoreboard
from portway.settings.errors import SettingsError
from portway.settings.table import Settings

log = logging.getLogger("portway.error")


class Strength:
    """The number of workers that are wanted.

    workers: of the generation that serves. trial: of the one on trial once it is promoted.
    Both are 0 at rest, when there are no workers on purpose.
    """

    def __init__(self, settings: Settings, board: Scoreboard) -> None:
        self.workers = self.trial = settings.workers
        self._board = board
        self._before_rest = 0

    @property
    def at_rest(self) -> bool:
        """True after `rest`, until something has brought workers back."""
        return self.workers == 0

    def rest(self) -> None:
        """Have no workers until `wake`, or until one is added."""
        if not self.at_rest:
            self._before_rest = self.workers
            self.workers = self.trial = 0
            log.info("All workers end; HUP brings them back.")

    def wake(self) -> None:
        """Have as many workers as before the rest."""
        if self.at_rest:
            self.change(self._before_rest)

    def change(self, by: int) -> None:
        """Have so many workers more, or less, but always one, unless there are none on purpose."""
        if self.at_rest and by < 0:
            return
        # Half of the slots: a reload needs as many again.
        most = self._board.workers // 2
        wanted = max(1, self.workers + by)
        if wanted > most:
            log.warning("There are %d workers; more need a restart with --workers.", self.workers)
            return
        self.trial = max(1, self.trial + wanted - self.workers)
        self.workers = wanted
        log.info("%d worker%s wanted.", wanted, "s are" if wanted > 1 else " is")

    def check(self, settings: Settings) -> None:
        """Raise SettingsError if the scoreboard, which cannot grow, is too small for these settings."""
        for name, wanted, most in (
            ("workers", settings.workers, self._board.workers // 2),
            ("threads", settings.threads, self._board.threads),
        ):
            if wanted > most:
                raise SettingsError(f"{name} = {wanted} needs a restart; a reload can change it up to {most}")
