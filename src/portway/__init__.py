"""Portway: a WSGI application server (PEP 3333) that takes a Django project to production with one command.

Importing this package starts nothing. With PORTWAY_NO_EXTENSIONS=1 in the environment the uncompiled form of
every module is loaded, also where a compiled one stands beside it: for debugging, coverage and the tests of
both builds.
"""

import os
import sys
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from typing import Any

__version__ = "0.1.0"


class _SourceFinder(PathFinder):
    """Finds this package's modules by their source, never by a compiled extension."""

    @classmethod
    def find_spec(cls, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Return the spec of a source module of this package, None for everything else."""
        if not fullname.startswith("portway.") or path is None:
            return None
        for folder in path:
            source = os.path.join(folder, fullname.rpartition(".")[2] + ".py")
            if os.path.isfile(source):
                return spec_from_file_location(fullname, source, loader=SourceFileLoader(fullname, source))
        return None


if os.environ.get("PORTWAY_NO_EXTENSIONS"):
    sys.meta_path.insert(0, _SourceFinder)

from portway.wsgi.timeout import RequestTimeout  # noqa: E402 - after the finder, which it is to be found by

__all__ = ["RequestTimeout", "__version__"]
