"""Asks a Django project what to serve: its WSGI application, its static and its media files.

Runs in the process that imports the application (the mold), where Django's settings are configured; Django
itself is imported by name when it is asked, so that Portway needs none. Results are plain values for the
layers above.
"""

import importlib
import importlib.util
import os
import sys
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

#: What `manage.py startproject` writes; the fallback where a project has neither the setting nor such a
#: module.
_PLAIN_HANDLER = "django.core.wsgi:get_wsgi_application()"


@dataclass(slots=True)
class ProjectMounts:
    """What a project's settings say about files.

    mounts: (URL path with a slash at both ends, absolute folder, "static" or "media"), the most specific path
    first. skipped: a sentence for each of the two that is not served, and what to do. missing: of a URL whose
    folder is not there yet, what that means. warnings: sentences for the operator.
    """

    mounts: list[tuple[str, str, str]] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def is_configured() -> bool:
    """Tell whether Django is imported and its settings are configured, without importing anything."""
    conf = sys.modules.get("django.conf")
    return conf is not None and bool(conf.settings.configured)


def wsgi_application(settings_module: str) -> str:
    """Return the project's application as portway.wsgi.loader reads it: MODULE:CALLABLE.

    That is WSGI_APPLICATION; without one, `application` of the module `wsgi` beside the settings; without
    that, Django's plain handler. DJANGO_SETTINGS_MODULE must be set; this imports Django and the project's
    settings, and lets through whatever they raise.
    """
    settings = importlib.import_module("django.conf").settings
    dotted = settings.WSGI_APPLICATION
    if isinstance(dotted, str) and "." in dotted:
        module, _, name = dotted.rpartition(".")
        return f"{module}:{name}"
    package = settings_module.partition(".")[0]
    if package != settings_module and importlib.util.find_spec(f"{package}.wsgi") is not None:
        return f"{package}.wsgi:application"
    return _PLAIN_HANDLER


def project_mounts(script_name: str = "", project_root: str = "") -> ProjectMounts:
    """Return what the configured project's settings ask to be served as files.

    script_name: the path that the application is mounted at; URLs that the settings give without a leading
    slash are below it. project_root: the folder of manage.py, "" where it is not known; a media folder must
    not hold the code.
    """
    settings = importlib.import_module("django.conf").settings
    if script_name:
        # Django completes a relative STATIC_URL with the prefix of the thread that first asks for it, and
        # remembers.
        importlib.import_module("django.urls").set_script_prefix(f"{script_name}/")
    found = ProjectMounts()
    if settings.DEBUG:
        found.warnings.append(
            "DEBUG is True: Django shows visitors its settings and source code when something fails. "
            "Set DEBUG to False wherever others can reach the site."
        )
    static = _static(settings, found)
    media = _media(settings, found, project_root)
    if static and media and static[0] == media[0]:
        found.skipped.append(
            f"MEDIA_URL and STATIC_URL are both {media[0]}: media files are not served by Portway."
        )
        media = None
        found.missing.clear()
    for mount, kind in ((static, "static"), (media, "media")):
        if mount:
            found.mounts.append((*mount, kind))
    found.mounts.sort(key=lambda mount: -len(mount[0]))
    return found


def _static(settings: Any, found: ProjectMounts) -> tuple[str, str] | None:
    if not settings.STATIC_URL:
        return None
    url, why = _local_path(settings.STATIC_URL)
    if url is None:
        found.skipped.append(
            f"Static files are not served by Portway: STATIC_URL {settings.STATIC_URL!r} {why}."
        )
        return None
    root = settings.STATIC_ROOT
    if not root:
        found.skipped.append(
            f"Static files ({url}) are not served by Portway: STATIC_ROOT is not set. "
            "Set it to a folder of its own and run `manage.py collectstatic`."
        )
        return None
    root = os.path.abspath(root)
    if not os.path.isdir(root) or not os.listdir(root):
        what = "is empty" if os.path.isdir(root) else "does not exist"
        found.skipped.append(
            f"Static files ({url}) are not served by Portway: STATIC_ROOT {root} {what}. "
            "Run `manage.py collectstatic`, then start Portway again."
        )
        return None
    return url, root


def _media(settings: Any, found: ProjectMounts, project_root: str) -> tuple[str, str] | None:
    if not settings.MEDIA_ROOT:
        return None
    url, why = _local_path(settings.MEDIA_URL)
    if url is None:
        found.skipped.append(
            f"Media files are not served by Portway: MEDIA_URL {settings.MEDIA_URL!r} {why}."
        )
        return None
    root = os.path.abspath(settings.MEDIA_ROOT)
    code = _code_inside(root, project_root)
    if code:
        found.skipped.append(
            f"Media files ({url}) are not served by Portway: MEDIA_ROOT {root} also holds code ({code}), "
            "which everybody could read. Set it to a folder of its own."
        )
        return None
    if not os.path.isdir(root):
        # The first upload makes it; files are looked for when they are asked for.
        found.missing[url] = f"MEDIA_ROOT {root} does not exist yet; {url} answers 404 until it does."
    return url, root


def _local_path(value: str) -> tuple[str | None, str]:
    """Return the URL as a path with a slash at both ends, or None and why it is not served."""
    parts = urlsplit(value)
    if parts.netloc or parts.scheme:
        return None, f"is on another host, {parts.netloc or parts.scheme}"
    path = parts.path
    if not path.startswith("/") or path == "/":
        return None, "is no path of its own, as /static/"
    dots = any(part in (".", "..") for part in path.split("/"))
    plain = all("!" <= character <= "~" and character != "\\" for character in path)
    if parts.query or parts.fragment or "//" in path or dots or not plain:
        return None, "is no plain path"
    return (path if path.endswith("/") else path + "/"), ""


def _code_inside(root: str, project_root: str) -> str:
    """Return a file of the project's code that lies in the folder, "" where none does."""
    inside = os.path.join(os.path.realpath(root), "")
    files = [os.path.join(project_root, "manage.py")] if project_root else []
    module = sys.modules.get(os.environ.get("DJANGO_SETTINGS_MODULE", ""))
    if module is not None and getattr(module, "__file__", None):
        files.append(str(module.__file__))
    for file in files:
        if os.path.realpath(file).startswith(inside):
            return file
    return ""
