"""A stand-in for the `cython` module, so that Cython is needed to build Portway and never to run it.

It is not a copy of Cython's own shadow module: it has only the names that the compiled modules use, and in the
uncompiled form each of them does nothing. A module of the hot path begins with

    try:
        import cython
    except ModuleNotFoundError:
        from portway import _cython as cython
"""

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

#: True only inside a module that Cython compiled.
compiled = False

# C types, used as annotations only; annotations are never evaluated for effect.
bint = bool
int = int  # noqa: A001, PLW0127 - the name is Cython's
uint = long = ulong = longlong = ulonglong = short = Py_ssize_t = size_t = int
char = uchar = int
double = float


def _unchanged(function: T) -> T:
    return function


cclass = cfunc = ccall = inline = final = _unchanged


def _decorator(*_args: Any, **_kwargs: Any) -> Callable[[T], T]:
    return _unchanged


locals = returns = exceptval = boundscheck = wraparound = nonecheck = freelist = cdivision = _decorator  # noqa: A001


def declare(_type: Any = None, value: Any = None, **_kwargs: Any) -> Any:
    """Return the initial value: a declaration has no other effect in the uncompiled form."""
    return value


def cast(_type: Any, value: T, **_kwargs: Any) -> T:
    """Return the value unchanged."""
    return value
