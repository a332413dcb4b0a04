"""The stress test: random clients against one worker, every answer checked, nothing lost, doubled or left behind.

    python tests/stress/run.py [--requests N] [--threads 1,2,16] [--builds compiled,uncompiled] [--seed S]
                               [--python PATH] [--minutes M]

For each build and each number of application threads it starts a worker (server.py, application.py), sends its share
of the requests from many clients (client.py), and then holds the worker to this:

- every response belonged to its request, was whole and came in order; none was lost; none came twice;
- the application was called once for each request that was answered, and never twice for any;
- never more calls at once than there are threads, all on the same few threads; close() once, in the caller's thread;
- never two leaders;
- no descriptor more than before, no more memory than the tolerances below, everything out of the application;
- it ends by itself, with code 0, when it is told to.

What a client does follows from the seed and its number, so a failure names both. Loopback only. Exit code: 0 or 1.
"""

import argparse
import json
import mmap
import os
import random
import re
import select
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

from client import Client, Dice, Wire, Wrong

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "src"
CLIENTS = 24
#: The part of the requests that goes before the first measurement: caches fill, threads and buffers are made.
WARM_UP = 0.4
#: Memory after the warm-up. What is held of the C library's heap may grow by this: buffers of logs and threads, small
#: pieces that the library keeps for each thread. A leak of 60 bytes a request is above it in the long form.
HELD_TOLERANCE = 1 << 20
HELD_TOLERANCE_OF_A_THREAD = 1 << 17
#: The proportional set size may grow by this. It counts what is free and not given back, too, even when that was asked
#: for: each thread has memory of its own, which its largest requests have cut into pieces. This does not grow with
#: the number of requests.
PSS_TOLERANCE = 8 << 20
PSS_TOLERANCE_OF_A_THREAD = 3 << 20
#: How many blocks the interpreter may have allocated more, for each request after the warm-up. One object that is
#: kept for each request, or for each connection, is far above.
BLOCKS_TOLERANCE = 0.02
#: Beyond that, blocks that come and go: the state of the threads, of the log, of the last requests.
BLOCKS_SLACK = 1500


class Failed(Exception):
    """The worker did what it should not."""


class Server:
    """The worker under test."""

    def __init__(self, python, build, threads, folder, ids):
        ledger = folder / "ledger"
        ledger.write_bytes(bytes(ids))
        self.log_path = folder / "server.log"
        env = {
            **os.environ,
            "PYTHONPATH": str(SOURCE),
            "STRESS_LEDGER": str(ledger),
            "STRESS_FILE": str(folder / "file"),
            "STRESS_SWITCH_INTERVAL": "1e-6",
        }
        env.pop("PORTWAY_NO_EXTENSIONS", None)
        if build == "uncompiled":
            env["PORTWAY_NO_EXTENSIONS"] = "1"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [python, str(HERE / "server.py"), str(threads), str(folder / "static")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=env,
            )
        line = self.process.stdout.readline() if select.select([self.process.stdout], [], [], 30)[0] else b""
        if not line:
            raise Failed(f"it did not start: {self.log_path.read_text()[-2000:]}")
        said = json.loads(line)
        if said["build"] != build:
            raise Failed(f"the {build} form was asked for, the {said['build']} one runs")
        self.port = said["port"]
        with open(ledger, "r+b") as file:
            self.ledger = mmap.mmap(file.fileno(), 0)

    def stats(self):
        """Return what the application counted, and what the process holds."""
        wire = Wire(self.port)
        try:
            wire.send(b"GET /?stats HTTP/1.1\r\nHost: stress\r\nConnection: close\r\n\r\n")
            answer = json.loads(wire.body(wire.head()[1]))
        finally:
            wire.leave(False)
        proc = Path(f"/proc/{self.process.pid}")
        rollup = (proc / "smaps_rollup").read_text()
        answer["pss"] = int(re.search(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)[1]) << 10
        return answer

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def open_files(self):
        folder = f"/proc/{self.process.pid}/fd"
        return {name: os.readlink(f"{folder}/{name}") for name in os.listdir(folder)}

    def settles(self, descriptors=None):
        """Wait until every call and every connection has ended; return the stats then."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            stats = self.stats()
            if stats["running"] == 0 and (descriptors is None or self.descriptors() <= descriptors + 1):
                # One more: the connection of `stats` itself may still be closing.
                for _ in range(100):
                    if descriptors is None or self.descriptors() == descriptors:
                        return stats
                    select.select([], [], [], 0.01)
            select.select([], [], [], 0.05)
        raise Failed(
            f"it does not come to rest: {stats}; {descriptors} descriptors before, now {self.open_files()}"
        )

    def stop(self):
        """Tell it to end; return what it said last."""
        self.process.send_signal(signal.SIGTERM)
        try:
            said, _ = self.process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            raise Failed("it does not end when it is told to") from None
        if self.process.returncode:
            raise Failed(f"it ended with code {self.process.returncode}")
        return json.loads(said.splitlines()[-1])

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.ledger.close()


@contextmanager
def served(python, build, threads, ids):
    """Run a worker with files to serve; yields it and the dice that know the files."""
    with tempfile.TemporaryDirectory(prefix="portway-stress-") as name:
        folder = Path(name)
        (folder / "static").mkdir()
        dice = random.Random("files")
        files = [
            (f"file-{n}.bin", dice.randbytes(size))
            for n, size in enumerate((0, 10, 3_000, 70_000, 2_000_000))
        ]
        for file, body in files:
            (folder / "static" / file).write_bytes(body)
        (folder / "file").write_bytes(files[3][1])
        server = Server(python, build, threads, folder, ids)
        try:
            yield server, files
        finally:
            server.close()


def load(server, numbers, name, files, stop):
    """Send the requests of a range of numbers from all clients at once; return the clients. Raises Failed."""
    share = len(numbers) // CLIENTS
    clients = []
    for n in range(CLIENTS):
        part = numbers[n * share : (n + 1) * share if n < CLIENTS - 1 else len(numbers)]
        dice = random.Random(f"{name}/{n}")
        clients.append(Client(server.port, part, dice, Dice(dice, files, files[3][1])))
    failures = []

    def run(n, client):
        try:
            client.run(lambda: bool(failures) or stop())
        except (Wrong, OSError) as error:
            failures.append(f"client {n}: {error!r}")

    threads = [threading.Thread(target=run, args=pair, daemon=True) for pair in enumerate(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise Failed("; ".join(failures[:5]))
    return clients


def compare_books(server, clients):
    """Hold the application's books to what the clients saw."""
    calls = answered = 0
    for client in clients:
        for n, answer in enumerate(client.answered):
            count = server.ledger[client.numbers.start + n]
            calls += count
            answered += answer == 1
            if count > 1:
                raise Failed(f"request {client.numbers.start + n} came to the application {count} times")
            if answer == 1 and count != 1:
                raise Failed(
                    f"request {client.numbers.start + n} was answered, and never came to the application"
                )
            if answer == 2 and count:
                raise Failed(f"file request {client.numbers.start + n} came to the application")
    return calls, answered


def one_round(python, build, threads, requests, seed, stop):
    """Stress one worker; return a line about it. Raises Failed."""
    began = time.monotonic()
    name = f"{seed}/{build}/{threads}"
    with served(python, build, threads, requests) as (server, files):
        try:
            warm = int(requests * WARM_UP)
            empty = server.descriptors()
            clients = load(server, range(warm), f"{name}/warm-up", files, stop)
            before = server.settles(empty)
            clients += load(server, range(warm, requests), name, files, stop)
            after = server.settles(empty)
            calls, answered = compare_books(server, clients)
            if after["calls"] != calls:
                raise Failed(f"{after['calls']} calls, {calls} in the ledger")
            problems = check_stats(before, after, threads, requests - warm)
            last = server.stop()
            problems += last["problems"]
            log = server.log_path.read_text()
            if "Portway failed" in log:
                problems.append("its log reports a failure of its own")
            if problems:
                raise Failed("; ".join(problems))
        except Failed as error:
            entries = re.split(r"\n(?=\[)", server.log_path.read_text())
            expected = ("RuntimeError: on purpose", "connection closed in the middle")
            entries = [entry for entry in entries if not any(text in entry for text in expected)]
            raise Failed(f"{name} on {python}: {error}\nthe log:\n" + "\n".join(entries[-20:])) from None
    kinds = sum((client.kinds for client in clients), Counter())
    took = time.monotonic() - began
    return (
        f"{build:10} {threads:2} threads: {answered + sum(c.answered.count(2) for c in clients):6} answered of "
        f"{sum(c.next - c.numbers.start for c in clients)} sent, {kinds['connection']} connections, "
        f"{kinds['left early']} left early, {kinds['slow reader']} slow readers; most at once {after['most']}, "
        f"PSS {(after['pss'] - before['pss']) / 1048576:+.1f} MiB, held "
        f"{(after['held'] - before['held']) >> 10:+d} KiB, blocks {after['blocks'] - before['blocks']:+d}, "
        f"leader guarded {last['guarded']} times; {took:.0f} s"
    )


def check_stats(before, after, threads, requests):
    """Return what is wrong with the figures of a worker that has come to rest."""
    problems = list(after["problems"])
    if after["most"] > threads:
        problems.append(f"{after['most']} calls at once on {threads} threads")
    if after["threads"] > threads:
        problems.append(f"the application ran on {after['threads']} different threads of {threads}")
    if after["pss"] - before["pss"] > PSS_TOLERANCE + threads * PSS_TOLERANCE_OF_A_THREAD:
        problems.append(f"PSS grew from {before['pss'] >> 10} to {after['pss'] >> 10} KiB")
    if after["held"] - before["held"] > HELD_TOLERANCE + threads * HELD_TOLERANCE_OF_A_THREAD:
        problems.append(
            f"the memory that is held grew from {before['held'] >> 10} to {after['held'] >> 10} KiB"
        )
    if after["blocks"] - before["blocks"] > requests * BLOCKS_TOLERANCE + BLOCKS_SLACK:
        problems.append(f"blocks grew from {before['blocks']} to {after['blocks']} in {requests} requests")
    return problems


def main():
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--requests", type=int, default=200_000, help="for each build, shared by the thread numbers"
    )
    parser.add_argument("--threads", default="1,2,16")
    parser.add_argument("--builds", default="compiled,uncompiled")
    parser.add_argument("--seed", default=None, help="a failure names it; default: a new one")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that runs the worker")
    parser.add_argument("--minutes", type=float, default=30, help="give up after so long")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else str(random.SystemRandom().randrange(10**6))
    numbers = [int(number) for number in options.threads.split(",")]
    until = time.monotonic() + options.minutes * 60
    version = subprocess.run(
        [options.python, "-V"], capture_output=True, text=True, check=True
    ).stdout.strip()
    print(f"{version}, seed {seed}, {options.requests} requests for each build", flush=True)
    for build in options.builds.split(","):
        for threads in numbers:
            share = options.requests // len(numbers)
            try:
                print(
                    one_round(options.python, build, threads, share, seed, lambda: time.monotonic() > until),
                    flush=True,
                )
            except Failed as error:
                print(f"FAILED (seed {seed}): {error}", flush=True)
                return 1
            if time.monotonic() > until:
                print(f"FAILED: not done within {options.minutes:g} minutes", flush=True)
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
