"""CPUs and memory as cgroups grant them, in both versions, and the number of workers they give."""

import os
from pathlib import Path

import pytest

from portway.settings.sizing import Machine, default_workers, measure

MIB = 1024**2
V2 = "30 23 0:26 {root} /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = "31 23 0:27 {root} /sys/fs/cgroup/{name} rw - cgroup cgroup rw,{options}\n"


def put(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text, encoding="ascii")


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    put(tmp_path, "proc/meminfo", "MemTotal:       16384000 kB\nMemFree:  1 kB\n")
    return tmp_path


def v2(root: Path, group: str, mounted: str = "/") -> None:
    put(root, "proc/self/cgroup", f"0::{group}\n")
    put(root, "proc/self/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n" + V2.format(root=mounted))


def v1(root: Path, group: str, mounted: str = "/") -> None:
    put(root, "proc/self/cgroup", f"4:memory:{group}\n3:cpu,cpuacct:{group}\n1:name=systemd:/\n0::/\n")
    lines = [("cpu,cpuacct", "cpu,cpuacct"), ("memory", "memory"), ("systemd", "name=systemd")]
    text = "".join(V1.format(root=mounted, name=name, options=options) for name, options in lines)
    put(root, "proc/self/mountinfo", text)


def test_without_cgroups(machine: Path) -> None:
    found = measure(str(machine), affinity=os.cpu_count() or 1)
    assert found == Machine(float(os.cpu_count() or 1), "", 16384000 * 1024, "")


def test_without_anything(tmp_path: Path) -> None:
    assert measure(str(tmp_path), affinity=4).memory is None


def test_affinity(machine: Path) -> None:
    more = (os.cpu_count() or 1) + 1
    assert measure(str(machine), affinity=more).cpus_by == ""


def test_affinity_of_fewer_cpus_than_there_are(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    found = measure(str(machine), affinity=3)
    assert (found.cpus, found.cpus_by) == (3.0, "CPU affinity")


def test_a_quota_of_version_2(machine: Path) -> None:
    v2(machine, "/app.slice/web.service")
    put(machine, "sys/fs/cgroup/app.slice/web.service/cpu.max", "150000 100000\n")
    put(machine, "sys/fs/cgroup/app.slice/web.service/memory.max", f"{512 * MIB}\n")
    assert measure(str(machine), affinity=8) == Machine(1.5, "cgroup quota", 512 * MIB, "cgroup limit")


def test_the_tightest_of_the_groups_above_counts(machine: Path) -> None:
    v2(machine, "/a/b/c")
    put(machine, "sys/fs/cgroup/a/b/c/cpu.max", "max 100000\n")
    put(machine, "sys/fs/cgroup/a/b/c/memory.max", "max\n")
    put(machine, "sys/fs/cgroup/a/b/cpu.max", "400000 100000\n")
    put(machine, "sys/fs/cgroup/a/b/memory.max", f"{900 * MIB}\n")
    put(machine, "sys/fs/cgroup/a/cpu.max", "200000 50000\n")
    put(machine, "sys/fs/cgroup/a/memory.max", f"{700 * MIB}\n")
    found = measure(str(machine), affinity=8)
    assert (found.cpus, found.memory) == (4.0, 700 * MIB)


def test_a_container_with_its_own_view_of_version_2(machine: Path) -> None:
    v2(machine, "/")
    put(machine, "sys/fs/cgroup/cpu.max", "50000 100000\n")
    assert measure(str(machine), affinity=8).cpus == 0.5


def test_a_container_that_sees_only_its_part_of_the_tree(machine: Path) -> None:
    v2(machine, "/docker/0123/inner", mounted="/docker/0123")
    put(machine, "sys/fs/cgroup/inner/cpu.max", "max 100000\n")
    put(machine, "sys/fs/cgroup/cpu.max", "100000 100000\n")
    assert measure(str(machine), affinity=8).cpus == 1.0


def test_a_group_that_cannot_be_seen(machine: Path) -> None:
    """The path of another namespace, /../other: what is mounted is all there is."""
    v2(machine, "/../other")
    put(machine, "sys/fs/cgroup/cpu.max", "100000 100000\n")
    assert measure(str(machine), affinity=8).cpus == 1.0


def test_a_quota_of_version_1(machine: Path) -> None:
    v1(machine, "/docker/0123")
    put(machine, "sys/fs/cgroup/cpu,cpuacct/docker/0123/cpu.cfs_quota_us", "250000\n")
    put(machine, "sys/fs/cgroup/cpu,cpuacct/docker/0123/cpu.cfs_period_us", "100000\n")
    put(machine, "sys/fs/cgroup/memory/docker/0123/memory.limit_in_bytes", f"{256 * MIB}\n")
    assert measure(str(machine), affinity=8) == Machine(2.5, "cgroup quota", 256 * MIB, "cgroup limit")


def test_a_container_of_version_1(machine: Path) -> None:
    """There the mount begins at the container's own group, whose path shows only in /proc."""
    v1(machine, "/docker/0123", mounted="/docker/0123")
    put(machine, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "100000\n")
    put(machine, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n")
    put(machine, "sys/fs/cgroup/memory/memory.limit_in_bytes", f"{256 * MIB}\n")
    found = measure(str(machine), affinity=8)
    assert (found.cpus, found.memory) == (1.0, 256 * MIB)


def test_no_limit_in_version_1(machine: Path) -> None:
    v1(machine, "/")
    put(machine, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n")
    put(machine, "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
    found = measure(str(machine), affinity=os.cpu_count() or 1)
    assert (found.cpus_by, found.memory, found.memory_by) == ("", 16384000 * 1024, "")


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("", 8),
        ("max", 8),
        ("x y\n", 8),
        ("0 0\n", 8),
        ("100000 0\n", 8),
        ("100000\n", 1),
        ("200000 max\n", 2),
    ],
)
def test_files_with_something_else_in_them(machine: Path, text: str, cpus: float) -> None:
    v2(machine, "/")
    put(machine, "sys/fs/cgroup/cpu.max", text)
    put(machine, "sys/fs/cgroup/memory.max", text)
    assert measure(str(machine), affinity=8).cpus == cpus


def test_the_machine_that_this_runs_on() -> None:
    found = measure()
    assert 0 < found.cpus <= len(os.sched_getaffinity(0))
    assert found.memory is not None
    assert found.memory > 0


@pytest.mark.parametrize(
    ("cpus", "workers"), [(0.1, 2), (0.5, 2), (1.0, 2), (1.5, 2), (2.0, 2), (2.1, 3), (4.0, 4), (64.0, 64)]
)
def test_a_worker_for_each_cpu_and_at_least_two(cpus: float, workers: int) -> None:
    found, why = default_workers(Machine(cpus, "cgroup quota"))
    assert found == workers
    assert found <= 2 * max(1, -(-cpus // 1)) + 1
    assert why == f"{cpus:.3g} CPU{'' if cpus == 1 else 's'} (cgroup quota)"


@pytest.mark.parametrize(("memory", "workers"), [(64, 1), (128, 1), (320, 2), (512, 3), (1024, 7), (4096, 8)])
def test_no_more_workers_than_memory_holds(memory: int, workers: int) -> None:
    found, why = default_workers(Machine(8.0, "", memory * MIB, "cgroup limit"))
    assert found == workers
    if workers < 8:
        assert why == f"{memory} MiB of memory (cgroup limit), 128 MiB for each worker"
    else:
        assert why == "8 CPUs"
