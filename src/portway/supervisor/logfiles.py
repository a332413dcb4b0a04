"""The log files of the server: opened by the supervisor, given to the user that the workers run as."""

import logging
import os

from portway.observe.log import Logs, configure_logging
from portway.settings.table import Settings
from portway.supervisor.generations import owner

log = logging.getLogger("portway.error")


def open_logs(settings: Settings) -> Logs:
    """Open the logs that the settings name, in the place of those that are open. Raises OSError."""
    logs = configure_logging(settings.errorlog, settings.loglevel, settings.accesslog)
    give_logs(logs, settings)
    return logs


def reopen_logs(logs: Logs, settings: Settings) -> None:
    """Reopen the files after they were rotated.

    Workers do the same by themselves, and must find them theirs.
    """
    logs.reopen()
    give_logs(logs, settings)


def give_logs(logs: Logs, settings: Settings) -> None:
    """Give the files to the user that workers run as, who reopens them without the supervisor's rights."""
    account = owner(settings)
    if account is None:
        return
    for file in (logs.error, logs.access):
        if file is not None and file.path is not None:
            try:
                os.fchown(file.fd, *account)
            except OSError as error:
                log.warning("The log %s cannot be given to the workers' user: %s", file.path, error.strerror)
