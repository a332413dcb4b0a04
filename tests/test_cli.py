"""The `portway` command: what it prints, its exit statuses, and what it hands to the supervisor."""

import logging
import os
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import portway
from portway import cli
from portway.django.project import DjangoProject
from portway.settings.errors import SettingsError
from portway.settings.table import TABLE, Settings
from portway.settings.target import Target

APP = "def app(environ, start_response): ...\nnumber = 3\n"


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs the command in the test's folder."""
    (tmp_path / ".git").mkdir()

    def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if name not in ("PORT", "WEB_CONCURRENCY")}
        return subprocess.run(
            [sys.executable, "-W", "error", "-m", "portway", *arguments],
            cwd=tmp_path,
            env={**kept, "PYTHONDONTWRITEBYTECODE": "1", **environ},
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


class Started:
    """What the supervisor was started with."""

    settings: Settings
    target: Target
    folder: str
    reload: Callable[[], Settings]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Started:
    """Put a supervisor in place that only remembers, and run in the test's folder."""
    found = Started()

    def run(settings: Settings, target: Target, reload: Callable[[], Settings]) -> int:
        found.settings, found.target, found.folder, found.reload = settings, target, os.getcwd(), reload
        return 42

    module: Any = types.ModuleType("portway.supervisor.supervisor")
    module.run = run
    monkeypatch.setitem(sys.modules, "portway.supervisor.supervisor", module)
    monkeypatch.chdir(tmp_path)
    return found


def test_the_supervisor_gets_settings_and_target(started: Started, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    assert cli.main(["--chdir", "site", "-w", "3", "app:app"]) == 42
    assert started.settings.workers == 3
    assert started.target == Target(application="app:app")
    assert started.folder == str(tmp_path / "site")


def test_a_reload_reads_the_settings_again(
    started: Started, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """From the folder where the command was run, wherever the process is by then."""
    (tmp_path / "site").mkdir()
    (tmp_path / "portway.conf.py").write_text("threads = 5\n")
    assert cli.main(["--chdir", "site", "app:app"]) == 42
    (tmp_path / "portway.conf.py").write_text("threads = 6\nthraeds = 7\n")
    error_log = logging.getLogger("portway.error")
    error_log.addHandler(caplog.handler)
    try:
        again = started.reload()
    finally:
        error_log.removeHandler(caplog.handler)
    assert (started.settings.threads, again.threads, again.chdir) == (5, 6, str(tmp_path / "site"))
    assert "thraeds (did you mean threads?)" in caplog.text
    (tmp_path / "portway.conf.py").write_text("1 / 0\n")
    with pytest.raises(SettingsError):
        started.reload()


def test_without_an_application_it_gets_the_project(started: Started, tmp_path: Path) -> None:
    (tmp_path / "manage.py").write_text("import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'a.b')\n")
    assert cli.main([]) == 42
    assert started.target == Target(django=DjangoProject(str(tmp_path), "a.b"))


def test_the_arguments_of_the_process_are_taken(started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["portway", "app:app", "--threads", "7"])
    assert cli.main() == 42
    assert started.settings.threads == 7


def test_warnings_are_shown_before_it_starts(
    started: Started, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gunicorn.conf.py").write_text("def post_fork(server, worker): ...\n")
    assert cli.main(["app:app"]) == 42
    assert capsys.readouterr().err == (
        f"portway: warning: {tmp_path}/gunicorn.conf.py "
        "defines hooks that Portway does not call: post_fork.\n"
    )


def test_a_python_that_cannot_run_it_is_refused(
    started: Started, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    assert cli.main(["app:app"]) == 1
    assert "global interpreter lock" in capsys.readouterr().err
    assert not hasattr(started, "settings")


def test_version(command: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    for flag in ("--version", "-v"):
        done = command(flag)
        assert done.returncode == 0
        assert done.stdout.startswith(f"portway {portway.__version__} (")
        assert ".".join(map(str, sys.version_info[:3])) in done.stdout


def test_help_tells_every_flag(command: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = command("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: portway [options] [MODULE[:CALLABLE]]")
    for row in TABLE.values():
        for flag in row.flags:
            assert flag in done.stdout
    assert "--worker-tmp-dir" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["-w", "many", "app:app"], "portway: -w many: it must be a whole number from 1 to 1024\n"),
        (["--wrokers", "3"], "portway: there is no flag --wrokers; did you mean --workers?\n"),
        (["-D", "app:app"], "portway: -D is not available in Portway: let systemd (or a container) run"),
        (["app:app", "-k", "gevent"], "portway: -k gevent: Portway has no green threads"),
        ([], "is not in a Django project.\n"),
    ],
)
def test_a_mistake_is_one_message_and_status_2(
    command: Callable[..., subprocess.CompletedProcess[str]], arguments: list[str], told: str
) -> None:
    done = command(*arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_configuration_file_that_raises_is_status_1(
    command: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "gunicorn.conf.py").write_text("import os\nbind = os.environ['NO_SUCH_VARIABLE']\n")
    done = command("app:app")
    assert done.returncode == 1
    assert done.stderr == (
        f"portway: The configuration file cannot be used: {tmp_path}/gunicorn.conf.py:2: "
        "KeyError: 'NO_SUCH_VARIABLE'.\n"
    )


def test_ctrl_c_while_a_configuration_file_runs(
    command: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "gunicorn.conf.py").write_text("raise KeyboardInterrupt\n")
    done = command("app:app")
    assert (done.returncode, done.stderr) == (130, "")


def test_a_check_that_finds_nothing_wrong(
    command: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(APP)
    done = command("--check-config", "app:app")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "The settings are good; app:app can be served.\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["app:gone"], "'gone'"),
        (["app:number"], "callable"),
        (["gone:app"], "gone"),
        (["broken"], "ZeroDivisionError"),
        (["app:app", "-w", "x"], "-w x"),
        (["app:app", "-c", "gone.py"], "gone.py"),
        (["--frobnicate"], "--frobnicate"),
        ([], "nothing to serve"),
    ],
)
def test_a_check_that_finds_something_is_status_1(
    command: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, arguments: list[str], told: str
) -> None:
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "broken.py").write_text("1 / 0\n")
    done = command("--check-config", *arguments)
    assert done.returncode == 1
    assert told in done.stderr


def test_an_error_of_the_applications_is_shown_with_its_place(
    command: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "broken.py").write_text("\n1 / 0\n")
    done = command("--check-config", "broken")
    assert done.stderr.startswith("portway: Importing 'broken' raised ZeroDivisionError")
    assert 'broken.py", line 2' in done.stderr
    # The way there, through the server and the import system, is nobody's business.
    assert done.stderr.count("File ") == 1


def test_a_check_of_a_django_project(
    command: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "manage.py").write_text(
        "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'plain_settings')\n"
    )
    (tmp_path / "plain_settings.py").write_text("SECRET_KEY = 'x'\nDEBUG = True\nSTATIC_URL = 'static/'\n")
    done = command("--check-config")
    assert done.returncode == 0, done.stderr
    warnings = [line for line in done.stderr.splitlines() if line.startswith("portway: warning: ")]
    assert len(warnings) == 2
    assert "DEBUG is True" in warnings[0]
    assert "STATIC_ROOT is not set" in warnings[1]


def test_the_settings_are_printed_with_their_places(
    command: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(APP)
    done = command("--print-config", "--threads", "9", "app:app", PORT="5000")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(TABLE)
    assert any(line.startswith("threads ") and line.endswith("= 9  (--threads)") for line in lines)
    assert any(line.startswith("bind ") and line.endswith("= 0.0.0.0:5000  (PORT)") for line in lines)


def test_nothing_of_the_application_is_imported_to_print_help_or_start(
    command: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text("raise SystemExit('imported')\n")
    assert "imported" not in command("--help", "app:app").stderr
    assert "imported" not in command("--version", "app:app").stderr
