"""Where a thread is at this moment, as text for the log. Any thread may ask about any other.

Not compiled; asked for a few times in the life of a slow request.
"""

import sys
import traceback
from types import FrameType


def stack_of(ident: int | None) -> str:
    """Return the stack of a thread, innermost call last, without the server's part that every stack begins with.

    ident: as threading.get_ident() gives it; None gives the same text as a thread that has ended.
    """
    frame = sys._current_frames().get(ident) if ident is not None else None
    if frame is None:
        return "  (the thread has ended)"
    # Taken once: the thread goes on meanwhile.
    found = list(traceback.walk_stack(frame))[::-1]
    begin = _end_of_server([_module_of(frame) for frame, _ in found])
    try:
        return "".join(traceback.StackSummary.extract(iter(found[begin:])).format()).rstrip()
    except Exception as error:  # noqa: BLE001 - source lines come from loaders of the application's
        return f"  (it cannot be shown: {type(error).__name__}: {error})"


def is_in(ident: int | None, package: str) -> bool:
    """Tell whether a thread is in the code of a package, or in what that has called."""
    frame = sys._current_frames().get(ident) if ident is not None else None
    while frame is not None:
        name = _module_of(frame)
        if name == package or name.startswith(package + "."):
            return True
        frame = frame.f_back
    return False


def _module_of(frame: FrameType) -> str:
    name = frame.f_globals.get("__name__")
    return name if isinstance(name, str) else ""


def _end_of_server(names: list[str]) -> int:
    """Return where the application's frames begin, outermost first; 0 where there are none."""
    at = 0
    while at < len(names) and not names[at].startswith("portway.worker."):
        at += 1
    while at < len(names) and names[at].startswith("portway."):
        at += 1
    return at if at < len(names) else 0
