"""What the repository holds, and a Python that has imported nothing yet."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

#: What builds, tests and tools leave behind where there is no git to tell.
_MADE = (
    ".git",
    ".hypothesis",
    ".import_linter_cache",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    "__pycache__",
    "build",
    "dist",
    "site",
    "var",
)


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the folder of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def files() -> list[Path]:
    """Return every file of the repository, those that are not committed yet among them, sorted."""
    if shutil.which("git") and (ROOT / ".git").exists():
        command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, check=True, capture_output=True).stdout.decode().split("\0")
        return sorted(path for name in listed if name and (path := ROOT / name).is_file())
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in _MADE and not name.startswith(".venv")]
        found += [Path(folder, name) for name in names if not name.endswith((".pyc", ".so"))]
    return sorted(found)


@pytest.fixture(scope="session")
def modules() -> dict[str, Path]:
    """Return the source file of every module of the package, by the module's name."""
    package = ROOT / "src" / "portway"
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = ["portway", *path.relative_to(package).with_suffix("").parts]
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@pytest.fixture
def run_python(tmp_path: Path) -> Callable[..., str]:
    """Return run_python(arguments, input=, expect=, **environment): a fresh process, and what it printed.

    It runs in an empty folder, and every warning is an error in it. An environment variable that is None is
    taken away.
    """

    def run(*arguments: str, input: str = "", expect: int = 0, **environment: str | None) -> str:
        env = {**os.environ, **environment}
        done = subprocess.run(
            [sys.executable, "-W", "error", *arguments],
            input=input,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={name: value for name, value in env.items() if value is not None},
            timeout=100,
            check=False,
        )
        assert done.returncode == expect, f"exit status {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    return run


@pytest.fixture(scope="session")
def tables() -> Callable[[str], dict[str, list[list[str]]]]:
    """Return tables(page): the cells of a page's tables below docs/, row by row, by the heading above them.

    The first row of a table, which says what the columns are, is left out.
    """

    def tables(page: str) -> dict[str, list[list[str]]]:
        found: dict[str, list[list[str]]] = {}
        heading = ""
        lines = (ROOT / "docs" / page).read_text("utf-8").splitlines()
        for number, line in enumerate(lines):
            if line.startswith("#"):
                heading = line.lstrip("#").strip()
            elif line.startswith("|") and lines[number - 1].startswith("|") and not line.startswith("|---"):
                cells = line.strip("|").replace("\\|", "\0").split("|")
                found.setdefault(heading, []).append([cell.strip().replace("\0", "|") for cell in cells])
        return found

    return tables
