"""Installs the servers to compare with, each on its own, and remembers which could not be installed and why.

A program, run with the interpreter of the environment to install into: `python benchmarks/install_peers.py`.
What to install is the `bench` extra of pyproject.toml. It always exits with 0: a peer that cannot be built is
a line in the report, not a failure of the others.
"""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
REMEMBERED = Path(sys.prefix) / "portway-bench-peers.json"


def wanted() -> list[str]:
    """Return the requirements of the extra."""
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    requirements: list[str] = project["optional-dependencies"]["bench"]
    return requirements


def name_of(requirement: str) -> str:
    """Return the name of the distribution that a requirement asks for, in lower case."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found is not None, requirement
    return found.group(0).lower()


def reason(output: str) -> str:
    """Return the line of pip's output that says what went wrong."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if re.search(r"error:|No such file|not found|No matching", line, re.I)]
    found = (telling or lines or ["pip said nothing"])[0]
    found = re.sub(r"(?<![\w.:/])/(?:[\w.+-]+/)+([\w.+-]+)", r"\1", found)
    return re.sub(r"\s+", " ", found)[:200]


def install(requirement: str) -> str:
    """Install a requirement; return "" if it is installed now, else the reason."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
    done = subprocess.run([*pip, requirement], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else reason(done.stderr + done.stdout)


def remembered() -> dict[str, str]:
    """Return why peers could not be installed, by the name of their distribution."""
    try:
        failures: dict[str, str] = json.loads(REMEMBERED.read_text())
    except (OSError, ValueError):
        return {}
    return failures


def main() -> None:
    """Install all of them."""
    failures = {}
    for requirement in wanted():
        failed = install(requirement)
        if failed:
            failures[name_of(requirement)] = failed
            print(f"{name_of(requirement)} cannot be installed: {failed}")
    REMEMBERED.write_text(json.dumps(failures, indent=1) + "\n")


if __name__ == "__main__":
    main()
