"""The supervisor and its molds as real processes; only the workers are imitated (programs/server.py)."""

import json
import os
import signal
import socket

import pytest


def test_start_up_is_five_lines_and_then_it_serves(supervise):
    server = supervise({"loglevel": "info", "threads": 3, "sizing_reason": "by --workers"})
    lines = [line.partition("[INFO] ")[2] for line in server.log.splitlines()]
    assert lines[0] == "Serving app"
    assert lines[1].startswith("Listening on http://127.0.0.1:")
    assert lines[2] == "2 workers x 3 threads: by --workers"
    assert lines[3].startswith("Portway is ")
    assert lines[4] == f"Stop with kill -TERM {server.pid}"
    assert len(lines) == 5
    assert [worker["nr"] for worker in server.workers(2)] == [0, 1]


def test_workers_are_children_of_the_supervisor_and_share_what_the_mold_has_loaded(supervise):
    server = supervise()
    mold = server.mold()
    for worker in server.workers(2):
        assert worker["parent"] == server.pid
        assert worker["application"] == "application"
        assert not worker["loaded_here"]
        assert worker["generation"] == 1
        assert worker["mask"] == []
    assert sorted(server.children()) == sorted([mold, *(worker["pid"] for worker in server.workers(2))])


def test_without_preload_each_worker_loads_the_application(supervise):
    server = supervise({"preload_app": False})
    for worker in server.workers(2):
        assert worker["loaded_here"]
    assert "Traceback" not in server.log


def test_a_worker_holds_no_descriptor_that_is_not_its_business(supervise):
    server = supervise()
    descriptors = server.ask()["descriptors"].values()
    opened = [name for name in descriptors if not name.startswith("/dev/")]
    # Standard output and error are one pipe of this test's. Its own are the wake-up pipe, the life pipe's
    # end, the inbox, the listener, the connection, both ends of the pair on which workers pass connections.
    sockets = [name for name in opened if name.startswith("socket:")]
    pipes = {name for name in opened if name.startswith("pipe:")}
    assert len(sockets) == 5
    assert len(pipes) == 3
    mold = os.listdir(f"/proc/{server.mold()}/fd")
    # Three standard streams, the listener, the inbox, the channel, the life pipe's end, the pair.
    assert len(mold) == 9
    for name in ("0", "1", "2"):
        assert name in mold


def test_term_stops_gracefully(supervise):
    server = supervise()
    assert server.stop() == 0
    assert "Stopping; requests that run have 30 s to finish." in server.log
    assert server.log.endswith("Stopped.")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_int_and_quit_stop_at_once(supervise, number):
    server = supervise()
    assert server.stop(number) == 0
    assert "Stopping at once." in server.log


def test_int_to_the_whole_group_as_by_ctrl_c(supervise):
    server = supervise()
    os.killpg(server.pid, signal.SIGINT)
    assert server.wait() == 0
    assert "ERROR" not in server.log
    assert "Traceback" not in server.log


def test_what_waits_in_the_backlog_is_accepted_before_the_end(supervise):
    server = supervise({"workers": 1})
    worker = server.ask()["pid"]
    os.kill(worker, signal.SIGSTOP)
    clients = [socket.create_connection(("127.0.0.1", server.port), 30) for _ in range(5)]
    server.send(signal.SIGTERM)
    server.wait_for_log("Stopping")
    os.kill(worker, signal.SIGCONT)
    for client in clients:
        with client, client.makefile() as answer:
            assert json.loads(answer.read())["pid"] == worker
    assert server.wait() == 0


def test_after_the_last_worker_nobody_listens(supervise):
    server = supervise()
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port))


def test_who_does_not_finish_in_time_is_killed(supervise):
    server = supervise({"graceful_timeout": 0.2}, FAKE_WORKER="stubborn")
    assert server.stop() == 0
    assert server.log.count("has not ended in time: it is killed.") == 2


def test_a_second_term_is_quick(supervise):
    server = supervise({"graceful_timeout": 3600}, FAKE_WORKER="stubborn")
    server.send(signal.SIGTERM)
    server.wait_for_log("Stopping;")
    assert server.stop() == 0
    assert server.log.count("has not ended in time: it is killed.") == 2


def test_a_worker_that_was_killed_is_replaced_from_the_mold(supervise):
    server = supervise()
    server.write_application(source="this is no Python")
    first, second = server.workers(2)
    os.kill(first["pid"], signal.SIGKILL)
    server.wait_for_log(
        rf"Worker 0 \(process {first['pid']}\) was killed by SIGKILL; perhaps the system was out of memory. "
        "Another takes its place."
    )
    server.wait_for_log(r"Worker 0 \(process \d+\) is ready", 2)
    after = server.workers(2)
    assert [worker["nr"] for worker in after] == [0, 1]
    assert after[1]["pid"] == second["pid"]
    assert after[0]["pid"] != first["pid"]


def test_a_mold_that_was_killed_is_replaced_and_workers_stay(supervise):
    server = supervise()
    before = server.workers(2)
    os.kill(server.mold(), signal.SIGKILL)
    server.wait_for_log("The mold of generation 1 was killed by SIGKILL.")
    second = server.mold(2)
    assert server.workers(2) == before or [w["pid"] for w in server.workers(2)] == [w["pid"] for w in before]
    os.kill(before[0]["pid"], signal.SIGKILL)
    server.wait_for_log(r"Worker 0 \(process \d+\) is ready", 2)
    after = server.workers(2)
    assert after[1]["pid"] == before[1]["pid"]
    assert [worker["generation"] for worker in after] == [2, 1]
    assert sorted(server.children()) == sorted([second, *(worker["pid"] for worker in after)])


def test_a_mold_that_cannot_be_replaced_is_tried_again_and_workers_stay(broken_source, supervise):
    server = supervise()
    before = [worker["pid"] for worker in server.workers(2)]
    server.write_application(source=broken_source)
    os.kill(server.mold(), signal.SIGKILL)
    server.wait_for_log("JSONDecodeError")
    assert [worker["pid"] for worker in server.workers(2)] == before
    server.write_application(version=5)
    server.mold(3)
    os.kill(before[0], signal.SIGKILL)
    server.wait_for_log(r"Worker 0 \(process \d+\) is ready", 2)
    after = server.workers(2)
    assert [worker["version"] for worker in after] == [5, 1]
    assert after[1]["pid"] == before[1]


def test_when_the_supervisor_is_killed_everybody_ends(supervise, ended):
    server = supervise()
    everybody = server.children()
    assert len(everybody) == 3
    server.send(signal.SIGKILL)
    assert server.wait() == -signal.SIGKILL
    for pid in everybody:
        ended(pid)


def test_a_mold_that_imports_ends_with_the_supervisor(supervise, ended, tmp_path):
    os.mkfifo(tmp_path / "gate")
    server = supervise(source=f"open({str(tmp_path / 'gate')!r}).read()", ready=False)
    mold = server.mold()
    server.send(signal.SIGKILL)
    server.wait()
    ended(mold)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_stopping_while_the_application_is_imported(supervise, tmp_path, number):
    os.mkfifo(tmp_path / "gate")
    server = supervise(source=f"open({str(tmp_path / 'gate')!r}).read()", ready=False)
    server.mold()
    assert server.stop(number) == 0
    assert "ERROR" not in server.log


def test_ttin_and_ttou_change_the_number_of_workers(supervise):
    server = supervise()
    server.send(signal.SIGTTIN)
    server.wait_for_log("3 workers are wanted.")
    server.wait_for_log(r"Worker 2 \(process \d+\) is ready")
    assert len(server.workers(3)) == 3
    server.send(signal.SIGTTOU)
    server.wait_for_log(r"Worker 2 \(process \d+\) exited with 0")
    server.send(signal.SIGTTOU)
    server.wait_for_log(r"Worker 1 \(process \d+\) exited with 0")
    server.send(signal.SIGTTOU)
    server.wait_for_log("1 worker is wanted", 2)
    assert server.workers(1)[0]["nr"] == 0


def test_there_is_a_most_of_workers(supervise):
    server = supervise({"workers": 1}, FAKE_ROOM="4")
    server.send(signal.SIGTTIN)
    server.wait_for_log("2 workers are wanted")
    server.send(signal.SIGTTIN)
    server.wait_for_log("There are 2 workers; more need a restart with --workers.")


def test_signals_to_all_processes_by_name_hurt_nobody(supervise):
    server = supervise()
    before = sorted(server.children())
    for pid in before:
        os.kill(pid, signal.SIGUSR1)
    server.send(signal.SIGUSR1)
    os.kill(server.mold(), signal.SIGHUP)
    os.kill(server.mold(), signal.SIGINT)
    assert len(server.workers(2)) == 2
    assert sorted(server.children()) == before


def test_logs_are_reopened_by_everybody(wait_for_text, wait_until, supervise, tmp_path):
    path = tmp_path / "error.log"
    server = supervise({"errorlog": str(path)}, ready=False)
    # The log is in the file, so the first answer tells that it is ready; where, its pid file would.
    wait_for_text(path, "Stop with")
    rotated = tmp_path / "error.log.1"
    path.rename(rotated)
    server.send(signal.SIGUSR1)
    wait_for_text(path, "")
    server.send(signal.SIGTTIN)
    wait_for_text(path, "3 workers are wanted.")
    assert "3 workers" not in rotated.read_text()
    for pid in server.children():
        opened = {os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")}
        wait_until(lambda pid=pid: str(path) in links(pid), f"process {pid} never reopened: {opened}")
        assert str(rotated) not in links(pid)


def links(pid):
    return {os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")}


# After the first success.


def test_a_crash_loop_backs_off_and_never_stops_the_server(supervise):
    server = supervise(FAKE_WORKER="crash", ready=False)
    server.wait_for_log("exited with 9", 6)
    assert server.process.poll() is None
    assert server.stop() == 0


def test_a_worker_without_a_sign_of_life_is_killed_with_its_stacks(supervise):
    server = supervise({"workers": 1}, FAKE_WORKER="silent", FAKE_SILENCE="0.5")
    pid = server.ask()["pid"]
    server.wait_for_log(rf"Worker 0 \(process {pid}\) has given no sign of life for \d+ s: it is killed")
    server.wait_for_log("Fatal Python error: Aborted")
    server.wait_for_log(r'programs/server.py", line \d+ in run_worker')
    server.wait_for_log(r"Worker 0 \(process \d+\) is ready", 2)


def test_stopping_everything_for_a_while_kills_nobody(supervise):
    server = supervise()
    before = sorted(server.children())
    for pid in (server.pid, *before):
        os.kill(pid, signal.SIGSTOP)
    for pid in (server.pid, *before):
        os.kill(pid, signal.SIGCONT)
    assert len(server.workers(2)) == 2
    assert sorted(server.children()) == before


# What is left, and what others are told.


def test_the_pid_file_is_there_while_the_server_is(supervise, tmp_path):
    path = tmp_path / "server.pid"
    server = supervise({"pidfile": str(path)})
    assert path.read_text() == f"{server.pid}\n"
    second = supervise({"pidfile": str(path)}, ready=False)
    assert second.wait() == 1
    assert f"Portway is running already: {path} names process {server.pid}" in second.log
    assert path.read_text() == f"{server.pid}\n"
    server.stop()
    assert not path.exists()


def test_a_boot_that_fails_leaves_nothing(broken_source, supervise, tmp_path):
    path, sock = tmp_path / "server.pid", tmp_path / "server.sock"
    server = supervise({"pidfile": str(path), "bind": [f"unix:{sock}"]}, source=broken_source, ready=False)
    server.wait()
    assert not path.exists()
    assert not sock.exists()


def test_the_service_manager_is_told(broken_source, supervise, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        server = supervise(NOTIFY_SOCKET=str(tmp_path / "notify"))
        assert manager.recv(4096) == b"READY=1\nSTATUS=Generation 1, 2 workers"
        assert server.ask()["notify_socket"] is None
        server.send(signal.SIGHUP)
        assert manager.recv(4096).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        assert manager.recv(4096) == b"READY=1\nSTATUS=Generation 2, 2 workers"
        server.write_application(source=broken_source)
        server.send(signal.SIGHUP)
        assert manager.recv(4096).startswith(b"RELOADING=1")
        assert manager.recv(4096).startswith(b"READY=1\nSTATUS=Not reloaded, generation 2 keeps serving: Imp")
        server.send(signal.SIGTERM)
        assert manager.recv(4096).startswith(b"STOPPING=1")


@pytest.mark.parametrize(
    "text", ["no JSON", '{"bind": ["192.0.2.1:0"]}', '{"errorlog": "/"}', '{"no_such": 1}']
)
def test_the_service_manager_is_told_of_a_reload_that_cannot_begin(supervise, tmp_path, text):
    settings = tmp_path / "settings"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        server = supervise(NOTIFY_SOCKET=str(tmp_path / "notify"), RELOAD_FILE=str(settings))
        assert manager.recv(4096).startswith(b"READY=1")
        settings.write_text(text)
        server.send(signal.SIGHUP)
        # Without both, `systemctl reload` waits until it gives up.
        assert manager.recv(4096).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        assert manager.recv(4096).startswith(b"READY=1\nSTATUS=Not reloaded, generation 1 keeps serving: ")
        settings.write_text("{}")
        server.send(signal.SIGHUP)
        assert manager.recv(4096).startswith(b"RELOADING=1")
        assert manager.recv(4096) == b"READY=1\nSTATUS=Generation 2, 2 workers"


def test_sockets_that_the_service_manager_opened_are_used(supervise, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as opened:
        port = opened.getsockname()[1]
        opened.set_inheritable(True)
        server = supervise(
            {"bind": ["127.0.0.1:1"]},
            ready=False,
            pass_fds=[opened.fileno()],
            ACTIVATE=str(opened.fileno()),
        )
        server.wait_until_ready()
        assert server.port == port
        server.send(signal.SIGHUP)
        server.wait_for_log(r"Worker \d \(process \d+\) exited with 0", 2)
        assert server.ask()["generation"] == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_molds_and_workers_run_as_the_user_of_the_settings(wait_for_text, supervise, tmp_path):
    for folder in (tmp_path, *tmp_path.parents[:-1]):
        if folder.stat().st_uid == 0 and len(folder.parts) > 2:
            folder.chmod(folder.stat().st_mode | 0o055)
    sock, error_log = tmp_path / "server.sock", tmp_path / "error.log"
    server = supervise(
        {
            "user": 65534,
            "group": 65533,
            "bind": ["127.0.0.1:0", f"unix:{sock}"],
            "errorlog": str(error_log),
        },
        ready=False,
    )
    wait_for_text(error_log, "Stop with")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(sock))
        with client.makefile() as answer:
            worker = json.loads(answer.read())
    assert (worker["uid"], worker["gid"], worker["groups"]) == (65534, 65533, [65533])
    assert (sock.stat().st_uid, sock.stat().st_gid) == (65534, 65533)
    assert error_log.stat().st_uid == 65534
    assert server.stop() == 0


def test_a_worker_that_asks_for_it_is_replaced(supervise):
    server = supervise(FAKE_WORKER="retire")
    found = server.wait_for_log(
        r"Worker 0 \(process (\d+)\) asks for it \(it is tired\): replaced by process (\d+)\."
    )
    server.wait_for_log(rf"Worker 0 \(process {found[1]}\) exited with 0\.")
    assert {worker["pid"] for worker in server.workers(2)} >= {int(found[2])}
    assert sorted(worker["nr"] for worker in server.workers(2)) == [1, 2]
