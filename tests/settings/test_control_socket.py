"""Where the control socket is: where somebody asked for it, and nowhere else."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from portway.settings.errors import SettingsError
from portway.settings.load import load
from portway.settings.sizing import Machine
from portway.settings.table import Settings

MACHINE = Machine(2.0, "")


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., Settings]:
    """Return a function that loads settings in an empty folder of its own."""

    def settings(*arguments: str, environ: Mapping[str, str] | None = None) -> Settings:
        return load(arguments, environ or {}, str(tmp_path), MACHINE).settings

    return settings


def test_nothing_is_made_where_nobody_asked(settings: Callable[..., Settings]) -> None:
    found = settings(environ={"XDG_RUNTIME_DIR": "/tmp", "HOME": "/root"})
    assert found.control_socket is None
    assert found.control_socket_mode == 0o600


@pytest.mark.parametrize(("pidfile", "path"), [("x.pid", "x.ctl"), ("x", "x.ctl"), (".pid", ".ctl")])
def test_beside_the_pid_file(
    settings: Callable[..., Settings], tmp_path: Path, pidfile: str, path: str
) -> None:
    found = settings("--pid", pidfile, environ={"RUNTIME_DIRECTORY": str(tmp_path)})
    assert found.control_socket == str(tmp_path / path)
    assert found.explain("control_socket") == "beside the pid file"


def test_in_the_folder_that_the_service_manager_made(
    settings: Callable[..., Settings], tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    environ = {"RUNTIME_DIRECTORY": f"{tmp_path}/run:/run/other"}
    found = settings(environ=environ)
    assert found.control_socket == str(tmp_path / "run" / "portway.ctl")
    assert found.source("control_socket") == "machine"
    assert settings("-n", "a/b", environ=environ).control_socket == str(tmp_path / "run" / "a_b.ctl")


@pytest.mark.parametrize("folder", ["", "relative", "/no/such/folder"])
def test_a_folder_that_is_none_is_not_used(settings: Callable[..., Settings], folder: str) -> None:
    assert settings(environ={"RUNTIME_DIRECTORY": folder}).control_socket is None


def test_where_it_is_asked_for(settings: Callable[..., Settings], tmp_path: Path) -> None:
    found = settings("--control-socket", "my.sock", "--control-socket-mode", "0660", "--pid", "x.pid")
    assert found.control_socket == str(tmp_path / "my.sock")
    assert found.control_socket_mode == 0o660


def test_without_one(settings: Callable[..., Settings], tmp_path: Path) -> None:
    assert settings("--no-control-socket", "--pid", "x.pid").control_socket is None
    assert settings("--no-control-socket", "--control-socket", "x").control_socket is None
    (tmp_path / "gunicorn.conf.py").write_text("control_socket = ''\npidfile = 'x.pid'\n")
    assert settings().control_socket is None


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--control-socket", "no/such/x"), "there is no folder"),
        (("--control-socket", "."), "it is a folder"),
        (("--control-socket-mode", "0999"), "octal"),
        (("--control-socket-mode", "600"), "octal"),
    ],
)
def test_what_cannot_be(settings: Callable[..., Settings], arguments: tuple[str, ...], part: str) -> None:
    with pytest.raises(SettingsError, match=part):
        settings(*arguments)
