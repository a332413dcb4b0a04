"""Finds the threads of this process that libraries in C have started, and says which library each belongs to.

Runs in the mold, once, after the application was imported. Python knows nothing of such threads. The kernel
lists them, and the stack of a thread that waits has the addresses of the functions that wait: the first library
among them, apart from the C library, is the one whose thread it is. Where the system does not let a process
look at itself in that way, the thread's own name has to do.
"""

import bisect
import os
import struct
import threading
from collections.abc import Collection
from time import monotonic, sleep

#: How much of a stack is looked at, in bytes. A thread that waits is a few calls deep.
_STACK = 16384
#: Files that every process has, and that no thread is from.
_EVERYBODYS = ("libc.", "libc-", "libpthread", "ld-", "libpython", "python", "libstdc++", "[")
#: Libraries that make their threads anew after a fork, by pthread_atfork(3).
_SURVIVE = ("openblas",)


def tasks() -> frozenset[int]:
    """Return the kernel's numbers of all threads of this process."""
    try:
        return frozenset(int(name) for name in os.listdir("/proc/self/task"))
    except OSError:
        return frozenset()


def native_threads(before: Collection[int] = (), grace: float = 0.0) -> list[str]:
    """Return for each thread that is not Python's, and that a fork ends for good, whose it is.

    before: tasks that do not count. grace: seconds that those may take to end which no library has made: the
    last of Python's own threads look like that for a moment.
    """
    until = monotonic() + grace
    while True:
        owners = _owners(before)
        if all(".so" in owner for owner in owners) or monotonic() > until:
            return owners
        sleep(0.01)


def _owners(before: Collection[int]) -> list[str]:
    # The main thread has the number of the process, which a fork has changed.
    known = {os.getpid(), *(thread.native_id for thread in threading.enumerate()), *before}
    owners = [owner_of(task) for task in tasks() if task not in known]
    return [owner for owner in owners if owner and not any(name in owner for name in _SURVIVE)]


def owner_of(task: int) -> str:
    """Return the file name of the library that a thread is from, else the thread's name; "" where it has ended."""
    try:
        with open(f"/proc/self/task/{task}/comm", encoding="utf-8", errors="replace") as file:
            name = file.read().strip()
    except OSError:
        return ""
    try:
        return _library_of(task) or name
    except (OSError, ValueError, IndexError, OverflowError):
        return name


def _library_of(task: int) -> str:
    """Return the name of the first library on a thread's stack, "" where there is none."""
    # proc(5): the last but one is the stack pointer; a thread that runs has none.
    with open(f"/proc/self/task/{task}/syscall", encoding="ascii") as file:
        pointer = int(file.read().split()[-2], 16)
    starts, ends, paths = [], [], []
    end = 0
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
        for line in file:
            fields = line.split(maxsplit=5)
            first, last = (int(address, 16) for address in fields[0].split("-"))
            if first <= pointer < last:
                end = last
            if "x" in fields[1] and len(fields) == 6:
                starts.append(first)
                ends.append(last)
                paths.append(fields[5].strip())
    with open("/proc/self/mem", "rb", buffering=0) as memory:
        memory.seek(pointer)
        stack = memory.read(min(_STACK, end - pointer) & ~7)
    for word in struct.unpack(f"{len(stack) // 8}Q", stack):
        index = bisect.bisect_right(starts, word) - 1
        if index >= 0 and word < ends[index]:
            name = os.path.basename(paths[index])
            if not name.startswith(_EVERYBODYS):
                return name
    return ""
