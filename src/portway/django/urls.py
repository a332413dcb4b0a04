"""Imports a Django project's URL configuration, and with it its views, where the application is loaded.

Django itself does so at the first request. Doing it in the mold has three uses: a reload notices views that
cannot be imported while the old generation still serves, the workers share their memory, and no reader waits
for the import.
"""

from collections.abc import Callable
from typing import Any


def import_urls() -> None:
    """Import ROOT_URLCONF, all that it includes, and the handlers of errors; nothing where there is none.

    Call it where Django is set up. Raises whatever the project's code raises.
    """
    from django.conf import settings

    if not getattr(settings, "ROOT_URLCONF", None):
        return
    from django.urls import URLResolver, get_resolver

    resolver = get_resolver()
    waiting: list[Any] = [resolver]
    while waiting:
        # A resolver imports the URL configuration that it includes when its patterns are asked for.
        waiting.extend(pattern for pattern in waiting.pop().url_patterns if isinstance(pattern, URLResolver))
    resolve: Callable[[int], Any] = resolver.resolve_error_handler
    for status in (400, 403, 404, 500):
        resolve(status)
