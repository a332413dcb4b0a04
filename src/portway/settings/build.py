"""Which Portway runs: its version, whether its hot path is compiled, and on which Python.

Reads the package's own folder; imports none of the modules it tells about.
"""

import importlib.util
import os
import platform
import sys
from importlib.machinery import EXTENSION_SUFFIXES

import portway


def compiled_modules() -> tuple[list[str], list[str]]:
    """Return the modules of the hot path that run compiled, and those that do not.

    A module belongs to the hot path when it can tell which of the two it is: when it defines `is_compiled`.
    """
    compiled: list[str] = []
    uncompiled: list[str] = []
    package = os.path.dirname(os.path.abspath(portway.__file__))
    for folder, folders, files in os.walk(package):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for file in sorted(files):
            if not file.endswith(".py"):
                continue
            path = os.path.join(folder, file)
            with open(path, encoding="utf-8") as source:
                if "\ndef is_compiled(" not in source.read():
                    continue
            name = "portway." + os.path.relpath(path, package).removesuffix(".py").replace(os.sep, ".")
            spec = importlib.util.find_spec(name)
            origin = spec.origin if spec is not None and spec.origin else ""
            (compiled if origin.endswith(tuple(EXTENSION_SUFFIXES)) else uncompiled).append(name)
    return compiled, uncompiled


def build_text() -> str:
    """Return which build runs: `compiled, CPython 3.11.7`; where only some modules are compiled, how many."""
    compiled, uncompiled = compiled_modules()
    if not compiled:
        form = "uncompiled"
    elif uncompiled:
        form = f"{len(compiled)} of {len(compiled) + len(uncompiled)} modules compiled"
    else:
        form = "compiled"
    return f"{form}, {platform.python_implementation()} {platform.python_version()}"


def version_text() -> str:
    """Return the line of `--version`: `portway 0.1.0 (compiled, CPython 3.11.7)`."""
    return f"portway {portway.__version__} ({build_text()})"


def refusal() -> str | None:
    """Return why this Python cannot run Portway, None when it can."""
    with_lock = getattr(sys, "_is_gil_enabled", None)
    if with_lock is not None and not with_lock():
        return (
            "Portway does not run without the global interpreter lock: its modules and most applications "
            "rely on it. Start this Python with PYTHON_GIL=1, or use its ordinary build."
        )
    if not sys.platform.startswith("linux"):
        return f"Portway runs on Linux; this is {sys.platform}."
    return None
