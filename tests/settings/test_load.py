"""How defaults, environment, configuration file, *_CMD_ARGS and the command line make the settings."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from portway.settings.errors import SettingsError
from portway.settings.load import Loaded, current_directory, load, load_again, print_config
from portway.settings.sizing import Machine
from portway.settings.table import TABLE, Settings

MACHINE = Machine(2.0, "")


@pytest.fixture
def loaded(tmp_path: Path) -> Callable[..., Loaded]:
    """Return a function that loads in an empty folder of its own."""

    def load_there(
        *arguments: str, environ: Mapping[str, str] | None = None, machine: Machine = MACHINE
    ) -> Loaded:
        return load(arguments, environ or {}, str(tmp_path), machine)

    return load_there


def message(loaded: Callable[..., Loaded], *arguments: str, **more: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        loaded(*arguments, **more)
    assert caught.value.exit_code == 2
    return str(caught.value)


def config(folder: Path, text: str, name: str = "gunicorn.conf.py") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_defaults(loaded: Callable[..., Loaded], tmp_path: Path) -> None:
    found = loaded()
    settings = found.settings
    assert [str(address) for address in settings.bind] == ["127.0.0.1:8000"]
    assert (settings.workers, settings.threads) == (2, 4)
    assert (settings.timeout, settings.graceful_timeout, settings.keepalive) == (30, 30, 75)
    assert (settings.limit_request_line, settings.limit_request_fields) == (4094, 100)
    assert settings.limit_request_field_size == 8190
    assert settings.max_body == 100 * 1024**2
    assert settings.accesslog is None
    assert settings.errorlog == "-"
    assert settings.chdir == str(tmp_path)
    assert settings.preload_app is None
    assert settings.sizing_reason == "2 CPUs"
    assert found.application is None
    assert found.warnings == ()
    for name in TABLE:
        assert settings.source(name) in ("default", "machine")


def test_flags(loaded: Callable[..., Loaded]) -> None:
    found = loaded(
        *("-b", ":9000", "--bind", "unix:/run/x", "-w", "3", "--threads=8", "-t", "60", "--keep-alive", "5"),
        *("--max-body", "20m", "-e", "A=1", "--env", "B=2", "--no-preload", "--log-level", "debug"),
        *("--access-logfile", "-", "--no-server-header", "--no-static", "-n", "site", "-m", "027"),
        *("--limit-request-field_size", "100", "mysite.wsgi:application"),
    )
    settings = found.settings
    assert found.application == "mysite.wsgi:application"
    assert [str(address) for address in settings.bind] == ["0.0.0.0:9000", "unix:/run/x"]
    assert (settings.workers, settings.threads, settings.timeout, settings.keepalive) == (3, 8, 60, 5)
    assert settings.max_body == 20 * 1024**2
    assert settings.raw_env == ("A=1", "B=2")
    assert not settings.preload_app
    assert not settings.server_header
    assert not settings.auto_static
    assert (settings.loglevel, settings.accesslog, settings.proc_name) == ("debug", "-", "site")
    assert settings.umask == 0o27
    assert settings.limit_request_field_size == 100


def test_the_last_of_a_flag_wins(loaded: Callable[..., Loaded]) -> None:
    settings = loaded("-w", "3", "--workers", "4", "--no-preload", "--preload").settings
    assert settings.workers == 4
    assert settings.preload_app


def test_flags_may_be_abbreviated(loaded: Callable[..., Loaded]) -> None:
    assert loaded("--thr", "6").settings.threads == 6
    assert loaded("--access-logfi", "-").settings.accesslog == "-"
    assert "could match --workers, --worker-class" in message(loaded, "--worker", "3")


def test_the_application_may_stand_before_the_flags(loaded: Callable[..., Loaded]) -> None:
    assert loaded("app:app", "-w", "3").application == "app:app"
    assert loaded("-w", "3", "--", "app:app").application == "app:app"
    assert "several: a b" in message(loaded, "a", "b")
    assert "several" in message(loaded, "a", "-w", "3", "b")


def test_each_place_wins_over_those_before_it(loaded: Callable[..., Loaded], tmp_path: Path) -> None:
    environ = {"WEB_CONCURRENCY": "11", "PORT": "5000"}
    settings = loaded(environ=environ).settings
    assert (settings.workers, str(settings.bind[0])) == (11, "0.0.0.0:5000")
    assert settings.explain("workers") == "WEB_CONCURRENCY"
    assert settings.sizing_reason == "by WEB_CONCURRENCY"

    path = config(tmp_path, "workers = 12\nbind = ['127.0.0.1:5001', 'unix:x']\n")
    settings = loaded(environ=environ).settings
    assert (settings.workers, len(settings.bind)) == (12, 2)
    assert settings.explain("workers") == str(path)

    environ["GUNICORN_CMD_ARGS"] = "--workers 13 --bind :5002"
    settings = loaded(environ=environ).settings
    assert (settings.workers, str(settings.bind[0]), len(settings.bind)) == (13, "0.0.0.0:5002", 1)
    assert settings.explain("workers") == "GUNICORN_CMD_ARGS --workers"

    environ["PORTWAY_CMD_ARGS"] = "-w 14"
    settings = loaded(environ=environ).settings
    assert (settings.workers, str(settings.bind[0])) == (14, "0.0.0.0:5002")
    assert settings.explain("workers") == "PORTWAY_CMD_ARGS -w"

    settings = loaded("-w", "15", environ=environ).settings
    assert settings.workers == 15
    assert settings.explain("workers") == "-w"
    assert settings.source("workers") == "flag"


def test_an_empty_variable_is_none(loaded: Callable[..., Loaded]) -> None:
    environ = {"PORT": "", "WEB_CONCURRENCY": "", "PORTWAY_CMD_ARGS": "", "FORWARDED_ALLOW_IPS": ""}
    settings = loaded(environ=environ).settings
    assert settings.source("bind") == "default"
    assert settings.forwarded_allow_ips == ("127.0.0.1", "::1")


def test_variables_that_gunicorn_reads(loaded: Callable[..., Loaded]) -> None:
    environ = {"FORWARDED_ALLOW_IPS": "*", "SCRIPT_NAME": "/app"}
    settings = loaded(environ=environ).settings
    assert settings.forwarded_allow_ips == ("*",)
    assert settings.script_name == "/app"


def test_an_application_may_stand_in_a_variable(loaded: Callable[..., Loaded]) -> None:
    environ = {"GUNICORN_CMD_ARGS": "one:app", "PORTWAY_CMD_ARGS": "two:app"}
    assert loaded(environ=environ).application == "two:app"
    assert loaded("three:app", environ=environ).application == "three:app"


def test_the_words_of_a_variable_are_those_of_a_shell(loaded: Callable[..., Loaded]) -> None:
    settings = loaded(environ={"PORTWAY_CMD_ARGS": "--access-logformat '%(h)s %(s)s'"}).settings
    assert settings.access_log_format == "%(h)s %(s)s"
    assert message(loaded, environ={"PORTWAY_CMD_ARGS": "--name 'x"}).startswith("PORTWAY_CMD_ARGS: ")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-w", "abc"], "-w abc: it must be a whole number from 1 to 1024"),
        (["--workers=0"], "--workers 0: it must be a whole number from 1 to 1024"),
        (["-b", ":80", "-b", "x:y"], "-b x:y: the port is a number from 0 to 65535"),
        (["--env", "A"], "--env A: it must be KEY=VALUE"),
        (["--log-level", "loud"], "--log-level loud: it must be debug, info, warning, error or critical"),
        (["--access-logformat", "%(z)s"], "--access-logformat %(z)s: %(z)s is no atom"),
        (["--chdir", "nowhere"], "--chdir {tmp}/nowhere: there is no such folder"),
        (["--pid", "nowhere/x.pid"], "--pid {tmp}/nowhere/x.pid: there is no folder {tmp}/nowhere"),
        (["--log-file", "."], "--log-file {tmp}: it is a folder; it must be a file"),
        (["--static", "/s/=nowhere"], "--static /s/=nowhere: there is no folder {tmp}/nowhere to serve /s/"),
        (["--static", "/s/=.", "--media", "/s=."], "--media /s/={tmp}: /s/ is served from --static already"),
        (["--wrokers", "3"], "there is no flag --wrokers; did you mean --workers?"),
        (["--qqqqqqq"], "there is no flag --qqqqqqq; `portway --help` lists them"),
        (["-Z"], "there is no flag -Z"),
        (["--workers"], "-w/--workers: expected one argument"),
        (["--preload=yes"], "--preload: ignored explicit argument 'yes'"),
    ],
)
def test_a_bad_value_is_named_with_its_flag(
    loaded: Callable[..., Loaded], tmp_path: Path, arguments: list[str], expected: str
) -> None:
    assert expected.replace("{tmp}", str(tmp_path)) in message(loaded, *arguments)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"WEB_CONCURRENCY": "many"}, "WEB_CONCURRENCY=many: it must be a whole number from 1 to 1024"),
        ({"PORT": "http"}, "PORT=http: the port is a number"),
        ({"FORWARDED_ALLOW_IPS": "proxy"}, "FORWARDED_ALLOW_IPS=proxy: 'proxy' is not allowed"),
        ({"GUNICORN_CMD_ARGS": "-w x"}, "GUNICORN_CMD_ARGS: -w x: it must be"),
        ({"GUNICORN_CMD_ARGS": "--frobnicate"}, "GUNICORN_CMD_ARGS: there is no flag --frobnicate"),
        (
            {"PORTWAY_CMD_ARGS": "--version"},
            "PORTWAY_CMD_ARGS: --help and --version belong on the command line",
        ),
    ],
)
def test_a_bad_value_is_named_with_its_variable(
    loaded: Callable[..., Loaded], environ: dict[str, str], expected: str
) -> None:
    assert expected in message(loaded, environ=environ)


def test_a_bad_value_is_named_with_its_file(loaded: Callable[..., Loaded], tmp_path: Path) -> None:
    path = config(tmp_path, "workers = 'many'\n")
    assert message(loaded) == f"{path}: workers = 'many': it must be a whole number from 1 to 1024"


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["-D"], "-D is not available in Portway: let systemd"),
        (["--daemon"], "systemd"),
        (["--certfile", "x.pem"], "proxy in front"),
        (["--proxy-protocol"], "X-Forwarded-For"),
        (["--no-sendfile"], "--no-sendfile is not available"),
        (["--protocol", "uwsgi"], "proxy_pass"),
        (["--paste", "x.ini"], "MODULE:CALLABLE"),
        (["--statsd-host", "localhost:8125"], "access log"),
        (["--dirty-workers", "2"], "task queue"),
        (["--permit-obsolete-folding"], "leave it out"),
        (["--settings", "mysite.settings"], "--env DJANGO_SETTINGS_MODULE"),
        (["--worker-class", "gevent"], "--threads 16"),
    ],
)
def test_flags_that_only_gunicorn_has_are_refused_with_advice(
    loaded: Callable[..., Loaded], arguments: list[str], part: str
) -> None:
    assert part in message(loaded, *arguments)


@pytest.mark.parametrize(
    "arguments",
    [["--dirty-workers", "0"], ["--protocol", "http"], ["--http-protocols", "h1"]],
)
def test_flags_that_ask_for_nothing_pass(loaded: Callable[..., Loaded], arguments: list[str]) -> None:
    assert loaded(*arguments).warnings == ()


def test_flags_that_portway_makes_needless_are_warned_about(loaded: Callable[..., Loaded]) -> None:
    (warning,) = loaded("--worker-tmp-dir", "/dev/shm").warnings
    assert warning.startswith("--worker-tmp-dir has no effect in Portway: ")


def test_gunicorns_settings_in_a_file(loaded: Callable[..., Loaded], tmp_path: Path) -> None:
    path = config(tmp_path, "daemon = False\ndirty_workers = 0\nworker_tmp_dir = '/dev/shm'\n")
    (warning,) = loaded().warnings
    assert warning.startswith(f"{path}: worker_tmp_dir = '/dev/shm' has no effect in Portway")
    config(tmp_path, "dirty_workers = 2\n")
    assert "dirty_workers = 2 is not available in Portway" in message(loaded)


def test_a_warm_up_must_be_below_the_script_name(loaded: Callable[..., Loaded]) -> None:
    script = ("--script-name", "/app")
    for good in ("/app", "/app?y", "/app/x?y", "/%61pp/", "http://a/app/x"):
        assert loaded(*script, "--warmup", good).settings.warmup == (good,)
    for bad in ("/", "/x", "/apps", "http://a/?/app/"):
        assert "is not below script_name, which is /app; write it as clients do" in message(
            loaded, *script, "--warmup", bad
        )
    assert loaded("--warmup", "/x").settings.warmup == ("/x",)


def test_a_jitter_of_nothing_is_warned_about(loaded: Callable[..., Loaded]) -> None:
    (warning,) = loaded("--max-requests-jitter", "50").warnings
    assert warning == "max_requests_jitter has no effect without max_requests."
    assert loaded("--max-requests", "1000", "--max-requests-jitter", "50").warnings == ()


def test_hooks_and_unknown_names_in_a_file_are_each_one_warning(
    loaded: Callable[..., Loaded], tmp_path: Path
) -> None:
    config(
        tmp_path,
        "import os\nfrom os import path\nCORES = 3\n_private = 1\nwrokers = 3\nzzzzzz = 1\n"
        "def post_fork(server, worker): pass\ndef when_ready(server): pass\ndef helper(): pass\n",
    )
    unknown, hooks = loaded().warnings
    assert unknown.endswith("sets names that are no settings: wrokers (did you mean workers?), zzzzzz.")
    assert hooks.endswith("defines hooks that Portway does not call: post_fork, when_ready.")


def test_which_file_is_read(loaded: Callable[..., Loaded], tmp_path: Path) -> None:
    config(tmp_path, "threads = 11\n")
    assert loaded().settings.threads == 11
    assert loaded().settings.config == str(tmp_path / "gunicorn.conf.py")
    config(tmp_path, "threads = 12\n", "portway.conf.py")
    both = loaded()
    assert both.settings.threads == 12
    assert both.warnings == ("portway.conf.py is read; gunicorn.conf.py beside it is not.",)
    config(tmp_path, "threads = 13\n", "other.py")
    assert loaded(environ={"GUNICORN_CMD_ARGS": "-c other.py"}).settings.threads == 13
    config(tmp_path, "threads = 14\n", "more.py")
    environ = {"GUNICORN_CMD_ARGS": "-c other.py"}
    assert loaded("--config", "file:more.py", environ=environ).settings.threads == 14
    assert "needs a path" in message(loaded, "-c", "")


def test_a_file_is_looked_for_where_the_command_is_run(loaded: Callable[..., Loaded], tmp_path: Path) -> None:
    """As with Gunicorn: not in the folder that --chdir names."""
    (tmp_path / "site").mkdir()
    config(tmp_path, "threads = 11\n")
    config(tmp_path / "site", "threads = 12\n")
    settings = loaded("--chdir", "site").settings
    assert settings.threads == 11
    assert settings.chdir == str(tmp_path / "site")


def test_paths_begin_at_chdir(loaded: Callable[..., Loaded], tmp_path: Path) -> None:
    for name in ("site", "site/log", "site/static", "site/lib"):
        (tmp_path / name).mkdir()
    settings = loaded(
        *("--chdir", "site", "--pid", "x.pid", "--error-logfile", "log/error.log", "--access-logfile", "-"),
        *("--static", "/static/=static", "--media", "/media=/", "--pythonpath", "lib,/opt"),
    ).settings
    site = tmp_path / "site"
    assert settings.pidfile == str(site / "x.pid")
    assert settings.errorlog == str(site / "log/error.log")
    assert settings.accesslog == "-"
    assert settings.static == (("/static/", str(site / "static")),)
    assert settings.media == (("/media/", "/"),)
    assert settings.pythonpath == (str(site / "lib"), "/opt")


def test_only_root_may_change_the_user(
    loaded: Callable[..., Loaded], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "getegid", lambda: 1000)
    assert message(loaded, "--user", "1001") == "--user 1001: only root can start workers as another user"
    assert message(loaded, "-g", "1001") == "-g 1001: only root can start workers as another group"
    assert loaded("-u", "1000", "-g", "1000").settings.user == 1000


def test_root_may(loaded: Callable[..., Loaded], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    settings = loaded("--user", "1001", "--group", "1002").settings
    assert (settings.user, settings.group) == (1001, 1002)


def test_a_head_limit_that_hides_others_is_warned_about(loaded: Callable[..., Loaded]) -> None:
    (warning,) = loaded("--limit-request-head", "4k").warnings
    assert "limit_request_head" in warning


def test_print_config_tells_each_value_and_its_place(loaded: Callable[..., Loaded]) -> None:
    settings = loaded("-w", "3", "-e", "SECRET=hunter2", environ={"PORT": "5000"}).settings
    text = print_config(settings)
    lines = {line.split(" ")[0]: line for line in text.splitlines()}
    assert list(lines) == list(TABLE)
    assert lines["workers"].endswith("= 3  (-w)")
    assert lines["bind"].endswith("= 0.0.0.0:5000  (PORT)")
    assert lines["threads"].endswith("= 4  (default)")
    assert lines["pidfile"].endswith("= none  (default)")
    assert "hunter2" not in text


def test_what_is_printed_can_be_given_again(loaded: Callable[..., Loaded]) -> None:
    """Every shown value that a flag takes gives the same value when it is read back."""
    settings = loaded("-b", ":80", "--forwarded-allow-ips", "10.0.0.0/8,::1", "--max-body", "1536").settings
    for name, row in TABLE.items():
        value = getattr(settings, name)
        if value in (None, ()) or name in ("bind", "raw_env"):
            continue
        assert row.kind.parse(row.kind.show(value)) == value, name


def test_help_and_version_need_no_good_settings(loaded: Callable[..., Loaded], tmp_path: Path) -> None:
    config(tmp_path, "raise SystemExit(7)\n")
    assert loaded("--version", environ={"PORT": "x"}).version
    assert loaded("-h").help


def test_settings_can_be_loaded_again(loaded: Callable[..., Loaded], tmp_path: Path) -> None:
    config(tmp_path, "threads = 5\n")
    first = loaded("-w", "3", "app:app")
    config(tmp_path, "threads = 6\n")
    second = load_again(first.settings)
    assert (first.settings.threads, second.settings.threads) == (5, 6)
    assert (second.settings.workers, second.application) == (3, "app:app")
    config(tmp_path, "threads = 'x'\n")
    with pytest.raises(SettingsError):
        load_again(first.settings)
    with pytest.raises(SettingsError):
        load_again(Settings())


def test_the_current_folder_keeps_the_name_of_a_symlink(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "release").mkdir()
    (tmp_path / "current").symlink_to("release")
    monkeypatch.chdir(tmp_path / "current")
    assert current_directory({"PWD": str(tmp_path / "current")}) == str(tmp_path / "current")
    real = os.path.realpath(tmp_path / "release")
    assert current_directory({"PWD": str(tmp_path)}) == real
    assert current_directory({"PWD": str(tmp_path / "gone")}) == real
    assert current_directory({"PWD": "."}) == real
    assert current_directory({}) == real
