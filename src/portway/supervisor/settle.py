"""Makes a mold ready to be forked from: closes what a fork must not share, keeps still what it can share.

Runs in the mold, once, after the application was imported.
"""

import gc
import logging
import sys

from portway.supervisor.remnants import Remnant, Watch

log = logging.getLogger("portway.error")


def settle(watch: Watch) -> list[Remnant]:
    """Close what the import opened and must not be shared, freeze the rest; return what could not be closed."""
    close_django_connections()
    close_django_caches()
    # Connections that nobody can use any more, of threads that have ended, say, are closed by this.
    gc.collect()
    remnants = watch.find()
    # Objects that survive are not looked at again by a collection, so their memory pages stay shared.
    gc.freeze()
    return remnants


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
        # Those of this thread.
        connections.close_all()
        # Pools exist since Django 5.1. They belong to all threads, so one may be open that this thread has not used.
        for alias in connections:
            if connections.settings[alias].get("OPTIONS", {}).get("pool"):
                connections[alias].close_pool()
    except Exception:
        log.exception(
            "The database connections that the import opened could not be closed; workers share them."
        )


def close_django_caches() -> None:
    """Close the connections of Django's caches (memcached), as Django does after each request."""
    cache = sys.modules.get("django.core.cache")
    caches = getattr(cache, "caches", None)
    if caches is None:
        return
    try:
        caches.close_all()
    except Exception:
        log.exception("The cache connections that the import opened could not be closed; workers share them.")
