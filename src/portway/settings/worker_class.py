"""Gunicorn's worker classes: those that Portway's worker stands for, and what to do about the others."""

from typing import Any

from portway.settings.kinds import Kind

#: What a Portway worker replaces without a change to the application. Both run on a pool of threads here.
SERVED = ("gthread", "sync")

_GREEN = ("gevent", "gevent_wsgi", "gevent_pywsgi", "eventlet", "ggevent", "geventlet", "tornado", "gtornado")
_ASGI = ("asgi", "gasgi", "gaiohttp", "uvicorn", "uvicorn_worker", "hypercorn", "daphne", "aiohttp")
_CLASSES = {"SyncWorker": "sync", "ThreadWorker": "gthread"}


def worker_class() -> Kind:
    """The names in SERVED; Gunicorn's own classes and their dotted paths are understood too."""

    def parse(value: Any) -> str:
        if isinstance(value, type):
            name = f"{value.__module__}.{value.__qualname__}"
        elif isinstance(value, str):
            name = value.strip()
        else:
            name = repr(value)
        name = name.removeprefix("egg:gunicorn#")
        if name in SERVED:
            return name
        parts = name.split(".")
        if parts[0] == "gunicorn" and parts[-1] in _CLASSES:
            return _CLASSES[parts[-1]]
        if any(part in _GREEN for part in parts):
            raise ValueError(
                "Portway has no green threads; leave it out and give more threads instead, as --threads 16"
            )
        if any(part in _ASGI for part in parts):
            raise ValueError(
                "Portway serves WSGI applications; leave it out and serve the project's wsgi.py, "
                "or keep an ASGI server for its asynchronous views"
            )
        raise ValueError("it must be sync or gthread; Portway has one kind of worker, which runs threads")

    return Kind(parse, "sync or gthread", "CLASS")
