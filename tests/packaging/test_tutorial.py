"""The tutorial, followed to the letter with what was installed from the wheel.

Its blocks are taken in their order: `console` blocks are typed (what follows a command must be among what it
prints, `...` standing for anything), `python` blocks are written to the file that their first line names,
`text` blocks must appear in the log of the server. What differs: the environment is there already, the server
listens on a free port, and this test is curl.
"""

import re
import shlex
import signal
import subprocess
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from select import select
from time import monotonic
from typing import Any

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial" / "first-site.md"

pytestmark = pytest.mark.timeout(600)

#: What the environment of this test stands for.
DONE_ALREADY = ("mkdir ", "cd ", "python3 -m venv ", ". .venv/", "pip install ")

PATIENCE = 30.0


def blocks() -> list[tuple[str, list[str]]]:
    """Return the page's blocks of code: the kind, and the lines."""
    found = re.findall(r"^```(\w+)\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [(kind, text.splitlines()) for kind, text in found]


def commands(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield each command of a block with the lines that follow it."""
    starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
    assert starts
    assert starts[0] == 0
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield lines[start][2:], lines[start + 1 : end]


class Reader:
    """Somebody who follows the tutorial."""

    def __init__(self, environment: Any, folder: Path, start: Callable[..., Any], django: Path) -> None:
        self.environment = environment
        self.folder = folder
        self.server: Any = None
        self._start = start
        self._seen: Counter[str] = Counter()
        self.variables = {
            "PATH": f"{environment.bin}:/usr/bin:/bin",
            "PYTHONPATH": str(django),
            "LANG": "C.UTF-8",
        }

    def type(self, command: str, told: list[str]) -> None:
        words = shlex.split(command)
        if command.startswith(DONE_ALREADY):
            return
        if words[0] == "export":
            name, _, value = command.removeprefix("export ").partition("=")
            self.variables[name] = self._run(f'printf %s "{value}"', 0)
        elif words[0] == "curl":
            self._ask(words, told)
        elif words[0] == "portway" and not {"--check-config", "--version"} & set(words):
            self.stop(signal.SIGINT)
            self.server = self._start(self.environment, *words[1:], cwd=self.folder, **self.variables)
            self._seen.clear()
            self.expect_in_log(told)
        else:
            # A check that finds something, and a reload that is refused.
            statuses = {"portway": 1, "portwayctl": 4}
            complains = {line.partition(": ")[0] for line in told}
            printed = self._run(command, next((statuses[one] for one in complains & statuses.keys()), 0))
            assert self._is_in(told, printed), printed

    def write(self, lines: list[str]) -> None:
        name, _, where = lines[0].removeprefix("# ").partition(", ")
        with open(self.folder / name, "a" if where == "at the end" else "w") as file:
            file.write("\n".join([*lines[1:], ""]))

    def expect_in_log(self, told: list[str]) -> None:
        """Wait until the lines are in the server's log; one that was expected before must be there again."""
        for line in told:
            pattern = self._pattern(line)
            self._seen[pattern] += 1
            self.server.wait_for_log(pattern, count=self._seen[pattern])

    def stop(self, number: signal.Signals) -> None:
        if self.server is not None:
            assert self.server.stop(number) == 0
            self.server = None

    def _run(self, command: str, status: int) -> str:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == status, f"{command} exited with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def _ask(self, words: list[str], told: list[str]) -> None:
        """Be curl, until the answer is the one that is told: an old worker may still take a connection."""
        url = words[-1].replace(":8000", f":{self.server.port}")
        request = urllib.request.Request(url, method="HEAD" if "-I" in words else "GET")
        until = monotonic() + PATIENCE
        while True:
            try:
                response = urllib.request.urlopen(request, timeout=PATIENCE)
            except urllib.error.HTTPError as error:
                response = error
            with response:
                printed = response.read().decode()
                if "-I" in words:
                    printed = f"HTTP/1.1 {response.status} {response.reason}\n{response.headers}"
            if self._is_in(told, printed):
                return
            assert monotonic() < until, printed
            select([], [], [], 0.05)

    def _is_in(self, told: list[str], printed: str) -> bool:
        """Tell whether the lines are among those that were printed, in their order."""
        lines = iter(printed.splitlines())
        return all(
            any(re.search(self._pattern(line), one) for one in lines) for line in told if line != "..."
        )

    def _pattern(self, line: str) -> str:
        """Return the pattern of a line of the page."""
        line = re.sub(r"^\[[-+: 0-9]+\] \[\d+\] ", "", line)
        line = re.sub(r"(Ctrl-C or )?kill -TERM \d+", "kill -TERM ...", line)
        line = line.replace("compiled", self.environment.form)
        if self.server is not None:
            line = line.replace(":8000", f":{self.server.port}")
        return re.escape(line).replace(r"\.\.\.", ".*") + "$"


def test_the_tutorial_works(
    environment: Any, django: Path, start: Callable[..., Any], tmp_path: Path
) -> None:
    admin = environment.bin / "django-admin"
    if not admin.exists():
        # As pip writes it.
        management = "from django.core.management import execute_from_command_line"
        admin.write_text(f"#!{environment.bin}/python\n{management}\nexecute_from_command_line()\n")
        admin.chmod(0o755)
    folder = tmp_path / "mysite"
    folder.mkdir()
    reader = Reader(environment, folder, start, django)
    for kind, lines in blocks():
        if kind == "console":
            for command, told in commands(lines):
                reader.type(command, told)
        elif kind == "python":
            reader.write(lines)
        else:
            assert kind == "text"
            reader.expect_in_log(lines)
    assert reader.server.wait() == 0
