"""The clients of the endurance run, a process of its own: many kept-alive connections, every answer checked.

    python clients.py PORT CLIENTS SEED RESULT

They ask until the standard input is closed, finish what they have begun, and write RESULT (JSON). Meanwhile the
number of answers is printed whenever it has changed, ten times a second at most.

What counts as what:

answered    whole, right, with status 200, and in the answer the number of its request
idle_ends   connections that the server closed between two requests, which the client saw before it asked again: what
            keep-alive connections end like, and no request's loss
retried     a GET on a connection that had served before and was closed before the first byte of the answer: the one
            case in which a client may ask again by itself (RFC 9112 section 9.3.1, RFC 9110 section 9.2.2)
failures    everything else: a POST without an answer, a refused or reset connection, a cut or wrong answer, a status
"""

import asyncio
import json
import random
import sys
import time
from collections import Counter

#: Seconds without an answer after which it counts as lost.
PATIENCE = 30.0
#: One client of so many asks seldom: its connection is idle when workers change.
SELDOM = 8


class Failed(Exception):
    """An answer that should not have been, or none. kind: one word for the table."""

    def __init__(self, kind, text):
        super().__init__(text)
        self.kind = kind


class Closed(Exception):
    """The connection was closed before the first byte of an answer."""


class Run:
    """What all clients of the process share."""

    def __init__(self, port):
        self.port = port
        self.stopping = False
        self.next = 0
        self.answered = 0
        self.counts = Counter()
        self.failures = []
        self.samples = []
        self.versions = Counter()
        self.processes = set()
        self.answered_posts = []
        self.retried_numbers = []

    def number(self):
        """Return a number that no request has had."""
        self.next += 1
        return self.next


class Client:
    """One client: a connection at a time, a request at a time."""

    def __init__(self, run, index, seed):
        self.run = run
        self.random = random.Random(f"{seed}-{index}")
        self.seldom = index % SELDOM == 0
        self.reader = self.writer = None
        self.used = False
        # Of the request that is under way: how long the application was asked to take.
        self.delay = 0.0

    async def ask_until_stopped(self):
        """Ask, pause, and again."""
        while not self.run.stopping:
            await self.pause()
            if self.run.stopping:
                break
            number = self.run.number()
            begun = time.monotonic()
            try:
                await asyncio.wait_for(self.ask(number), PATIENCE)
            except TimeoutError:
                self.fail(number, "no answer", f"none within {PATIENCE:g} s")
            except Failed as error:
                self.fail(number, error.kind, str(error))
            except OSError as error:
                self.fail(number, type(error).__name__, str(error))
            else:
                self.run.answered += 1
                self.run.samples.append((begun, time.monotonic() - begun, self.delay))
        self.leave()

    async def pause(self):
        await asyncio.sleep(self.random.uniform(0.5, 4) if self.seldom else self.random.expovariate(100))

    def fail(self, number, kind, text):
        self.run.failures.append({"number": number, "kind": kind, "text": text, "at": time.monotonic()})
        self.leave()

    def leave(self):
        if self.writer is not None:
            self.writer.close()
        self.reader = self.writer = None

    async def ask(self, number):
        """Send a request and hold the answer to it."""
        dice = self.random
        roll = dice.random()
        self.delay = delay = (
            0 if roll < 0.9 else dice.uniform(0, 0.03) if roll < 0.995 else dice.uniform(0.1, 0.4)
        )
        if dice.random() < 0.3:
            method = "POST"
            size = int(dice.expovariate(1 / 2000)) if dice.random() < 0.98 else dice.randint(50_000, 200_000)
            expected = body = b"%d:" % number + dice.randbytes(100) * (size // 100)
            query = f"delay={delay:.4f}"
        else:
            method, body = "GET", b""
            size = int(dice.expovariate(1 / 2000)) if dice.random() < 0.98 else dice.randint(50_000, 200_000)
            text = b"%d " % number
            expected = (text * (size // len(text) + 1))[:size]
            query = f"delay={delay:.4f}&size={size}"
        head = f"{method} /{number}?{query} HTTP/1.1\r\nHost: endurance\r\n"
        if method == "POST":
            head += f"Content-Length: {len(body)}\r\n"
        await self.exchange(number, method, head.encode() + b"\r\n" + body, expected)
        if method == "POST":
            self.run.answered_posts.append(number)

    async def exchange(self, number, method, text, expected):
        while True:
            if self.reader is not None and self.reader.at_eof():
                self.run.counts["idle_ends"] += 1
                self.leave()
            if self.reader is None:
                self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.run.port)
                self.run.counts["connections"] += 1
                self.used = False
            try:
                await self.attempt(number, text, expected)
            except Closed as error:
                if not self.used or method != "GET":
                    raise Failed(f"{method} closed", f"no byte of an answer: {error!r}") from None
                self.run.counts["retried"] += 1
                self.run.retried_numbers.append(number)
                self.leave()
                continue
            return

    async def attempt(self, number, text, expected):
        reader = self.reader
        try:
            self.writer.write(text)
            await self.writer.drain()
        except OSError:
            # It may have answered before it closed; what there is to read says so.
            pass
        try:
            first = await reader.readline()
        except OSError as error:
            raise Closed(type(error).__name__) from None
        if not first:
            raise Closed("end of file")
        try:
            fields = await self.head(reader)
            if not first.startswith(b"HTTP/1.1 200 "):
                raise Failed(f"status {first[9:12].decode()}", first.decode().strip())
            body = await reader.readexactly(int(fields["content-length"]))
        except (asyncio.IncompleteReadError, OSError) as error:
            raise Failed("cut answer", repr(error)) from None
        if fields["x-number"] != str(number):
            raise Failed("wrong answer", f"the answer to {fields['x-number']}")
        if body != expected:
            raise Failed("wrong answer", f"{body[:40]!r}, not {expected[:40]!r}")
        self.used = True
        self.run.versions[int(fields["x-version"])] += 1
        self.run.processes.add(int(fields["x-process"]))
        if fields.get("connection") == "close":
            self.run.counts["asked_to_close"] += 1
            self.leave()

    async def head(self, reader):
        fields = {}
        while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
            name, _, value = line.decode("latin-1").strip().partition(": ")
            fields[name.lower()] = value
        return fields


async def watch_input(run):
    """Stop when the standard input ends; say meanwhile how many requests were answered."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    ended = asyncio.ensure_future(reader.read())
    said = None
    while not ended.done():
        state = f"{run.answered} {len(run.failures)}"
        if state != said:
            print(state, flush=True)
            said = state
        await asyncio.wait([ended], timeout=0.1)
    run.stopping = True


async def main(port, clients, seed, result):
    run = Run(port)
    await asyncio.gather(
        watch_input(run), *(Client(run, index, seed).ask_until_stopped() for index in range(clients))
    )
    with open(result, "w") as file:
        json.dump(
            {
                "answered": run.answered,
                "failures": run.failures,
                "samples": run.samples,
                "versions": run.versions,
                "processes": sorted(run.processes),
                "posts": run.answered_posts,
                "retried_numbers": run.retried_numbers,
                **{
                    name: run.counts[name]
                    for name in ("idle_ends", "retried", "connections", "asked_to_close")
                },
            },
            file,
        )


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]))
