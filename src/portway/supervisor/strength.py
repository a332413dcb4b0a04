"""How many workers there shall be: as many as the settings say, more or fewer by signals.

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
    """

    def __init__(self, settings: Settings, board: Scoreboard) -> None:
        self.workers = self.trial = settings.workers
        self._board = board

    def change(self, by: int) -> None:
        """Have one worker more or one less, but always one."""
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
