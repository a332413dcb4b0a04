"""A stand-in for the `cython` module, so that Cython is needed to build Portway and never to run it.

It is not a copy of Cython's own shadow module: it has only the names that the compiled modules use, and in
the uncompiled form each of them does nothing. A module of the hot path begins with

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
int = int  # the name is Cython's
uint = long = ulong = ulonglong = short = Py_ssize_t = size_t = int
char = int
p_uchar = p_char = Py_UCS4 = None
double = float
void = None


class longlong(int):  # noqa: N801 - the name is Cython's
    """A C type of which `longlong[:]` is a view of a buffer, which the uncompiled form indexes as it is."""

    def __class_getitem__(cls, _item: Any) -> Any:
        return object


uchar = longlong


def _unchanged(function: T) -> T:
    return function


cclass = cfunc = ccall = inline = final = _unchanged


def _decorator(*_args: Any, **_kwargs: Any) -> Callable[[T], T]:
    return _unchanged


locals = returns = exceptval = boundscheck = wraparound = nonecheck = freelist = cdivision = _decorator


def declare(_type: Any = None, value: Any = None, **_kwargs: Any) -> Any:
    """Return the initial value: a declaration has no other effect in the uncompiled form."""
    return value


def cast(type_: Any, value: Any, **_kwargs: Any) -> Any:
    """Return the value, of which an integer type takes the whole part; nothing else is converted."""
    if isinstance(value, float) and issubclass(type_, int):
        return int(value)
    return value
