"""Compiles the modules of the hot path with Cython; everything else about the package is in pyproject.toml.

PORTWAY_NO_EXTENSIONS=1 builds the uncompiled form, PORTWAY_REQUIRE_EXTENSIONS=1 makes a failure to compile a
failure of the build; with neither, a module that cannot be compiled is used as it is.
"""

import os
import sys

from setuptools import Extension, setup

# Each is an ordinary typed .py file in Cython's pure-Python mode; tests/architecture
# holds this list to the files.
COMPILED = (
    "portway.http.chunked",
    "portway.http.head",
    "portway.http.parser",
    "portway.http.request",
    "portway.http.response",
    "portway.net.system",
    "portway.observe.scoreboard",
    "portway.worker.connection",
    "portway.worker.exchange",
    "portway.worker.leadership",
    "portway.worker.loop",
    "portway.worker.service",
    "portway.worker.transport",
    "portway.wsgi.environ",
    "portway.wsgi.gateway",
    "portway.wsgi.sink",
)

NONE = bool(os.environ.get("PORTWAY_NO_EXTENSIONS"))
REQUIRED = bool(os.environ.get("PORTWAY_REQUIRE_EXTENSIONS"))
if NONE and REQUIRED:
    sys.exit("PORTWAY_NO_EXTENSIONS and PORTWAY_REQUIRE_EXTENSIONS are both set: unset one of them.")

extensions = []
if not NONE and COMPILED:
    from Cython.Build import cythonize

    extensions = cythonize(
        [
            Extension(
                name,
                [f"src/{name.replace('.', '/')}.py"],
                extra_compile_args=["-O3", "-g0"],
                optional=not REQUIRED,
            )
            for name in COMPILED
        ],
        build_dir="build/cython",
        nthreads=os.cpu_count() or 1,
        include_path=["src"],
        compiler_directives={
            "language_level": 3,
            "boundscheck": False,
            "wraparound": False,
            "initializedcheck": False,
            "annotation_typing": True,
            "embedsignature": True,
        },
    )

setup(ext_modules=extensions, options={"build_ext": {"parallel": os.cpu_count()}})
