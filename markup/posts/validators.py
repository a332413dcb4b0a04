"""ETags of pages, made of what a page shows and not of how it came out: a 304 costs no rendering.

A tag covers the data the view put in, the templates, the collected static files and the settings that show,
so it is the same on every machine that serves the same release and the same data, and changes with any of
them.
"""

import functools
import hashlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response, patch_cache_control
from django.utils.http import http_date

# Seconds a browser or a proxy may show a page before asking again: what a visitor who clicks about saves, and
# the longest that an edit takes to reach everybody.
MAX_AGE = 60


def _release() -> bytes:
    """A hash over everything but the data that pages are made of."""
    digest = hashlib.sha256(f"{django.get_version()} {settings.TIME_ZONE}".encode())
    templates = sorted(path for folder in settings.TEMPLATES[0]["DIRS"] for path in Path(folder).rglob("*.*"))
    for path in (*templates, Path(settings.STATIC_ROOT) / "staticfiles.json"):
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.digest()


_release_of_process = functools.cache(_release)


def etag(*shown: object) -> str:
    """Return a strong ETag, quoted, for a page made of `shown`: values whose repr() tells them apart."""
    release = _release() if settings.DEBUG else _release_of_process()
    return '"' + hashlib.sha256(release + repr(shown).encode()).hexdigest()[:32] + '"'


def conditional(
    request: HttpRequest,
    shown: object,
    respond: Callable[[], HttpResponse],
    *,
    changed_at: datetime | None = None,
    until: datetime | None = None,
    now: datetime | None = None,
) -> HttpResponse:
    """Return 304 or 412 if the request's conditions ask for it, else `respond()`, with validators on either.

    `changed_at` is sent as Last-Modified. `until` is when the page will change by itself, and ends its time
    in caches before MAX_AGE seconds are over; it needs `now`.
    """
    tag = etag(request.get_host(), request.scheme, request.path, shown)
    modified = int(changed_at.timestamp()) if changed_at else None
    response = get_conditional_response(request, etag=tag, last_modified=modified) or respond()
    if response.status_code in (200, 304):
        response.headers["ETag"] = tag
        if modified is not None:
            response.headers["Last-Modified"] = http_date(modified)
        age = (
            MAX_AGE
            if until is None or now is None
            else min(MAX_AGE, max(0, int((until - now).total_seconds())))
        )
        patch_cache_control(response, public=True, max_age=age)
    return response
