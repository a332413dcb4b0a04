"""How servers are started: each with the same application, threads and address."""

import dataclasses

import pytest

from benchmarks import install_peers, instructions, machine, processes, run, servers


@pytest.fixture
def launch(tmp_path):
    return servers.Launch("module:app", 8123, 4, 64, tmp_path)


@pytest.mark.parametrize("server", servers.SERVERS, ids=lambda server: server.name)
def test_the_command_names_what_is_served_and_where(server, launch):
    words = " ".join(server.command(launch))
    if server.runs == "fixed":
        assert "127.0.0.1:8123" in (launch.folder / "nginx.conf").read_text()
        return
    assert "module:app" in words
    assert "8123" in words
    if server.threaded:
        more = " ".join(server.command(dataclasses.replace(launch, threads=7)))
        assert "7" in set(more.replace("=", " ").split())


@pytest.mark.parametrize("name", ["portway", "gunicorn-gthread"])
def test_limits_are_raised_only_for_crowds(name, launch):
    server = servers.BY_NAME[name]
    assert "--worker-connections" not in server.command(launch)
    assert "--worker-connections" in server.command(dataclasses.replace(launch, connections=1000))


def test_the_environment_is_the_same_whoever_measures(monkeypatch, launch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("WEB_CONCURRENCY", "9")
    environment = servers.BY_NAME["portway"].environment(launch)
    assert "PYTHONDONTWRITEBYTECODE" not in environment
    assert "WEB_CONCURRENCY" not in environment
    uncompiled = servers.BY_NAME["portway-uncompiled"].environment(launch)
    assert uncompiled == {**environment, "PORTWAY_NO_EXTENSIONS": "1"}


def test_every_second_round_goes_backwards():
    assert run.order(servers.SERVERS, 0) == list(servers.SERVERS)
    assert run.order(servers.SERVERS, 1) == list(reversed(servers.SERVERS))


def test_a_missing_server_has_its_reason(monkeypatch):
    monkeypatch.setattr(install_peers, "remembered", lambda: {"bjoern": "ev.h: not found"})
    gone = dataclasses.replace(servers.BY_NAME["bjoern"], version=lambda: "")
    unknown = dataclasses.replace(servers.BY_NAME["granian"], version=lambda: "")
    assert run.versions([gone, unknown]) == {
        "bjoern": {"title": "bjoern", "missing": "ev.h: not found"},
        "granian": {"title": "Granian", "missing": "it is not installed"},
    }


def test_the_peers_are_those_of_the_extra():
    names = {install_peers.name_of(requirement) for requirement in install_peers.wanted()}
    assert {"gunicorn", "gunicorn_h1c", "granian", "bjoern", "uwsgi", "matplotlib"} <= names


def test_the_reason_is_the_line_that_tells():
    said = (
        "  note: from a subprocess\n  /a/b/bjoern.c:1: fatal error: ev.h: No such file or directory\n  more\n"
    )
    assert install_peers.reason(said) == "bjoern.c:1: fatal error: ev.h: No such file or directory"
    assert install_peers.reason("") == "pip said nothing"


def test_the_cores():
    cores = machine.choose_cores()
    assert cores.server in cores.available
    assert cores.load in cores.available
    assert cores.apart == (cores.server != cores.load)
    assert cores.apart or len(cores.available) == 1


def test_the_total_of_callgrind(tmp_path):
    path = tmp_path / "count.1"
    path.write_text("version: 1\nevents: Ir\nsummary: 12345\n\nfn=(1) main\n1 5\ntotals: 12345\n")
    assert instructions.read_total(path) == 12345
    path.write_text("version: 1\n")
    with pytest.raises(processes.ServerFailedError):
        instructions.read_total(path)
    with pytest.raises(processes.ServerFailedError, match="did not end by itself"):
        instructions.read_total(tmp_path / "nothing")
