"""What is in the source distribution and in the wheels, and that a server runs from what was installed."""

import ast
import email
import email.message
import importlib.machinery
import json
import sys
import tarfile
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.timeout(600)

APPLICATION = """
import json, os, sys

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    portway = sys.modules["portway"]
    told = {
        "method": environ["REQUEST_METHOD"],
        "body": environ["wsgi.input"].read().decode(),
        "software": environ["SERVER_SOFTWARE"],
        "package": os.path.dirname(portway.__file__),
        "cython": sys.modules.get("cython") is not None,
        "path": sys.path,
    }
    yield json.dumps(told).encode()
"""


@pytest.fixture(scope="module")
def compiled_modules(checkout: Path) -> tuple[str, ...]:
    """Return the tuple COMPILED of setup.py."""
    for node in ast.parse((checkout / "setup.py").read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "COMPILED":
            return ast.literal_eval(node.value)
    raise AssertionError("setup.py has no tuple COMPILED")


@pytest.fixture(scope="module")
def sources(checkout: Path) -> set[str]:
    """Return the paths below src of all that belongs to the package."""
    package = checkout / "src" / "portway"
    suffixes = (".py", ".pxd", "py.typed")
    return {
        str(path.relative_to(checkout / "src")) for path in package.rglob("*") if path.name.endswith(suffixes)
    }


@pytest.fixture(scope="module")
def in_sdist(sdist: Path) -> set[str]:
    """Return the files of the source distribution, without the folder that they are all in."""
    with tarfile.open(sdist) as archive:
        names = [member.name for member in archive.getmembers() if member.isfile()]
    assert {name.partition("/")[0] for name in names} == {sdist.name.removesuffix(".tar.gz")}
    return {name.partition("/")[2] for name in names}


@pytest.fixture
def in_wheel(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture
def metadata(wheel: Path) -> email.message.Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return email.message_from_bytes(archive.read(name))


def test_the_sdist_has_what_is_needed_to_build(in_sdist: set[str], sources: set[str]) -> None:
    needed = {"pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "CHANGELOG.md", "LICENSE"}
    needed |= {f"src/{name}" for name in sources}
    assert needed - in_sdist == set()


def test_the_sdist_has_nothing_else(in_sdist: set[str]) -> None:
    suffixes = {Path(name).suffix for name in in_sdist if name.startswith("src/portway/")}
    assert suffixes <= {".py", ".pxd", ".typed"}
    made = {name for name in in_sdist if name.startswith("src/portway.egg-info/")}
    top = {name for name in in_sdist - made if not name.startswith("src/portway/")}
    assert top == {
        "CHANGELOG.md",
        "LICENSE",
        "MANIFEST.in",
        "PKG-INFO",
        "README.md",
        "pyproject.toml",
        "setup.cfg",
        "setup.py",
    }


def test_the_wheel_has_the_package_and_nothing_else(
    in_wheel: set[str], sources: set[str], compiled_modules: tuple[str, ...], form: str
) -> None:
    package = {name for name in in_wheel if name.startswith("portway/")}
    extensions = set()
    if form == "compiled":
        suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
        extensions = {name.replace(".", "/") + suffix for name in compiled_modules}
    assert {name for name in package if not name.endswith(".pxd")} == extensions | {
        name for name in sources if not name.endswith(".pxd")
    }
    assert package - extensions <= sources
    others = {name.partition("/")[0] for name in in_wheel - package}
    assert len(others) == 1
    assert others.pop().endswith(".dist-info")


def test_the_wheel_says_where_it_fits(wheel: Path, form: str) -> None:
    _, _, *tags = wheel.name.removesuffix(".whl").split("-")
    if form == "uncompiled":
        assert tags == ["py3", "none", "any"]
    else:
        python = "cp{}{}".format(*sys.version_info)
        assert tags[:2] == [python, python]
        assert tags[2].startswith("linux_")


def test_the_wheel_depends_on_nothing(metadata: email.message.Message) -> None:
    required = metadata.get_all("Requires-Dist") or []
    assert [one for one in required if "extra ==" not in one.replace('"', "'")] == []
    assert metadata["Requires-Python"] == ">=3.11"
    assert {"all", "proctitle"} <= set(metadata.get_all("Provides-Extra") or [])
    assert metadata["License-Expression"] == "MIT"
    assert "# Portway" in str(metadata.get_payload())


def test_the_commands_say_which_build_is_installed(environment: Any, tmp_path: Path) -> None:
    python = "CPython {}.{}.{}".format(*sys.version_info)
    for program in (["portway"], ["python", "-m", "portway"]):
        printed = environment.run(*program, "--version", cwd=tmp_path)
        assert printed.endswith(f"({environment.form}, {python})\n")
    assert "reload" in environment.run("portwayctl", "--help", cwd=tmp_path)


def test_a_compiled_wheel_has_the_other_form_too(environment: Any, tmp_path: Path) -> None:
    printed = environment.run("portway", "--version", cwd=tmp_path, PORTWAY_NO_EXTENSIONS="1")
    assert "(uncompiled, " in printed


def test_an_application_is_served(environment: Any, start: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "tiny.py").write_text(APPLICATION)
    server = start(environment, "tiny", cwd=tmp_path)
    for method, body in (("GET", None), ("POST", b"a" * 100_000)):
        request = urllib.request.Request(f"http://127.0.0.1:{server.port}/", body, method=method)
        with urllib.request.urlopen(request, timeout=30) as response:
            assert response.status == 200
            assert response.headers["Server"] == "portway"
            told = json.load(response)
        assert told["method"] == method
        assert told["body"] == (body or b"").decode()
        assert Path(told["package"]).is_relative_to(environment.folder)
        assert not told["cython"]
        assert [path for path in told["path"] if Path(path or ".").is_relative_to(ROOT)] == []
    assert server.stop() == 0
