"""Starting: what can be named, where it can listen, what is said, and how a start that fails ends."""

import json
import os
import socket
import stat
from pathlib import Path

import pytest

pytestmark = pytest.mark.functional


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("hello", "Hello, world!"),
        ("hello:application", "Hello, world!"),
        ("hello:site.app", "Hello, world!"),
        ("hello:create_app()", "made"),
        ('hello:create_app("good day", debug=True)', "good day"),
    ],
)
def test_applications_as_gunicorn_names_them(serve, name, body):
    server = serve(name)
    answer = server.get()
    assert (answer.status, answer.text) == (200, body)


def test_five_lines_at_the_start(serve):
    server = serve("hello", "--workers", 2, "--threads", 3)
    lines = [line.partition("[INFO] ")[2] for line in server.log.splitlines()]
    assert lines == [
        "Serving hello",
        f"Listening on {server.url}",
        "2 workers x 3 threads: by --workers",
        lines[3],
        f"Stop with kill -TERM {server.pid}",
    ]
    assert lines[3].startswith("Portway is ")
    assert server.stop() == 0
    assert [line.partition("[INFO] ")[2] for line in server.log.splitlines()[5:]] == [
        "Stopping; requests that run have 30 s to finish.",
        "Stopped.",
    ]


@pytest.mark.parametrize("preload", ["--preload", "--no-preload"])
def test_who_loads_the_application(serve, preload):
    server = serve("about", preload, "--workers", 2)
    seen = {}
    while len(seen) < 2:
        about = json.loads(server.get().text)
        seen[about["pid"]] = about
    for about in seen.values():
        assert about["parent"] == server.pid
        assert about["loaded_by"] != server.pid
        assert (about["loaded_by"] == about["pid"]) == (preload == "--no-preload")
        assert about["multiprocess"]
    assert len({about["loaded_by"] for about in seen.values()}) == (2 if preload == "--no-preload" else 1)


def test_the_process_is_as_the_settings_say(serve, project, tmp_path):
    folder = project((Path(__file__).parent / "apps" / "about.py").read_text())
    server = serve(
        "app",
        "--chdir",
        folder,
        "--pythonpath",
        tmp_path,
        "--env",
        "SITE_NAME=a=b",
        "--workers",
        1,
        "--threads",
        1,
        cwd=tmp_path,
    )
    about = json.loads(server.get().text)
    assert about["cwd"] == str(folder)
    assert about["path"][:2] == [str(tmp_path), str(folder)]
    assert about["environ"]["SITE_NAME"] == "a=b"
    assert about["environ"]["SERVER_SOFTWARE"].startswith("portway/")
    assert (about["multiprocess"], about["multithread"]) == (False, False)


def test_several_addresses(serve, tmp_path):
    path = tmp_path / "site.sock"
    server = serve("hello", "--bind", "127.0.0.1:0", "--bind", f"unix:{path}")
    assert server.get().status == 200
    assert stat.S_ISSOCK(path.stat().st_mode)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        assert server.get(client=client).text == "Hello, world!"
    assert f"unix:{path}" in server.log
    server.stop()
    assert not path.exists()


@pytest.mark.parametrize("bind", ["[::1]:0", "unix:\\0portway-functional-{pid}", "localhost:0"])
def test_other_kinds_of_addresses(serve, bind):
    if bind.startswith("[") and not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    server = serve("hello", "--bind", bind.format(pid=os.getpid()))
    assert server.get().text == "Hello, world!"


def test_an_address_in_use(serve):
    first = serve("hello")
    second = serve("hello", "--bind", f"127.0.0.1:{first.port}", ready=False)
    assert second.wait() == 1
    assert f"Cannot listen on 127.0.0.1:{first.port}: the address is in use." in second.log
    assert first.get().status == 200


def test_the_pid_file(serve, tmp_path):
    path = tmp_path / "server.pid"
    server = serve("hello", "--pid", path)
    assert path.read_text() == f"{server.pid}\n"
    server.stop()
    assert not path.exists()


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("nowhere", 4, "Failed to find the module 'nowhere'"),
        ("hello:nothing", 4, "Failed to find attribute 'nothing' in 'hello'."),
        ("hello:not_callable", 4, "Application object must be callable"),
        ("hello:create_app(os)", 4, "Failed to parse arguments as literal values"),
        ("hello.py", 4, "did you mean 'hello:application'"),
    ],
)
@pytest.mark.parametrize("preload", ["--preload", "--no-preload"])
def test_applications_that_cannot_be_loaded(serve, name, code, words, preload):
    server = serve(name, preload, ready=False)
    assert server.wait() == code
    assert words in server.log
    assert "Traceback" not in server.log
    assert "portway/" not in server.log.replace("portway/__main__.py", "")


def test_an_application_that_raises(serve, project):
    folder = project("import json\nsettings = json.loads('{nonsense')\n")
    server = serve("app", cwd=folder, ready=False)
    assert server.wait() == 4
    assert "The server cannot start: Importing 'app' raised JSONDecodeError" in server.log
    assert 'app.py", line 2, in <module>' in server.log
    assert "portway/supervisor" not in server.log


def test_a_flag_that_is_wrong(serve):
    server = serve("hello", "--workers", "many", ready=False)
    assert server.wait() == 2
    assert "--workers many" in server.log


def test_on_a_kernel_without_descriptors_of_processes(serve):
    """Before Linux 5.3, and under tools like valgrind, which do not know the call."""
    program = """
import errno, os, runpy

def pidfd_open(pid, flags=0):
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

os.pidfd_open = pidfd_open
runpy.run_module("portway", run_name="__main__", alter_sys=True)
"""
    server = serve("hello:application", program=("-c", program))
    assert server.get("/").status == 200
    assert "forked all the same: [Errno 38]" in server.log
