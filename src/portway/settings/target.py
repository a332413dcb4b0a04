"""What is to be served: chosen from the settings, carried by the supervisor to whoever loads it.

Plain values. Nothing of the application is imported to make them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from portway.django.project import DjangoProject, ProjectError, find_project
from portway.settings.errors import SettingsError
from portway.settings.load import Loaded

NOTHING_TO_SERVE = """\
there is nothing to serve: no application is named, and {directory} is not in a Django project.
Name the application:         portway mysite.wsgi:application
Or change to the project:     portway --chdir path/to/project
(`portway --help` lists what else can be said.)"""


@dataclass(frozen=True, slots=True)
class Target:
    """The application to serve; exactly one of the two is given.

    application: how it is named on the command line, `MODULE[:CALLABLE]` (see portway.wsgi.loader).
    django: the project that was found where no application was named.
    """

    application: str | None = None
    django: DjangoProject | None = None

    def __str__(self) -> str:
        if self.django is not None:
            return f"the Django project in {self.django.root} ({self.django.settings_module})"
        return self.application or ""


def choose_target(loaded: Loaded, environ: Mapping[str, str]) -> Target:
    """Return what to serve: the application that is named, else `wsgi_app`, else the Django project around.

    environ: of the process; `--env` is added to it. Raises SettingsError, with what to type, where there is
    none.
    """
    settings = loaded.settings
    application = loaded.application or settings.wsgi_app
    if application:
        return Target(application=application)
    added = dict(variable.partition("=")[::2] for variable in settings.raw_env)
    try:
        project = find_project(settings.chdir, {**environ, **added})
    except ProjectError as error:
        raise SettingsError(str(error)) from None
    if project is None:
        raise SettingsError(NOTHING_TO_SERVE.format(directory=settings.chdir))
    return Target(django=project)
