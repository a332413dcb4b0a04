"""The files of deploy/: valid for those who read them, and of one mind with each other and with the site."""

import ast
import itertools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from portway import ctl
from portway.wsgi.proxy import FORWARDING_FIELDS

REPOSITORY = Path(__file__).resolve().parents[2]
DEPLOY = REPOSITORY / "deploy"
MARKUP = REPOSITORY / "markup"
SECRET = "a-key-for-tests-that-is-long-enough-and-has-many-signs-0123456789"


def shipped(name):
    return (DEPLOY / name).read_text()


def run(*command, cwd=MARKUP, **env):
    """Run a command in the site's folder; what the tests' own environment says of the site is left out."""
    ours = ("DJANGO_", "DATABASE_URL", "PORTWAY_CMD", "GUNICORN_CMD", "WEB_CONCURRENCY")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return subprocess.run(
        [*map(str, command)],
        cwd=cwd,
        env={**inherited, "PYTHONDONTWRITEBYTECODE": "1", "DATABASE_URL": "sqlite://:memory:", **env},
        capture_output=True,
        text=True,
        timeout=60,
    )


# Gunicorn and Portway.


@pytest.mark.parametrize("file", ["gunicorn.conf.py", "portway.conf.py"])
def test_portway_takes_the_file_without_a_word(file, tmp_path):
    (tmp_path / "site.css").touch()
    done = run(
        *(sys.executable, "-m", "portway", "-c", DEPLOY / file, "--check-config", "markup.wsgi:application"),
        DJANGO_SECRET_KEY=SECRET,
        DJANGO_STATIC_ROOT=str(tmp_path),
        DJANGO_MEDIA_ROOT=str(tmp_path),
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert done.stderr == "The settings are good; markup.wsgi:application can be served.\n"


def test_portways_file_names_the_application():
    done = run(
        *(sys.executable, "-m", "portway", "-c", DEPLOY / "portway.conf.py", "--check-config"),
        DJANGO_SECRET_KEY=SECRET,
    )
    assert "markup.wsgi:application can be served" in done.stderr


def test_gunicorn_takes_its_file():
    done = run(
        *(sys.executable, "-m", "gunicorn", "-c", DEPLOY / "gunicorn.conf.py"),
        *("--check-config", "markup.wsgi:application"),
        DJANGO_SECRET_KEY=SECRET,
    )
    assert (done.returncode, done.stderr) == (0, "")


# Of one mind.


def python_settings(name):
    """Return the globals of a configuration file that are settings."""
    namespace = {}
    exec(compile(shipped(name), name, "exec"), namespace)
    return namespace


def nginx_seconds(directive):
    return int(re.search(rf"(?m)^ *{directive} (\d+)s;", shipped("nginx.conf"))[1])


def unit(name):
    """Return the assignments of a unit file, each with the list of its values."""
    found = {}
    for line in shipped(name).splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


@pytest.fixture(params=["gunicorn.conf.py", "portway.conf.py"])
def settings(request):
    return python_settings(request.param)


def test_everybody_speaks_of_one_address(settings):
    bind = settings["bind"]
    address = re.search(r"(?m)^    server (\S+);", shipped("nginx.conf"))[1]
    assert bind in (address, [address])
    assert unit("portway.socket")["ListenStream"] == [address]


def test_everybody_speaks_of_one_unix_socket():
    in_nginx = re.search(r"# server unix:(\S+);", shipped("nginx.conf"))[1]
    assert f"# ListenStream={in_nginx}\n" in shipped("portway.socket")


def test_nginx_closes_idle_connections_before_the_server_does(settings):
    assert settings["keepalive"] > nginx_seconds("keepalive_timeout")


def test_nginx_waits_longer_than_the_server(settings):
    assert nginx_seconds("proxy_read_timeout") > settings["timeout"]


def test_systemd_waits_longer_than_the_server(settings):
    assert int(unit("portway.service")["TimeoutStopSec"][0]) > settings["graceful_timeout"]


def test_nginx_and_portway_take_bodies_of_the_same_size():
    limit = re.search(r"client_max_body_size (\S+);", shipped("nginx.conf"))[1]
    assert python_settings("portway.conf.py")["max_body"] == limit


def test_nginx_serves_the_folders_that_django_is_told():
    folders = dict(re.findall(r"(?m)^DJANGO_(STATIC|MEDIA)_ROOT=(.*)$", shipped("portway.env.example")))
    for kind, folder in folders.items():
        assert re.search(rf"location /{kind.lower()}/ \{{\s+alias {folder}/;", shipped("nginx.conf"))
    state = unit("portway.service")["StateDirectory"][0]
    assert all(folder.startswith(f"/var/lib/{state}/") for folder in folders.values())


def test_nginx_forwards_as_one_the_fields_that_portway_believes():
    """Each field that counts from a trusted peer is set or cleared, so that none comes from the client."""
    told = {name.lower() for name in re.findall(r"proxy_set_header (\S+) ", shipped("nginx.conf"))}
    assert set(FORWARDING_FIELDS) - told == set()


# The environment.


def variables_of_the_site():
    """Return the variables that markup/settings.py reads."""
    names = set()
    for node in ast.walk(ast.parse((MARKUP / "markup" / "settings.py").read_text())):
        match node:
            case ast.Call(func=ast.Attribute(ast.Name("env"), kind), args=[ast.Constant(name), *_]):
                names.add(name)
                if kind in ("secret", "database"):
                    names.add(f"{name}_FILE")
    assert len(names) > 10
    return names


def test_the_example_names_every_variable_and_no_other():
    names = set(re.findall(r"(?m)^(?:# )?([A-Z][A-Z_]+)=", shipped("portway.env.example")))
    assert names - {"WEB_CONCURRENCY", "PORTWAY_CMD_ARGS"} == variables_of_the_site()


def test_the_example_makes_valid_settings():
    values = dict(re.findall(r"(?m)^([A-Z_]+)=(.*)$", shipped("portway.env.example")))
    code = "from markup import settings as s; print(s.ALLOWED_HOSTS, s.DATABASES['default']['NAME'], s.HTTPS)"
    done = run(sys.executable, "-W", "error", "-c", code, DJANGO_SECRET_KEY=SECRET, **values)
    assert done.stderr == ""
    assert done.stdout == "['example.org', 'www.example.org'] /var/lib/markup/db/markup.sqlite3 False\n"


# systemd.


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_understands_the_units(tmp_path):
    # The programs must be there for systemd to be content; this Python stands for those of a site.
    text = shipped("portway.service").replace("/srv/markup/venv/bin/portwayctl", sys.executable)
    text = text.replace("/srv/markup/venv/bin/portway", sys.executable)
    text = text.replace("/srv/markup/venv/bin/python", sys.executable)
    assert "/srv/markup/venv" not in re.sub(r"(?m)^#.*", "", text)
    (tmp_path / "portway.service").write_text(text)
    shutil.copy(DEPLOY / "portway.socket", tmp_path)
    done = run(
        *("systemd-analyze", "verify", "--man=no", tmp_path / "portway.service", tmp_path / "portway.socket")
    )
    said = [line for line in done.stderr.splitlines() if "portway." in line]
    assert (done.returncode, said) == (0, []), done.stderr


def test_the_unit_tells_the_supervisor_to_reload_and_leaves_stopping_to_it():
    service = unit("portway.service")
    assert service["Type"] == ["notify"]
    assert service["RuntimeDirectory"] == ["markup"]
    (reload,) = service["ExecReload"]
    program, *words = reload.split()
    assert program == service["ExecStart"][0].split()[0] + "ctl"
    options = ctl.build_parser().parse_args(words)
    assert (options.command, options.socket) == ("reload", "/run/markup/markup.ctl")
    # systemd ends the command after that time, and nobody would know how the reload ends.
    assert options.timeout < float(service["TimeoutStartSec"][0])
    assert service["KillMode"] == ["mixed"]
    assert service["Also"] == ["portway.socket"] == service["Requires"]


# Nginx.


@pytest.fixture
def check_nginx(nginx_program, tmp_path):
    """Return a function that has Nginx read a site within Debian's own configuration: its complaints."""

    def check(text):
        number = itertools.count()
        # Whether this user may bind the port, and write to the log, is not what is asked.
        text = re.sub(
            r"(?m)^( *)listen (?:\[::\]:)?\d+(.*);",
            lambda match: f"{match[1]}listen unix:{tmp_path}/{next(number)}{match[2]};",
            text,
        )
        (tmp_path / "site.conf").write_text(text.replace("/var/log/nginx/", f"{tmp_path}/"))
        main = Path("/etc/nginx/nginx.conf").read_text()
        for shipped_path, path in (
            ("/etc/nginx/sites-enabled/*", f"{tmp_path}/site.conf"),
            ("/run/nginx.pid", f"{tmp_path}/nginx.pid"),
            ("/var/log/nginx/", f"{tmp_path}/"),
        ):
            assert shipped_path in main
            main = main.replace(shipped_path, path)
        (tmp_path / "nginx.conf").write_text(main)
        done = run(nginx_program, "-e", "stderr", "-t", "-c", tmp_path / "nginx.conf", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return [line for line in done.stderr.splitlines() if "[" in line and '"user" directive' not in line]

    return check


@pytest.mark.chain
def test_nginx_takes_the_file_as_it_is(check_nginx):
    assert check_nginx(shipped("nginx.conf")) == []


@pytest.mark.chain
def test_nginx_takes_the_file_with_all_that_is_offered_in_it(check_nginx, certificate):
    text = shipped("nginx.conf").replace("    server 127.0.0.1:8000;", "")
    text = re.sub(r"(?m)^( *)# (server unix:|listen |ssl_)", r"\1\2", text)
    text = text.replace("/etc/letsencrypt/live/example.org/fullchain.pem", str(certificate[0]))
    text = text.replace("/etc/letsencrypt/live/example.org/privkey.pem", str(certificate[1]))
    # From 1.25.1 on Nginx says that http2 has a line of its own, as the comment there does.
    assert [line for line in check_nginx(text) if "http2" not in line] == []


@pytest.mark.chain
def test_nothing_is_installed_where_all_is_there(nginx_program, tmp_path):
    for program in ("apt-get", "sudo"):
        (tmp_path / program).write_text(f"#!/bin/sh\necho {program} was called\nexit 1\n")
        (tmp_path / program).chmod(0o755)
    done = run(DEPLOY / "install-nginx", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
