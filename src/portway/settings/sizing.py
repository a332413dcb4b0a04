"""How many workers a machine can use: counted from what its cgroup grants, not from what the host has.

`measure` reads the CPU quota and the memory limit of the cgroup (v1 and v2, also those of the groups above
it), the CPU affinity (which a cpuset sets) and the machine's memory. `default_workers` turns them into a
number and the reason as a sentence for the start-up lines. Reads files below /proc and /sys only; `root` lets
tests put others there.
"""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass

#: What a worker with a Django application is taken to need of its own, and what the other processes need, in
#: bytes.
WORKER_MEMORY = 128 * 1024**2
OTHER_MEMORY = 64 * 1024**2
_MIB = 1024**2


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is to use.

    cpus: CPUs, not always a whole number. cpus_by: what bounds them. memory: bytes, None if unknown.
    memory_by: what bounds it.
    """

    cpus: float
    cpus_by: str
    memory: int | None = None
    memory_by: str = ""


def measure(root: str = "/", affinity: int | None = None) -> Machine:
    """Return what this process may use. affinity: the number of CPUs it may run on; None asks the kernel."""
    if affinity is None:
        affinity = len(os.sched_getaffinity(0))
    cpus, cpus_by = float(affinity), "CPU affinity" if affinity < (os.cpu_count() or affinity) else ""
    memory, memory_by = _machine_memory(root), ""
    for version, folder in _cgroup_folders(root):
        quota = _quota(version, folder)
        if quota is not None and quota < cpus:
            cpus, cpus_by = quota, "cgroup quota"
        limit = _memory_limit(version, folder)
        if limit is not None and (memory is None or limit < memory):
            memory, memory_by = limit, "cgroup limit"
    return Machine(cpus, cpus_by, memory, memory_by)


def default_workers(machine: Machine) -> tuple[int, str]:
    """Return how many workers to start, and why, as a clause: `2 CPUs (cgroup quota)`.

    One for each CPU, since a worker keeps one busy; at least two, so that one serves while the other is
    replaced; never more than (2 x CPUs) + 1; and no more than memory holds.
    """
    cores = max(1, math.ceil(machine.cpus))
    workers = min(max(2, cores), 2 * cores + 1)
    why = f"{machine.cpus:.3g} CPU{'' if machine.cpus == 1 else 's'}"
    if machine.cpus_by:
        why += f" ({machine.cpus_by})"
    if machine.memory is not None:
        fit = max(1, (machine.memory - OTHER_MEMORY) // WORKER_MEMORY)
        if fit < workers:
            by = f" ({machine.memory_by})" if machine.memory_by else ""
            return (
                fit,
                f"{machine.memory // _MIB} MiB of memory{by}, {WORKER_MEMORY // _MIB} MiB for each worker",
            )
    return workers, why


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return None


def _number(path: str) -> int | None:
    text = (_read(path) or "").strip()
    try:
        return int(text)
    except ValueError:
        return None


def _machine_memory(root: str) -> int | None:
    for line in (_read(os.path.join(root, "proc/meminfo")) or "").splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "MemTotal:" and words[1].isdigit():
            return int(words[1]) * 1024
    return None


def _quota(version: int, folder: str) -> float | None:
    """Return the CPUs that one cgroup's quota amounts to, None where it sets none."""
    if version == 2:
        words = (_read(os.path.join(folder, "cpu.max")) or "").split()
        if not words or not words[0].isdigit():
            return None
        quota, period = int(words[0]), int(words[1]) if len(words) > 1 and words[1].isdigit() else 100_000
    else:
        quota = _number(os.path.join(folder, "cpu.cfs_quota_us")) or -1
        period = _number(os.path.join(folder, "cpu.cfs_period_us")) or 100_000
    return quota / period if quota > 0 and period > 0 else None


def _memory_limit(version: int, folder: str) -> int | None:
    name = "memory.max" if version == 2 else "memory.limit_in_bytes"
    limit = _number(os.path.join(folder, name))
    return limit if limit is not None and limit > 0 else None


def _cgroup_folders(root: str) -> Iterator[tuple[int, str]]:
    """Yield (version, folder) of the cgroups this process is in and of those above, as far as they show."""
    mounts = list(_cgroup_mounts(root))
    for line in (_read(os.path.join(root, "proc/self/cgroup")) or "").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        for version, options, mounted, point in mounts:
            if version == 2:
                if number != "0" or controllers:
                    continue
            elif not {"cpu", "memory"} & set(controllers.split(",")) & set(options):
                continue
            # In a container the mount may begin below the path that /proc names; then all that shows is the
            # mount.
            inside = path.removeprefix(mounted) if mounted != "/" else path
            if not path.startswith(mounted) or not os.path.isdir(os.path.join(point, inside.strip("/"))):
                inside = ""
            parts = [part for part in inside.split("/") if part and part != ".."]
            for depth in range(len(parts), -1, -1):
                yield version, os.path.join(point, *parts[:depth])


def _cgroup_mounts(root: str) -> Iterator[tuple[int, list[str], str, str]]:
    """Yield (version, mount options, which cgroup is mounted, where) from /proc/self/mountinfo (proc(5))."""
    for line in (_read(os.path.join(root, "proc/self/mountinfo")) or "").splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or len(kind) < 3 or kind[0] not in ("cgroup", "cgroup2"):
            continue
        point = os.path.join(root, fields[4].lstrip("/"))
        yield (2 if kind[0] == "cgroup2" else 1), kind[2].split(","), fields[3], point
