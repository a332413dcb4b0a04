"""Reports what kept a mold or a worker from its work: one sentence, the frames that matter, a hint.

Runs in the process that failed; the supervisor only logs the result. A traceback of an import goes through
the server, the import system and a framework before it comes to the line that is wrong: frames of the server
and of the import system are left out, those of libraries are counted, those of the application are shown.
"""

import importlib
import os
import sys
import sysconfig
import traceback
from collections.abc import Iterator

import portway
from portway.supervisor import startup
from portway.supervisor.children import Failure
from portway.worker.not_ready import NotReady
from portway.wsgi.loader import ApplicationLoadError

_IMPORT_SYSTEM = os.path.dirname(os.path.abspath(importlib.__file__)) + os.sep
# Compiled modules name the file that they were compiled from, by its path in the repository.
_OWN = (os.path.dirname(os.path.abspath(portway.__file__)) + os.sep, os.path.join("src", "portway", ""))
_LIBRARIES = tuple(
    {os.path.join(sysconfig.get_path(name), "") for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)
# Where os.environ is; parts of the standard library are frozen into the interpreter.
_ENVIRONMENT = ("<frozen os>", os.__file__)

#: How many exceptions of a chain ("the direct cause of") are shown.
CHAIN = 3


class ReportedError(Exception):
    """A failure of another process, which has been described there."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.summary)
        self.failure = failure


def describe(error: BaseException, stage: str = "boot") -> Failure:
    """Return the report of an exception that ended the work before it began.

    stage: what was going on, "load" or "boot"; an ApplicationLoadError is always "load".
    """
    if isinstance(error, ReportedError):
        return error.failure
    if isinstance(error, NotReady):
        cause = error.__cause__
        details = tuple(_chain(cause)) if cause is not None else ()
        return Failure("boot", str(error), details, _hint_not_ready(cause))
    expired = startup.find(error)
    if expired is not None:
        summary = f"The application could not be loaded in time: {expired}. It was here:"
        return Failure("boot", summary, tuple(_frames(expired)), startup.HINT)
    if isinstance(error, ApplicationLoadError):
        cause = error.__cause__
        details = tuple(_chain(cause)) if cause is not None else ()
        return Failure("load", str(error), details, hint_for(cause) if cause is not None else "")
    return Failure(stage, _named(error), tuple(_chain(error)), hint_for(error))


def compose(headline: str, failure: Failure) -> str:
    """Return the report as it is logged: lines below a headline."""
    lines = [f"{headline} {failure.summary}", *failure.details]
    if failure.hint:
        lines.append(f"Hint: {failure.hint}")
    return "\n".join(lines)


def _hint_not_ready(cause: BaseException | None) -> str:
    if cause is None:
        return ""
    return startup.HINT if startup.find(cause) is not None else hint_for(cause)


def hint_for(error: BaseException) -> str:
    """Return what to do about an exception that is common at the start; "" where nothing is known."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = error.name.partition(".")[0]
        return (
            f"if {package!r} is a package, install it for {sys.executable}; "
            "if it is part of the project, --chdir or --pythonpath must name the folder that it is in."
        )
    if isinstance(error, KeyError) and _raised_in(error) in _ENVIRONMENT:
        return f"set {error.args[0]} in the environment, or with --env {error.args[0]}=..."
    if isinstance(error, SystemExit):
        return "the application ended the program while it was imported; its module must not call sys.exit()."
    if type(error).__name__ == "ImproperlyConfigured":
        return "`manage.py check` reads the same settings and shows the same."
    if type(error).__name__ == "OperationalError":
        return "the database was used while the application was imported, and could not be reached."
    if isinstance(error, OSError) and error.filename:
        return f"it is about {os.fsdecode(error.filename)!r}, with {os.getcwd()} as the current folder."
    return ""


def _named(error: BaseException) -> str:
    text = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _raised_in(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return frames[-1].filename if frames else ""


def _chain(error: BaseException) -> Iterator[str]:
    """Yield the lines for an exception and those it came from, the oldest first as Python does."""
    chain: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in chain and len(chain) < CHAIN:
        chain.append(at)
        at = at.__cause__ or (None if at.__suppress_context__ else at.__context__)
    for one in reversed(chain):
        yield from _frames(one)
        for text in traceback.format_exception_only(one):
            yield from text.rstrip("\n").split("\n")
        if one is not error:
            yield "which led to:"


def _frames(error: BaseException) -> Iterator[str]:
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(("<frozen ", _IMPORT_SYSTEM)) and frame.filename != startup.__file__
    ]
    if frames and not frames[-1].filename.startswith(_OWN):
        # The server's frames only lead to the application; if it was raised in one of them, they matter.
        frames = [frame for frame in frames if not frame.filename.startswith(_OWN)]
    skipped: list[str] = []
    for index, frame in enumerate(frames):
        library = library_of(frame.filename)
        # Where it was raised is shown in any case.
        if library and index < len(frames) - 1:
            skipped.append(library)
            continue
        if skipped:
            plural = "s" if len(skipped) > 1 else ""
            yield f"  ... {len(skipped)} frame{plural} in {', '.join(dict.fromkeys(skipped))}"
            skipped = []
        for text in traceback.format_list([frame]):
            yield from text.rstrip("\n").split("\n")


def library_of(filename: str) -> str:
    """Return the name of the library that a file belongs to, "" for the application's own files."""
    for folder in ("/site-packages/", "/dist-packages/"):
        _, found, rest = filename.rpartition(folder)
        if found:
            return rest.partition("/")[0].removesuffix(".py")
    if filename.startswith(_LIBRARIES):
        return "the standard library"
    return ""
