"""Makes a mold ready to be forked from: closes what a fork must not share, keeps still what it can share.

Runs in the mold, once, after the application was imported.
"""

import gc
import logging
import sys
import threading

log = logging.getLogger("portway.error")


def settle() -> None:
    """Close what the import opened and must not be shared, name what cannot be, and freeze the rest."""
    close_django_connections()
    report_threads()
    # Objects that survive are not looked at again by a collection, so their memory pages stay shared.
    gc.collect()
    gc.freeze()


def close_django_connections() -> None:
    """Close the database connections and pools that Django opened while the application was imported.

    A connection that two processes share mixes their answers up. Does nothing where Django's database layer
    was not imported.
    """
    database = sys.modules.get("django.db")
    connections = getattr(database, "connections", None)
    if connections is None:
        return
    try:
        opened = connections.all(initialized_only=True)
        connections.close_all()
        for connection in opened:
            # Pools exist since Django 5.1, for PostgreSQL.
            close_pool = getattr(connection, "close_pool", None)
            if close_pool is not None:
                close_pool()
    except Exception:
        log.exception(
            "The database connections that the import opened could not be closed; workers share them."
        )


def report_threads() -> None:
    """Warn of threads that the import started: a forked process does not have them."""
    others = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    if others:
        log.warning(
            "The application started %d thread%s while it was imported (%s): workers do not have them. "
            "Start threads at the first request, or use --no-preload.",
            len(others),
            "s" if len(others) > 1 else "",
            ", ".join(others),
        )
