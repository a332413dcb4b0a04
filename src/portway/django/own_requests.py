"""What a request that the server makes itself, to warm a worker up, has to know of Django. Imports nothing of it.

Does nothing where Django was not imported. Runs in a worker that is not serving yet.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def accepted_host() -> str:
    """Return a host that the project answers to: localhost, or else the first of its ALLOWED_HOSTS."""
    settings = getattr(sys.modules.get("django.conf"), "settings", None)
    if settings is None or not settings.configured:
        return "localhost"
    hosts = list(settings.ALLOWED_HOSTS)
    # Without any, a project in debug mode answers to localhost, and another one to nobody.
    if not hosts or {"*", "localhost", ".localhost"} & set(hosts):
        return "localhost"
    return str(hosts[0]).removeprefix(".")


@contextmanager
def noted_exceptions() -> Iterator[list[BaseException]]:
    """Collect what views and middleware raise; to whoever calls the application it looks like a plain answer 500."""
    noted: list[BaseException] = []
    signal: Any = getattr(sys.modules.get("django.core.signals"), "got_request_exception", None)
    if signal is None:
        yield noted
        return

    def note(**_: object) -> None:
        error = sys.exc_info()[1]
        if error is not None:
            noted.append(error)

    signal.connect(note)
    try:
        yield noted
    finally:
        signal.disconnect(note)
