"""Where the control socket is when nobody has said: beside the pid file, or in the service's own folder.

Both were asked for by somebody who wants to find the server there; a server that was given neither makes no
socket and leaves nothing on the disk. `portwayctl` finds the socket by the pid file in the same way.
"""

import os
from collections.abc import Mapping

#: What the name of a control socket ends with.
SUFFIX = ".ctl"


def beside(pidfile: str) -> str:
    """Return where the control socket of a server with this pid file is: x.ctl for x.pid."""
    return pidfile.removesuffix(".pid") + SUFFIX


def choose(pidfile: str | None, proc_name: str, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the path of the control socket, and why it is that one; None for no socket."""
    if pidfile is not None:
        return beside(pidfile), "beside the pid file"
    # systemd makes these folders for a service (RuntimeDirectory=) and takes them away after it.
    folder = environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    if os.path.isabs(folder) and os.path.isdir(folder):
        return os.path.join(folder, proc_name.replace(os.sep, "_") + SUFFIX), "in RUNTIME_DIRECTORY"
    return None


def second(path: str, pidfile: str | None) -> str:
    """Return where a server's control socket is while its predecessor, which has `path`, still runs.

    It is found by the second pid file as the first one is by the first.
    """
    if pidfile is not None and path == beside(pidfile):
        return beside(f"{pidfile}.2")
    return f"{path}.2"
