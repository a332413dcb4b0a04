"""What glibc's allocator does with memory that a worker frees: called once, in a worker's process, as it starts.

It is not about Python's own small objects. A body of a megabyte, and the pieces it comes in, are allocated for each
request; by default glibc gives such memory back to the kernel at once and takes it anew, page by page, for the next.
"""

import ctypes
import os

# From malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3

#: Blocks of this many bytes and more are mapped each by itself, and unmapped when they are freed.
MAPPED = 4 << 20
#: Bytes that may stay free at the end of the heap before the kernel gets them back.
KEPT = 8 << 20


def keep_freed_memory() -> None:
    """Have the allocator keep up to KEPT bytes; nothing where MALLOC_* variables say otherwise, or without glibc."""
    if any(name.startswith("MALLOC_") for name in os.environ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, MAPPED)
        mallopt(_M_TRIM_THRESHOLD, KEPT)
