"""What is to be served: chosen by the command line, carried by the supervisor to whoever loads it.

A plain value. Nothing of the application is imported to make it.
"""

from dataclasses import dataclass

from portway.django.project import DjangoProject


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
            return f"{self.django.settings_module} in {self.django.root}"
        return self.application or ""
