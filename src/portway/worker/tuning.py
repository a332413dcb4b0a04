"""What a worker asks of the C library and the kernel for itself: called once, in its process, before its threads start.

Nothing here is needed for a worker to work; where something is not available, it does without.
"""

import ctypes
import os

# From malloc.h and linux/prctl.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_PR_SET_TIMERSLACK = 29

#: Blocks of this many bytes and more are mapped each by itself, and unmapped when they are freed.
MAPPED = 4 << 20
#: Bytes that may stay free at the end of the heap before the kernel gets them back.
KEPT = 8 << 20
#: How much later than asked a sleep or a wait may end, in nanoseconds.
SLACK = 1000


def keep_freed_memory() -> None:
    """Have glibc's allocator keep up to KEPT bytes, unless MALLOC_* variables say otherwise.

    It is not about Python's own small objects. A body of a megabyte, and the pieces it comes in, are allocated for each
    request; by default glibc gives such memory back to the kernel at once and takes it anew, page by page, for the
    next.
    """
    if any(name.startswith("MALLOC_") for name in os.environ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, MAPPED)
        mallopt(_M_TRIM_THRESHOLD, KEPT)


def wake_on_time() -> None:
    """Have waits of this thread, and of those that it will start, end when they should (prctl(2)).

    The kernel lets a wait last up to 50 microseconds longer, so that it can end several at once. An application that
    waits for something pays that each time, and so does whoever waits for its thread.
    """
    ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, ctypes.c_ulong(SLACK), 0, 0, 0)
