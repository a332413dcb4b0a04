"""A server with the real supervisor and molds, and with workers that only imitate serving.

Run as `server.py '{"setting": value, ...}' [APPLICATION]`. A worker answers each connection with a line of
JSON about itself. FAKE_WORKER in the environment makes it misbehave: "silent" stops beating once it is
ready, "stubborn" ignores being told to end, "exit" ends with 7 before it is ready, "raise" raises before it
is ready, "crash" ends right after it is ready, "retire" asks to be replaced where its number is 0.
RELOAD_FILE names a file with settings for a reload. ACTIVATE is the number of a listening descriptor that is
handed over as systemd does it. FAKE_ROOM and FAKE_SILENCE stand for constants of the supervisor.
"""

import json
import os
import select
import signal
import sys
import time

from portway.net.addresses import parse_address
from portway.observe.scoreboard import WorkerState
from portway.settings.errors import SettingsError
from portway.settings.table import Settings
from portway.settings.target import Target
from portway.supervisor import supervisor


def make_settings(given):
    given = dict(given)
    given["bind"] = tuple(parse_address(text) for text in given.pop("bind", ["127.0.0.1:0"]))
    return Settings(**{"workers": 2, "threads": 1, "chdir": os.getcwd(), "loglevel": "debug", **given})


def reload():
    try:
        with open(os.environ["RELOAD_FILE"], encoding="utf-8") as file:
            return make_settings(json.load(file))
    except ValueError as error:
        raise SettingsError(f"RELOAD_FILE: {error}") from None


def run_worker(spec):
    misbehaviour = os.environ.get("FAKE_WORKER", "")
    if misbehaviour == "raise":
        raise RuntimeError("this worker cannot boot")
    if misbehaviour == "exit":
        return 7
    application = spec.application or spec.load()
    slot = spec.scoreboard.worker(spec.nr)
    slot.start(os.getpid(), spec.generation, spec.settings.threads, time.monotonic_ns())
    slot.beat(time.monotonic_ns())
    reader, writer = os.pipe2(os.O_NONBLOCK)
    signal.set_wakeup_fd(writer)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1):
        signal.signal(number, lambda *_: None)
    slot.set_state(WorkerState.READY)
    spec.report({"type": "ready"})
    if misbehaviour == "crash":
        return 9
    if misbehaviour == "retire" and spec.nr == 0:
        spec.report({"type": "retire", "reason": "it is tired"})
    poll = select.poll()
    listeners = {listener.socket.fileno(): listener.socket for listener in spec.listeners}
    for descriptor in (reader, spec.life_fd, *listeners):
        poll.register(descriptor, select.POLLIN)
    drained = False
    while True:
        for descriptor, _ in poll.poll(1000):
            if descriptor == spec.life_fd:
                return 0
            if descriptor == reader:
                numbers = os.read(reader, 64)
                if signal.SIGUSR1 in numbers:
                    spec.logs.reopen()
                if misbehaviour == "stubborn":
                    continue
                if signal.SIGINT in numbers or signal.SIGQUIT in numbers:
                    return 0
                drained = signal.SIGTERM in numbers
            else:
                answer(listeners[descriptor], spec, application)
        if drained:
            while any(answer(sock, spec, application) for sock in listeners.values()):
                pass
            return 0
        if misbehaviour != "silent":
            slot.beat(time.monotonic_ns())


def answer(sock, spec, application):
    try:
        connection, _ = sock.accept()
    except BlockingIOError:
        return False
    about = {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "nr": spec.nr,
        "generation": spec.generation,
        "application": application.__name__,
        "version": getattr(application, "version", None),
        "loaded_here": getattr(application, "loaded_by", None) == os.getpid(),
        "cwd": os.getcwd(),
        "uid": os.getuid(),
        "gid": os.getgid(),
        "groups": os.getgroups(),
        "notify_socket": os.environ.get("NOTIFY_SOCKET"),
        "descriptors": {
            name: os.readlink(f"/proc/self/fd/{name}")
            for name in os.listdir("/proc/self/fd")
            if os.path.islink(f"/proc/self/fd/{name}")
        },
        "mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
    }
    with connection:
        connection.setblocking(True)
        connection.sendall(json.dumps(about).encode() + b"\n")
    return True


def main():
    supervisor.ROOM = int(os.environ.get("FAKE_ROOM", supervisor.ROOM))
    supervisor.SILENCE = float(os.environ.get("FAKE_SILENCE", supervisor.SILENCE))
    if "ACTIVATE" in os.environ:
        os.dup2(int(os.environ["ACTIVATE"]), 3)
        os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
    settings = make_settings(json.loads(sys.argv[1]))
    target = Target(application=sys.argv[2] if len(sys.argv) > 2 else "app")
    return supervisor.run(
        settings, target, reload if "RELOAD_FILE" in os.environ else None, run_worker=run_worker
    )


if __name__ == "__main__":
    sys.exit(main())
