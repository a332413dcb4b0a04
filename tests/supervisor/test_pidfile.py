"""The pid file: written whole, never over that of a server that lives, removed by its owner only."""

import os
import stat
import subprocess
import sys

import pytest

from portway.supervisor.pidfile import PidFile, PidFileError


@pytest.fixture
def pid_file():
    pid_file = PidFile()
    yield pid_file
    pid_file.remove()


@pytest.fixture
def dead_pid():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_it_holds_the_process_id_and_everybody_may_read_it(pid_file, tmp_path):
    path = tmp_path / "pid"
    pid_file.use(str(path))
    assert path.read_text() == f"{os.getpid()}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert os.listdir(tmp_path) == ["pid"]
    pid_file.remove()
    assert not path.exists()
    pid_file.remove()


def test_none_is_no_file(pid_file):
    pid_file.use(None)
    assert pid_file.path is None


@pytest.mark.parametrize("text", ["", "garbage", "0", "-1", "12 34", "\xff"])
def test_a_file_with_something_else_is_replaced(pid_file, tmp_path, text):
    path = tmp_path / "pid"
    path.write_bytes(text.encode("latin-1"))
    pid_file.use(str(path))
    assert path.read_text() == f"{os.getpid()}\n"


def test_that_of_a_dead_server_is_replaced(pid_file, tmp_path, dead_pid):
    path = tmp_path / "pid"
    path.write_text(f"{dead_pid}\n")
    pid_file.use(str(path))
    assert path.read_text() == f"{os.getpid()}\n"


def test_that_of_a_server_that_lives_stays(pid_file, tmp_path):
    path = tmp_path / "pid"
    path.write_text(f"{os.getppid()}\n")
    with pytest.raises(PidFileError, match=f"names process {os.getppid()}, which lives"):
        pid_file.use(str(path))
    assert path.read_text() == f"{os.getppid()}\n"


def test_a_folder_that_does_not_exist(pid_file, tmp_path):
    with pytest.raises(PidFileError, match="cannot be written: No such file or directory"):
        pid_file.use(str(tmp_path / "missing" / "pid"))


def test_another_path_takes_the_place_of_the_first(pid_file, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    pid_file.use(str(first))
    pid_file.use(str(second))
    assert not first.exists()
    assert second.exists()
    second.write_text("1\n")
    with pytest.raises(PidFileError):
        pid_file.use(str(tmp_path / "missing" / "pid"))
    assert pid_file.path == str(second)


def test_the_file_of_a_successor_is_not_removed(pid_file, tmp_path):
    path = tmp_path / "pid"
    pid_file.use(str(path))
    path.write_text("1\n")
    pid_file.remove()
    assert path.exists()
