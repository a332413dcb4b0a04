"""Turns a database URL into an entry of Django's DATABASES, ready for production.

    sqlite:////srv/site/site.sqlite3          an absolute path has four slashes, a relative one three
    sqlite://:memory:
    postgres://user:p%40ss@host:5432/name?sslmode=require&conn_max_age=300
    postgres:///name?host=/run/postgresql     over a Unix socket; as is postgres://%2Frun%2Fpostgresql/name

Every part may be percent-encoded. In the query, `conn_max_age` (seconds, 60 by default), `conn_health_checks`
and `pool` (the most connections a process may hold) are Django's; the rest goes to the driver as it is. Error
messages never hold the URL, because it holds a password.
"""

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

EXAMPLES = "sqlite:////path/to/file.sqlite3 or postgres://user:password@host:5432/name"

# WAL lets readers go on while one writer writes, and with it NORMAL loses nothing when the process dies.
# The log is cut back to 64 MiB after a checkpoint; reads go through a memory map of up to 128 MiB.
SQLITE_INIT = (
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; "
    "PRAGMA journal_size_limit=67108864; PRAGMA mmap_size=134217728;"
)
# Seconds to wait for another writer, in place of "database is locked" after five.
SQLITE_TIMEOUT = 20


def parse_database_url(url: str) -> dict[str, Any]:
    """Return the DATABASES entry for `url`; raise ValueError saying what is wrong with it."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise ValueError(f"it does not begin with a scheme; examples are {EXAMPLES}")
    if scheme == "sqlite":
        return _sqlite(rest)
    if scheme in ("postgres", "postgresql"):
        return _postgresql(url)
    raise ValueError(f"the scheme is {scheme!r}; allowed are sqlite, postgres and postgresql")


def _sqlite(rest: str) -> dict[str, Any]:
    path, _, query = rest.partition("?")
    if query:
        raise ValueError("a sqlite URL takes no options; its settings are made for production already")
    if path in ("", ":memory:"):
        name = ":memory:"
    elif path.startswith("/") and len(path) > 1:
        name = unquote(path[1:])
    else:
        raise ValueError("a sqlite URL has three slashes and a relative path, or four for an absolute one")
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": name,
        "CONN_MAX_AGE": 60,
        "OPTIONS": {
            # Takes the write lock when a transaction begins, so that waiting for it works; the default may
            # fail at once when a transaction that began by reading comes to write.
            "transaction_mode": "IMMEDIATE",
            "timeout": SQLITE_TIMEOUT,
            "init_command": SQLITE_INIT,
        },
    }


def _postgresql(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        raise ValueError("the port is not a number from 0 to 65535") from None
    # urlsplit lowers the host's case, which a socket's path would not survive.
    host = parts.netloc.rpartition("@")[2]
    if port is not None or host.endswith(":"):
        host = host.rpartition(":")[0]
    name = unquote(parts.path[1:])
    if not name or "/" in name:
        raise ValueError(
            "it does not name one database after the host; an example is postgres://user:password@host/name"
        )
    options: dict[str, Any] = dict(parse_qsl(parts.query, keep_blank_values=True))
    entry: dict[str, Any] = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(host).strip("[]") or options.pop("host", ""),
        "PORT": str(port or ""),
        "CONN_HEALTH_CHECKS": _boolean("conn_health_checks", options.pop("conn_health_checks", "true")),
    }
    age = options.pop("conn_max_age", None)
    if pool := options.pop("pool", None):
        if age not in (None, "0"):
            raise ValueError("pool and conn_max_age exclude each other: a pool keeps the connections itself")
        size = _number("pool", pool)
        if size == 0:
            raise ValueError("its option pool is '0'; a pool needs to hold at least 1 connection")
        entry["CONN_MAX_AGE"] = 0
        options["pool"] = {"min_size": 1, "max_size": size}
    else:
        entry["CONN_MAX_AGE"] = _number("conn_max_age", age) if age else 60
    entry["OPTIONS"] = options
    return entry


def _number(name: str, value: str) -> int:
    if not (value.isascii() and value.isdigit()):
        raise ValueError(f"its option {name} is {value!r}; a whole number is needed")
    return int(value)


def _boolean(name: str, value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise ValueError(f"its option {name} is {value!r}; allowed are true and false")
    return value.lower() == "true"
