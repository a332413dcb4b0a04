"""Reloads of code and settings, good and bad ones: real processes, imitated workers."""

import json
import os
import signal
import socket

import pytest


def test_a_reload_brings_new_code_in_a_new_generation(supervise):
    server = supervise()
    before = {worker["pid"] for worker in server.workers(2)}
    server.write_application(version=2)
    server.send(signal.SIGHUP)
    server.wait_for_log("Reloaded: generation 2 serves with 2 workers.")
    server.wait_for_log(r"The mold of generation 1 exited with 0")
    server.wait_for_log(r"Worker \d \(process \d+\) exited with 0", 2)
    after = server.workers(2)
    assert {worker["version"] for worker in after} == {2}
    assert {worker["generation"] for worker in after} == {2}
    assert not before & {worker["pid"] for worker in after}
    assert len(server.children()) == 3


def test_a_reload_of_broken_code_leaves_everything_as_it_was(broken_source, supervise):
    server = supervise()
    before = [worker["pid"] for worker in server.workers(2)]
    server.write_application(source=broken_source)
    server.send(signal.SIGHUP)
    server.wait_for_log("Not reloaded, generation 1 keeps serving: Importing 'app' raised JSONDecodeError")
    server.wait_for_log(r"return json.loads")
    after = server.workers(2)
    assert [worker["pid"] for worker in after] == before
    assert {worker["version"] for worker in after} == {1}
    os.kill(before[0], signal.SIGKILL)
    server.wait_for_log(r"Worker 0 \(process \d+\) is ready", 2)
    assert {worker["version"] for worker in server.workers(2)} == {1}
    server.write_application(version=7)
    server.send(signal.SIGHUP)
    server.wait_for_log("Reloaded: generation 3 serves with 2 workers.")


def test_a_reload_reads_the_settings_again(supervise, tmp_path):
    settings = tmp_path / "settings"
    server = supervise(RELOAD_FILE=str(settings))
    settings.write_text(json.dumps({"workers": 3}))
    server.send(signal.SIGHUP)
    server.wait_for_log("Reloaded: generation 2 serves with 3 workers.")
    assert len({worker["pid"] for worker in server.workers(3)}) == 3
    settings.write_text(json.dumps({"workers": 1}))
    server.send(signal.SIGHUP)
    server.wait_for_log("Reloaded: generation 3 serves with 1 worker.")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("no JSON", "RELOAD_FILE"),
        ('{"workers": 33}', "workers = 33 needs a restart; a reload can change it up to 32"),
        ('{"bind": ["192.0.2.1:0"]}', "Cannot listen on 192.0.2.1:0"),
        ('{"errorlog": "/"}', "The log / cannot be opened: Is a directory"),
        ('{"no_such_setting": 1}', "The settings cannot be read: TypeError"),
    ],
)
def test_settings_that_cannot_be_used_change_nothing(supervise, tmp_path, text, why):
    settings = tmp_path / "settings"
    server = supervise(RELOAD_FILE=str(settings))
    before = sorted(server.children())
    descriptors = len(os.listdir(f"/proc/{server.pid}/fd"))
    settings.write_text(text)
    server.send(signal.SIGHUP)
    server.wait_for_log(f"Not reloaded, generation 1 keeps serving: .*{why}")
    assert len(server.workers(2)) == 2
    assert sorted(server.children()) == before
    assert len(os.listdir(f"/proc/{server.pid}/fd")) == descriptors


def test_a_reload_can_change_where_the_server_listens(supervise, tmp_path):
    settings, old, new = tmp_path / "settings", tmp_path / "old.sock", tmp_path / "new.sock"
    server = supervise({"bind": ["127.0.0.1:0", f"unix:{old}"]}, RELOAD_FILE=str(settings))
    port = server.port
    settings.write_text(json.dumps({"bind": ["127.0.0.1:0", f"unix:{new}"]}))
    server.send(signal.SIGHUP)
    server.wait_for_log("Reloaded: generation 2")
    server.wait_for_log(r"Worker \d \(process \d+\) exited with 0", 2)
    assert server.port == port
    assert server.ask()["generation"] == 2
    assert new.exists()
    assert not old.exists()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(new))
        with client.makefile() as answer:
            assert json.loads(answer.read())["generation"] == 2
    server.stop()
    assert not new.exists()


def test_many_reloads_at_once_come_to_rest(supervise):
    server = supervise()
    for _ in range(10):
        server.send(signal.SIGHUP)
    server.write_application(version=3)
    server.send(signal.SIGHUP)
    server.wait_for_log("Reloaded: generation")
    server.send(signal.SIGHUP)
    last = server.wait_for_log(r"Reloaded: generation (\d+)", 2)[1]
    assert {worker["version"] for worker in server.workers(2)} == {3}
    assert server.process.poll() is None
    assert int(last) <= 13


def test_stopping_during_a_reload(supervise, tmp_path):
    os.mkfifo(tmp_path / "gate")
    server = supervise()
    server.write_application(source=f"open({str(tmp_path / 'gate')!r}).read()")
    server.send(signal.SIGHUP)
    server.mold(2)
    assert server.stop() == 0


def test_changed_files_reload(broken_source, supervise):
    server = supervise({"reload": True})
    server.write_application(version=2)
    server.wait_for_log(r"Changed: app.py\.")
    server.wait_for_log("Reloaded: generation 2")
    server.write_application(source=broken_source)
    server.wait_for_log("Not reloaded, generation 2 keeps serving")
    (server.folder / "views.py").write_text("")
    server.wait_for_log(r"Changed: views.py\.")
    server.write_application(version=4)
    server.wait_for_log("Reloaded: generation")
    assert server.workers(2)[0]["version"] in (2, 4)
