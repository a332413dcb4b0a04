"""The machine: which core serves and which makes the load, its limits, and how it is described in results.

Reads /proc and /sys only; starts nothing but `nginx -v` and the like to learn versions.
"""

import os
import platform
import re
import resource
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

#: As many descriptors as the largest measurement needs, with room. The hard limit may be lower.
DESCRIPTORS = 20_000


@dataclass(frozen=True, slots=True)
class Cores:
    """The core of the servers, that of the load generator, and all that may be used. One machine has one."""

    server: int
    load: int
    available: tuple[int, ...]

    @property
    def apart(self) -> bool:
        """Tell whether server and load generator have a core each."""
        return self.server != self.load


def choose_cores() -> Cores:
    """Take the first core for the servers, and for the load the next that is not its hyperthread sibling."""
    available = tuple(sorted(os.sched_getaffinity(0)))
    server = available[0]
    siblings = _siblings(server)
    others = [core for core in available if core != server]
    load = next((core for core in others if core not in siblings), others[0] if others else server)
    return Cores(server, load, available)


def _siblings(core: int) -> set[int]:
    try:
        text = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list").read_text()
    except OSError:
        return set()
    found: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def raise_limits() -> int:
    """Allow this process and its children as many descriptors as they need; return how many it is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return DESCRIPTORS
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def backlog() -> int:
    """Return the longest accept backlog that the kernel gives."""
    return min(2048, int(_first_line("/proc/sys/net/core/somaxconn") or 128))


def describe(cores: Cores) -> dict[str, Any]:
    """Return what a reader must know to judge figures from this machine."""
    return {
        "processor": _processor(),
        "cores": len(cores.available),
        "server_core": cores.server,
        "load_core": cores.load,
        "memory": _memory(),
        "kernel": platform.release(),
        "system": _system(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "compiler": platform.python_compiler(),
        "load_average": list(os.getloadavg()),
        "wrk": tool_version("wrk", "-v"),
        "valgrind": tool_version("valgrind", "--version"),
    }


def one_line(machine: dict[str, Any]) -> str:
    """Say in one line what `describe` found."""
    cores = machine["cores"]
    return (
        f"{machine['processor']}, {cores} core{'s' if cores != 1 else ''}, "
        f"Linux {machine['kernel']}, {machine['python']}, wrk {machine['wrk'] or 'missing'}"
    )


def _first_line(path: str) -> str:
    try:
        with open(path) as stream:
            return stream.readline().strip()
    except OSError:
        return ""


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.machine()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found.group(1).strip() if found else platform.machine()


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def tool_version(name: str, flag: str) -> str:
    """Return the version that a program says it has, "" if it is missing. nginx and wrk say it on stderr."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if path is None:
        return ""
    # wrk exits with 1 after it has said its version.
    done = subprocess.run([path, flag], capture_output=True, text=True, check=False)
    found = re.search(r"\d+\.\d+(\.\d+)*(-\d+)?", done.stdout + done.stderr)
    return found.group(0) if found else "unknown"


def package_version(distribution: str) -> str:
    """Return the version of an installed distribution, "" if it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def portway_version(uncompiled: bool) -> str:
    """Return what `portway --version` says of one of the two builds, "" if it does not run."""
    env = {key: value for key, value in os.environ.items() if key != "PORTWAY_NO_EXTENSIONS"}
    if uncompiled:
        env["PORTWAY_NO_EXTENSIONS"] = "1"
    done = subprocess.run(
        [sys.executable, "-m", "portway", "--version"], capture_output=True, text=True, env=env, check=False
    )
    return done.stdout.strip().removeprefix("portway ") if done.returncode == 0 else ""
