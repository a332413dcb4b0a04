"""Loads what is to be served: prepares the process, imports the application, collects the mounts.

Called where the application lives: in the mold, in a worker that loads for itself, and by `--check-config`.
It changes the process (current folder, import path, environment) and is never called in the supervisor.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from portway import __version__
from portway.django import mounts as django_mounts
from portway.django.urls import import_urls
from portway.settings.table import Settings
from portway.settings.target import Target
from portway.wsgi.loader import ApplicationLoadError, load_application


@dataclass(frozen=True, slots=True)
class LoadedTarget:
    """An application that is ready to be called, and what is served beside it.

    spec: the application as MODULE:CALLABLE. mounts: (URL path with a slash at both ends, absolute folder,
    "static" or "media"): those of the settings first, then those of a Django project. notes: sentences to log
    as information. warnings: sentences to log as warnings. django: True when the application is a Django
    project.
    """

    application: Callable[..., Any]
    spec: str
    mounts: tuple[tuple[str, str, str], ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    django: bool = False


def prepare_process(settings: Settings, target: Target) -> None:
    """Change to `chdir`, complete sys.path and the environment as the settings and the project ask.

    As with Gunicorn, the folder comes before what is installed and `pythonpath` before the folder. A folder
    that is named by a link is the one that the link points to now: when the link is moved to another release,
    what this process imports later is still of its own one. Raises OSError when the folder cannot be entered.
    """
    os.chdir(settings.chdir)
    # The last one put in front comes first: pythonpath, then the project, then the folder.
    folders = [settings.chdir]
    if target.django is not None:
        folders.append(target.django.root)
    folders.extend(settings.pythonpath)
    for folder in map(os.path.realpath, folders):
        if folder in sys.path:
            sys.path.remove(folder)
        sys.path.insert(0, folder)
    os.environ["SERVER_SOFTWARE"] = f"portway/{__version__}"
    for variable in settings.raw_env:
        name, _, value = variable.partition("=")
        os.environ[name] = value
    if target.django is not None:
        os.environ["DJANGO_SETTINGS_MODULE"] = target.django.settings_module


def load_target(settings: Settings, target: Target) -> LoadedTarget:
    """Import the application in this process and return it; `prepare_process` comes first.

    Raises portway.wsgi.loader.ApplicationLoadError; its __cause__ is what the project's own code raised, if
    it did.
    """
    if target.django is not None:
        spec = _django_spec(target)
    else:
        spec = target.application or ""
    application = load_application(spec)
    if settings.ready_check:
        # Only imported here; each worker that is forked from this process finds it again.
        load_ready_check(settings.ready_check)
    mounts = [(url, folder, kind) for kind in ("static", "media") for url, folder in getattr(settings, kind)]
    notes: list[str] = []
    warnings: list[str] = []
    django = django_mounts.is_configured()
    if django:
        _load_urls(spec)
        root = target.django.root if target.django is not None else ""
        found = django_mounts.project_mounts(settings.script_name, root)
        warnings.extend(found.warnings)
        if settings.auto_static:
            taken = {url for url, _, _ in mounts}
            mounts.extend(mount for mount in found.mounts if mount[0] not in taken)
            warnings.extend(why for url, why in found.missing.items() if url not in taken)
            if not settings.static:
                notes.extend(found.skipped)
    return LoadedTarget(application, spec, tuple(mounts), tuple(notes), tuple(warnings), django)


def load_ready_check(spec: str) -> Callable[[], object]:
    """Return what the setting `ready_check` names. Raises portway.wsgi.loader.ApplicationLoadError."""
    try:
        return load_application(spec)
    except ApplicationLoadError as error:
        raise ApplicationLoadError(f"The ready check {spec} cannot be used: {error}") from error.__cause__


def _django_spec(target: Target) -> str:
    assert target.django is not None
    project = target.django
    try:
        return django_mounts.wsgi_application(project.settings_module)
    except ModuleNotFoundError as error:
        if error.name == "django":
            raise ApplicationLoadError(
                f"The project in {project.root} needs Django, which is not installed for {sys.executable}."
            ) from None
        raise ApplicationLoadError(_settings_failed(target, error)) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise ApplicationLoadError(_settings_failed(target, error)) from error


def _load_urls(spec: str) -> None:
    try:
        import_urls()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        message = (str(error).splitlines() or [""])[0]
        raise ApplicationLoadError(
            f"The URL configuration of {spec}, or a view that it names, cannot be imported: "
            f"{type(error).__name__}: {message}"
        ) from error


def _settings_failed(target: Target, error: BaseException) -> str:
    assert target.django is not None
    # Longer messages are shown whole, with the traceback of the cause.
    message = (str(error).splitlines() or [""])[0]
    return (
        f"The settings {target.django.settings_module} of the Django project in {target.django.root} "
        f"cannot be used: {type(error).__name__}: {message}"
    )
