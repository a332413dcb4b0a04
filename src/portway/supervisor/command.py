"""The command that started this server, kept so that it can be started again from what is on disk by then.

Nothing here starts anything; `Command.run` is for a process that was forked to become the new server.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from portway.settings.table import Origin

# The first line of a script, and the second, where installers put a path that is too long for the first.
_HEAD = 1024


@dataclass(frozen=True, slots=True)
class Command:
    """A command line: the program, its arguments (the first is the program's name), folder and environment."""

    program: str
    arguments: tuple[str, ...]
    directory: str
    environ: Mapping[str, str]

    @classmethod
    def of_this_process(cls, origin: Origin | None) -> "Command":
        """Return the command that this process was started by; origin: of its settings.

        The interpreter is found by its path once more, so a virtual environment that was replaced counts. A
        script that was started by its name is started by its name again: the first line of the new one says
        which interpreter is its own.
        """
        words = sys.orig_argv
        program = sys.executable
        if len(words) > 1 and _is_script_of(words[1], words[0]):
            program, words = words[1], words[1:]
        directory = origin.directory if origin is not None else os.getcwd()
        environ = origin.environ if origin is not None else dict(os.environ)
        return cls(program, tuple(words), directory, environ)

    def run(self, **variables: str) -> NoReturn:
        """Become this command, with some variables more; raises OSError if that cannot be."""
        os.chdir(self.directory)
        os.execve(self.program, self.arguments, {**self.environ, **variables})  # noqa: S606 - the operator's own command


def _is_script_of(path: str, interpreter: str) -> bool:
    """Tell whether the kernel ran the interpreter for this script, rather than a person who named both."""
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD).split(b"\n", 2)[:2]
        executable = os.access(path, os.X_OK)
    except OSError:
        return False
    return executable and head[0].startswith(b"#!") and any(os.fsencode(interpreter) in line for line in head)
