"""The endurance run: steady load while the server reloads, recycles and is upgraded, and not one request may fail.

    python tests/endurance/run.py [--requests N] [--clients N] [--workers N] [--threads N] [--preload both|yes|no]
                                  [--reloads N] [--broken N] [--recycles N] [--upgrades N] [--seed S]

For --preload and for --no-preload it starts a server (server.py, application.py) and clients in a process of their
own (clients.py), makes the events one after another with requests between them, goes on until there were enough
requests, and holds the server to this:

- no request failed: see clients.py for what counts as what; a GET that was asked again is shown apart;
- the application was called for each request that was answered, and never twice for a POST;
- each version of the code served once it was loaded, and code that cannot be loaded never did;
- after the end nothing of the server is left.

It prints what happened, and how long answers took meanwhile beyond what the application was asked to take: times of a
machine that also runs the clients.
Loopback only. Exit code: 0 or 1.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from server import HERE, PATIENCE, Failed, Server, adopt_orphans, wait_until

#: Answers of a worker until it is recycled.
MAX_REQUESTS = 500
RECYCLED = r"Worker \d+ \(process \d+\) has answered .+: replaced by process \d+\."
BROKEN = "import nothing_of_this_name\n"
#: Answers between two events, so that each of them meets connections that are in use.
BETWEEN = 200


class Clients:
    """The process of the clients."""

    def __init__(self, server, count, seed):
        self.result_path = server.folder / "result.json"
        command = [sys.executable, str(HERE / "clients.py"), str(server.port), str(count), seed]
        self.process = subprocess.Popen(
            [*command, str(self.result_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.answered = self.failed = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.answered, self.failed = map(int, line.split())

    def wait_for(self, answers):
        """Wait until there were so many answers in all; the wait is long as long as there are more and more."""
        while self.answered < answers:
            before = self.answered
            wait_until(lambda before=before: self.answered > before, f"no answers after {before}")

    def finish(self):
        """Have them finish what they have begun, and return what they saw."""
        self.process.stdin.close()
        # Its exit status may have been asked for with those of the server's processes.
        self.process.wait(PATIENCE)
        if not self.result_path.exists():
            raise Failed("the clients ended by an error of their own")
        return json.loads(self.result_path.read_text())


class Events:
    """The events, and when each of them happened."""

    def __init__(self, server, clients, workers):
        self.server = server
        self.clients = clients
        self.workers = workers
        self.windows = []

    @contextmanager
    def window(self, name):
        """Note when an event began and ended; requests go on for a while after it."""
        begun = time.monotonic()
        yield
        self.windows.append((name, begun, time.monotonic()))
        self.clients.wait_for(self.clients.answered + BETWEEN)

    def reload(self):
        """Load new code: every worker is replaced."""
        with self.window("reload"):
            done = len(self.server.find("Reloaded: generation"))
            self.server.write_next_version()
            self.server.send(signal.SIGHUP)
            self.server.wait_for_log("Reloaded: generation", done + 1)

    def reload_broken_code(self):
        """Try to load code that raises: nothing changes."""
        with self.window("broken reload"):
            done = len(self.server.find("Not reloaded, generation"))
            whole = (self.server.folder / "app.py").read_text()
            self.server.write(BROKEN)
            self.server.send(signal.SIGHUP)
            self.server.wait_for_log("Not reloaded, generation", done + 1)
            self.clients.wait_for(self.clients.answered + BETWEEN)
            self.server.write(whole)

    def recycle(self):
        """Wait until as many workers as there are have answered enough and were replaced."""
        before = len(self.server.find(RECYCLED))
        for count in range(before + 1, before + 1 + self.workers):
            self.server.wait_for_log(RECYCLED, count)
            # The new worker is up, and the old one has just been told to end.
            now = time.monotonic()
            self.windows.append(("recycling", now - 0.1, now + 0.4))

    def upgrade(self):
        """Have a new server take the place of this one."""
        with self.window("upgrade"):
            server, old = self.server, self.server.pid
            server.write_next_version()
            server.send(signal.SIGUSR2)
            new = int(server.wait_for_log(rf"\[{old}\] \[INFO\] Upgrading: process (\d+) is started")[1])
            server.wait_for_log(rf"The new server \(process {new}\) is ready")
            server.pid = new
            os.kill(old, signal.SIGTERM)
            server.wait_until_gone(old)


def one_run(options, preload, seed):
    """Run one server through everything; print what happened, and return what was wrong with it."""
    print(
        f"\n{preload}: {options.workers} workers, {options.threads} threads, {options.clients} clients",
        flush=True,
    )
    with tempfile.TemporaryDirectory(prefix="portway-endurance-") as folder:
        flags = [preload, "--workers", str(options.workers), "--threads", str(options.threads)]
        if options.recycles:
            flags += ["--max-requests", str(MAX_REQUESTS), "--max-requests-jitter", str(MAX_REQUESTS // 10)]
        server, result = None, None
        try:
            server = Server(Path(folder), flags)
            clients = Clients(server, options.clients, seed)
            events = Events(server, clients, options.workers)
            clients.wait_for(BETWEEN)
            plan = [events.reload] * options.reloads + [events.reload_broken_code] * options.broken
            plan += [events.recycle] * options.recycles + [events.upgrade] * options.upgrades
            random.Random(seed).shuffle(plan)
            for index, event in enumerate(plan):
                event()
                # The rest of the requests is shared out, so that the events do not come all at the beginning.
                clients.wait_for(options.requests * (index + 1) // (len(plan) + 1))
            clients.wait_for(options.requests)
            result = clients.finish()
            server.stop()
            problems = judge(server, result, server.calls())
        except Failed as error:
            problems = [str(error)]
        finally:
            if server is not None:
                server.kill()
        if result is not None:
            show(result, events.windows, len(server.find(RECYCLED)))
        if problems and server is not None:
            print("the log's last lines:\n" + "\n".join(server.log().splitlines()[-40:]))
        return problems


def judge(server, result, calls):
    """Return what is wrong with what the clients saw, held against what the application counted."""
    problems = [
        f"request {failure['number']}: {failure['kind']}: {failure['text']}"
        for failure in result["failures"][:20]
    ]
    if len(result["failures"]) > 20:
        problems.append(f"and {len(result['failures']) - 20} more")
    failed = {failure["number"] for failure in result["failures"]}
    retried = Counter(result["retried_numbers"])
    total = result["answered"] + len(result["failures"])
    for number in range(1, total + 1):
        if number not in failed and not 1 <= calls[number] <= 1 + retried[number]:
            problems.append(
                f"request {number} was answered, and the application was called {calls[number]} times"
            )
    if any(calls[total + 1 :]):
        problems.append("the application was called for requests that nobody has sent")
    versions = {int(version) for version in result["versions"]}
    if versions != set(range(1, server.version + 1)):
        problems.append(f"the versions {sorted(versions)} have served, of {server.version}")
    log = server.log()
    for text in ("Portway failed", "Traceback (most recent", "[CRITICAL]"):
        # The broken code has a report of its own, without Python's headline.
        if text in log:
            problems.append(f"the log has {text!r}")
    return problems[:40]


def show(result, windows, recycled):
    """Print what the clients saw."""
    kinds = Counter(failure["kind"] for failure in result["failures"])
    print(f"  {result['answered']:8} answered, {len(result['posts'])} of them POST")
    print(
        f"  {len(result['failures']):8} failed{''.join(f', {count} {kind}' for kind, count in kinds.items())}"
    )
    print(f"  {result['retried']:8} GETs asked again")
    print(
        f"  {result['connections']:8} connections: {result['asked_to_close']} ended by Connection: close, "
        f"{result['idle_ends']} while idle"
    )
    print(f"  {recycled:8} workers were recycled")
    print(
        f"  {len(result['processes']):8} processes answered, {len(result['versions'])} versions of the code"
    )
    print(f"  {'during':16} {'times':>5} {'requests':>8} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8}")
    samples = result["samples"]
    # Without the time that the application was asked to take.
    waited = [took - delay for _, took, delay in samples]
    seen = set()
    for name in dict.fromkeys(name for name, _, _ in windows):
        mine = [(begin, end) for other, begin, end in windows if other == name]
        met = [
            index
            for index, (begun, took, _) in enumerate(samples)
            if any(begun < end and begun + took > begin for begin, end in mine)
        ]
        seen.update(met)
        show_times(name, len(mine), [waited[index] for index in met])
    show_times("quiet", "", [took for index, took in enumerate(waited) if index not in seen])


def show_times(name, times, taken):
    """Print a line of the table."""
    taken = sorted(taken) or [0.0]
    p50, p99, most = (1000 * taken[int(share * (len(taken) - 1))] for share in (0.5, 0.99, 1))
    print(f"  {name:16} {times:>5} {len(taken):8} {p50:8.1f} {p99:8.1f} {most:8.1f}", flush=True)


def main():
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--requests", type=int, default=50_000, help="for each server, at least")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--reloads", type=int, default=10)
    parser.add_argument("--broken", type=int, default=1, help="reloads of code that cannot be loaded")
    parser.add_argument(
        "--recycles", type=int, default=10, help="rounds, in each of which all workers are replaced"
    )
    parser.add_argument("--upgrades", type=int, default=2, help="new servers in the place of the old (USR2)")
    parser.add_argument("--preload", choices=("both", "yes", "no"), default="both")
    parser.add_argument(
        "--seed", default=None, help="what the clients do follows from it; default: a new one"
    )
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else str(random.SystemRandom().randrange(10**6))
    adopt_orphans()
    version = subprocess.run(
        [sys.executable, "-m", "portway", "--version"], capture_output=True, text=True, check=True
    ).stdout.strip()
    print(f"{version}; seed {seed}, {os.cpu_count()} CPUs", flush=True)
    modes = {"both": ("--preload", "--no-preload"), "yes": ("--preload",), "no": ("--no-preload",)}
    code = 0
    for preload in modes[options.preload]:
        problems = one_run(options, preload, seed)
        for problem in problems:
            print(f"  WRONG: {problem}", flush=True)
        print("  FAILED" if problems else "  nothing was lost", flush=True)
        code = code or bool(problems)
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
