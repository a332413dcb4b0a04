"""Distributions of this checkout, and environments that have nothing but Portway installed from one of them.

Everything is made once for a test run. What the compiler makes better is not what is tested here, so it is
told to hurry. Nothing that is run from here sees the checkout: it runs in other folders, without PYTHONPATH.
"""

import importlib.util
import os
import shlex
import shutil
import subprocess
import sysconfig
import tarfile
import tomllib
import venv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

#: What a checkout has besides the repository; compiled modules and egg-info stay, to be in the way.
NOT_COPIED = (".*", "__pycache__", "benchmarks", "build", "dist", "site", "var")

COMPILED, UNCOMPILED = "compiled", "uncompiled"


def has_compiler() -> bool:
    named = os.environ.get("CC", "").split()[:1]
    return any(shutil.which(name) for name in [*named, "cc", "gcc", "clang"])


def clean_environment(**variables: str) -> dict[str, str]:
    """Return the environment of this process without what decides about Python's path and about builds."""
    dropped = ("PYTHONPATH", "PORTWAY_NO_EXTENSIONS", "PORTWAY_REQUIRE_EXTENSIONS", "PORTWAY_CMD_ARGS")
    return {name: value for name, value in os.environ.items() if name not in dropped} | variables


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    """Run a command to its end; return what it printed. Fails the test if the command fails."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=clean_environment(**variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=500,
        check=False,
    )
    shown = shlex.join(map(str, command))
    assert done.returncode == 0, f"{shown} exited with {done.returncode}:\n{done.stdout}"
    return done.stdout


@dataclass
class Environment:
    """A virtual environment with Portway in it, in one of its two forms."""

    form: str
    folder: Path

    @property
    def bin(self) -> Path:
        return self.folder / "bin"

    def run(self, program: str, *arguments: str, cwd: Path, **variables: str) -> str:
        """Run one of its programs to its end; return what it printed."""
        return run(self.bin / program, *arguments, cwd=cwd, **variables)


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the checkout, in which somebody careless and an older Python have left something."""
    folder = tmp_path_factory.mktemp("checkout") / "portway"
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*NOT_COPIED))
    package = folder / "src" / "portway"
    (package / "http" / "head.cpython-39-x86_64-linux-gnu.so").write_bytes(b"stale")
    (package / "http" / "head.c").write_text("stale")
    (package / "http" / "__pycache__").mkdir()
    (package / "http" / "__pycache__" / "head.cpython-39.pyc").write_bytes(b"stale")
    (folder / "build" / "lib" / "portway").mkdir(parents=True)
    (folder / "build" / "lib" / "portway" / "removed.py").write_text('"""A module that is no more."""\n')
    return folder


@pytest.fixture(scope="session")
def builder(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of an environment that has what pyproject.toml names to build with, and `build`."""
    folder = tmp_path_factory.mktemp("builder")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    with open(checkout / "pyproject.toml", "rb") as file:
        requirements = tomllib.load(file)["build-system"]["requires"]
    pip = (python, "-m", "pip", "--disable-pip-version-check", "--quiet", "install")
    run(*pip, "build", *requirements, cwd=folder)
    return python


@pytest.fixture(scope="session")
def sdist(builder: Path, checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the source distribution, made as `make dist` makes it."""
    out = tmp_path_factory.mktemp("sdist")
    # What it holds must not depend on whether something is compiled; this way it is quicker.
    command = (builder, "-m", "build", "--no-isolation", "--sdist", "--outdir", out, checkout)
    run(*command, cwd=out, PORTWAY_NO_EXTENSIONS="1")
    (found,) = out.iterdir()
    return found


@pytest.fixture(scope="session")
def make_wheel(builder: Path, sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return make_wheel(form), which builds a wheel from the source distribution, once for each form."""
    made: dict[str, Path] = {}

    def make_wheel(form: str) -> Path:
        if form not in made:
            folder = tmp_path_factory.mktemp(form)
            with tarfile.open(sdist) as archive:
                archive.extractall(folder, filter="data")
            (source,) = folder.iterdir()
            variables = {"PORTWAY_NO_EXTENSIONS": "1"}
            if form == COMPILED:
                variables = {"PORTWAY_REQUIRE_EXTENSIONS": "1", "CC": str(_hasty_compiler(folder))}
            out = folder / "out"
            command = (builder, "-m", "build", "--no-isolation", "--wheel", "--outdir", out, source)
            run(*command, cwd=folder, **variables)
            (made[form],) = out.iterdir()
        return made[form]

    return make_wheel


def _hasty_compiler(folder: Path) -> Path:
    """Return a C compiler that does not optimise, whatever it is asked for."""
    real = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    if not shutil.which(real.split()[0]):
        real = "cc"
    script = folder / "cc"
    script.write_text(
        "#!/bin/sh\n"
        'for word do shift; [ "$word" = -O3 ] || set -- "$@" "$word"; done\n'
        f'exec {real} "$@" -O0\n'
    )
    script.chmod(0o755)
    return script


@pytest.fixture(scope="session", params=[COMPILED, UNCOMPILED])
def form(request: pytest.FixtureRequest) -> str:
    """Return which of the two builds a test is about."""
    if request.param == COMPILED:
        if os.environ.get("PORTWAY_NO_EXTENSIONS"):
            pytest.skip("this run is about the uncompiled build")
        if not has_compiler() and not os.environ.get("PORTWAY_REQUIRE_EXTENSIONS"):
            pytest.skip("there is no C compiler")
    return request.param


@pytest.fixture(scope="session")
def wheel(form: str, make_wheel: Callable[[str], Path]) -> Path:
    return make_wheel(form)


@pytest.fixture(scope="session")
def environments(
    builder: Path, make_wheel: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Environment]:
    """Return environments(form): empty environments with the wheel installed, one for each form."""
    made: dict[str, Environment] = {}

    def environments(form: str) -> Environment:
        if form not in made:
            folder = tmp_path_factory.mktemp(f"installed-{form}")
            venv.create(folder, with_pip=False, symlinks=True)
            pip = (builder, "-m", "pip", "--disable-pip-version-check", "--quiet")
            # Without an index: there is nothing that it could depend on.
            run(
                *pip,
                "--python",
                folder / "bin" / "python",
                "install",
                "--no-index",
                make_wheel(form),
                cwd=folder,
            )
            made[form] = Environment(form, folder)
        return made[form]

    return environments


@pytest.fixture
def environment(form: str, environments: Callable[[str], Environment]) -> Environment:
    """Return an environment with nothing but Portway in it."""
    return environments(form)


@pytest.fixture(scope="session")
def django(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for PYTHONPATH that has Django, as it is installed for the tests, and nothing else."""
    folder = tmp_path_factory.mktemp("django")
    for name in ("django", "asgiref", "sqlparse"):
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        (folder / name).symlink_to(Path(spec.origin).parent)
    return folder


@pytest.fixture
def start(launch: Callable[..., Any]) -> Callable[..., Any]:
    """Return start(environment, *flags, cwd=, **variables), which starts `portway` and waits until it serves.

    It listens on a free port, which is the attribute `port` of what is returned.
    """
    # `launch` starts this Python; it becomes the other one at once.
    become = "import os, sys; os.execv(sys.argv[1], sys.argv[1:])"

    def start(environment: Environment, *flags: str, cwd: Path, **variables: str) -> Any:
        empty = {"PYTHONPATH": "", "PORTWAY_NO_EXTENSIONS": "", "PORTWAY_REQUIRE_EXTENSIONS": ""}
        asked = {"PORTWAY_CMD_ARGS": "--bind 127.0.0.1:0 --workers 2"}
        program = environment.bin / "portway"
        server = launch("-c", become, program, *flags, cwd=cwd, **{**empty, **asked, **variables})
        server.port = int(server.wait_for_log(r"Listening on http://127\.0\.0\.1:(\d+)")[1])
        server.wait_for_log("Stop with")
        return server

    return start


@pytest.fixture(scope="session", autouse=True)
def nothing_stays_in_the_checkout() -> Iterator[None]:
    """Fail the run if a build has left something in the checkout itself."""
    before = set(os.listdir(ROOT)) | set(os.listdir(ROOT / "src"))
    yield
    after = set(os.listdir(ROOT)) | set(os.listdir(ROOT / "src"))
    assert after - before <= {".pytest_cache", ".hypothesis"}
