"""The watcher of source files: what counts as a change."""

import os

import pytest

from portway.supervisor.watch import Watcher


@pytest.fixture
def project(tmp_path):
    (tmp_path / "app.py").write_text("1")
    (tmp_path / "data.txt").write_text("1")
    return tmp_path


@pytest.fixture
def watcher(project):
    watcher = Watcher()
    watcher.add([str(project / "app.py")])
    return watcher


def later(path):
    """Set the time of a file as if it was written a second later."""
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 10**9))


def test_nothing_has_changed_at_first(watcher):
    assert watcher.changes() == []


def test_a_file_that_was_written_is_a_change_once(watcher, project):
    later(project / "app.py")
    assert watcher.changes() == [str(project / "app.py")]
    assert watcher.changes() == []


def test_a_file_that_was_replaced_is_a_change_even_with_the_same_time(watcher, project):
    before = (project / "app.py").stat().st_mtime_ns
    (project / "new").write_text("2")
    os.utime(project / "new", ns=(0, before))
    os.replace(project / "new", project / "app.py")
    assert watcher.changes() == [str(project / "app.py")]


def test_files_beside_it_count_when_they_are_python(watcher, project):
    (project / "views.py").write_text("1")
    (project / "more.txt").write_text("1")
    later(project / "data.txt")
    assert watcher.changes() == [str(project / "views.py")]
    (project / "views.py").unlink()
    assert watcher.changes() == [str(project / "views.py")]


def test_a_link_to_nowhere_is_no_file(watcher, project):
    (project / "dangling.py").symlink_to(project / "nowhere")
    assert watcher.changes() == []
    later(project / "app.py")
    assert watcher.changes() == [str(project / "app.py")]


def test_adding_a_folder_again_forgets_no_change(watcher, project):
    later(project / "app.py")
    watcher.add([str(project / "app.py")])
    assert watcher.changes() == [str(project / "app.py")]


def test_a_folder_that_goes_takes_its_files_along(watcher, project):
    (project / "app.py").rename(project.parent / "elsewhere.py")
    assert watcher.changes() == [str(project / "app.py")]
