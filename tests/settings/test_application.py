"""Loading what is to be served: each case in a process of its own, since it changes the process."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

LOAD = """
import json, os, sys
from portway.settings.application import load_target, prepare_process
from portway.settings.load import load
from portway.settings.target import choose_target
from portway.wsgi.loader import ApplicationLoadError
loaded = load(sys.argv[1:], os.environ)
target = choose_target(loaded, os.environ)
assert not sys.modules.get("django")
prepare_process(loaded.settings, target)
try:
    found = load_target(loaded.settings, target)
except ApplicationLoadError as error:
    cause = type(error.__cause__).__name__ if error.__cause__ else None
    print(json.dumps({"error": str(error), "cause": cause}))
else:
    print(json.dumps({
        "spec": found.spec, "mounts": found.mounts, "notes": found.notes, "warnings": found.warnings,
        "django": found.django, "cwd": os.getcwd(), "path": sys.path[:3], "name": found.application.__name__
        if hasattr(found.application, "__name__") else type(found.application).__name__,
        "environ": {name: os.environ.get(name) for name in ("A", "SERVER_SOFTWARE",
        "DJANGO_SETTINGS_MODULE")},
    }))
"""

PROJECT = {
    "manage.py": "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'mysite.settings')\n",
    "mysite/__init__.py": "",
    "mysite/wsgi.py": (
        "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n"
    ),
    "mysite/settings.py": (
        "from pathlib import Path\nBASE = Path(__file__).parent.parent\nSECRET_KEY = 'x'\n"
        "WSGI_APPLICATION = 'mysite.wsgi.application'\n"
        "STATIC_URL = 'static/'\nSTATIC_ROOT = BASE / 'collected'\n"
        "MEDIA_URL = 'media/'\nMEDIA_ROOT = BASE / 'media'\n"
    ),
    "collected/site.css": "a{}",
    "media/x.txt": "x",
}


WITHOUT_DJANGO = """
import sys
class Hidden:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "django":
            raise ModuleNotFoundError("No module named 'django'", name="django")
sys.meta_path.insert(0, Hidden)
"""


def put(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.fixture
def loaded(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Return a function that loads in the test's folder and returns what came of it."""

    def load(*arguments: str, cwd: str = ".", **environ: str) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", LOAD, *arguments],
            cwd=tmp_path / cwd,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environ},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return load


def test_a_django_project(loaded: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    put(tmp_path / "site", PROJECT)
    found = loaded("--env", "A=1")
    assert found["spec"] == "mysite.wsgi:application"
    assert found["name"] == "WSGIHandler"
    assert found["django"]
    assert found["mounts"] == [
        ["/static/", str(tmp_path / "site/collected"), "static"],
        ["/media/", str(tmp_path / "site/media"), "media"],
    ]
    assert (found["notes"], found["warnings"]) == ([], [])
    assert found["cwd"] == str(tmp_path)
    assert found["path"][:2] == [str(tmp_path / "site"), str(tmp_path)]
    assert found["environ"]["A"] == "1"
    assert found["environ"]["DJANGO_SETTINGS_MODULE"] == "mysite.settings"
    assert found["environ"]["SERVER_SOFTWARE"].startswith("portway/")


def test_a_named_application_of_a_project_has_its_files_too(
    loaded: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    put(tmp_path / "site", PROJECT)
    environ = {"DJANGO_SETTINGS_MODULE": "mysite.settings"}
    found = loaded("--chdir", "site", "mysite.wsgi:application", **environ)
    assert [url for url, _, _ in found["mounts"]] == ["/static/", "/media/"]
    assert found["cwd"] == str(tmp_path / "site")


@pytest.mark.parametrize(
    ("arguments", "warned"), [([], True), (["--no-static"], False), (["--media", "/media/=."], False)]
)
def test_a_media_folder_that_is_not_there_matters_where_it_is_served(
    loaded: Callable[..., dict[str, Any]], tmp_path: Path, arguments: list[str], warned: bool
) -> None:
    put(tmp_path, PROJECT)
    shutil.rmtree(tmp_path / "media")
    warnings = loaded(*arguments)["warnings"]
    assert [("does not exist yet" in warning) for warning in warnings] == [True] * warned


def test_mounts_of_the_settings_come_first(loaded: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    put(tmp_path, {**PROJECT, "other/x.css": "", "docs/x.html": ""})
    found = loaded("--static", "/static/=other", "--static", "/docs/=docs")
    assert found["mounts"] == [
        ["/static/", str(tmp_path / "other"), "static"],
        ["/docs/", str(tmp_path / "docs"), "static"],
        ["/media/", str(tmp_path / "media"), "media"],
    ]
    found = loaded("--no-static", "--media", "/docs/=docs")
    assert found["mounts"] == [["/docs/", str(tmp_path / "docs"), "media"]]
    assert found["notes"] == []


def test_files_that_are_not_served_are_told(loaded: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    put(tmp_path, PROJECT)
    (tmp_path / "collected" / "site.css").unlink()
    found = loaded()
    assert [url for url, _, _ in found["mounts"]] == ["/media/"]
    assert "collectstatic" in found["notes"][0]


def test_the_script_name_counts(loaded: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    put(tmp_path, PROJECT)
    assert [url for url, _, _ in loaded("--script-name", "/app")["mounts"]] == ["/app/static/", "/app/media/"]


def test_an_application_without_django(loaded: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    put(tmp_path, {"lib/app.py": "def application(environ, start_response): ...\n"})
    found = loaded("app", "--pythonpath", "lib")
    assert (found["spec"], found["name"], found["django"], found["mounts"]) == (
        "app",
        "application",
        False,
        [],
    )
    assert found["path"][:2] == [str(tmp_path / "lib"), str(tmp_path)]


@pytest.mark.parametrize(
    ("settings", "told", "cause"),
    [
        ("import os\nos.environ['NO_SUCH_VARIABLE']\n", "KeyError: 'NO_SUCH_VARIABLE'", "KeyError"),
        ("import no_such_module\n", "No module named 'no_such_module'", "ModuleNotFoundError"),
        ("raise SystemExit('enough')\n", "SystemExit: enough", "SystemExit"),
        ("TIME_ZONE = 'Nowhere/Land'\n", "Nowhere/Land", "ValueError"),
    ],
)
def test_settings_that_cannot_be_used(
    loaded: Callable[..., dict[str, Any]], tmp_path: Path, settings: str, told: str, cause: str
) -> None:
    put(tmp_path, {**PROJECT, "mysite/settings.py": settings})
    found = loaded()
    assert found["error"].startswith(
        f"The settings mysite.settings of the Django project in {tmp_path} cannot be"
    )
    assert told in found["error"]
    assert found["cause"] == cause


def test_settings_that_are_not_there(loaded: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    put(tmp_path, PROJECT)
    found = loaded(DJANGO_SETTINGS_MODULE="mysite.productoin")
    assert "mysite.productoin" in found["error"]


def test_a_project_without_django_installed(loaded: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    put(tmp_path, {**PROJECT, "hide/sitecustomize.py": WITHOUT_DJANGO})
    found = loaded(PYTHONPATH=str(tmp_path / "hide"))
    assert found["error"].startswith(f"The project in {tmp_path} needs Django, which is not installed for ")


def test_an_application_that_raises_on_import(loaded: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    put(tmp_path, {"app.py": "1 / 0\n"})
    found = loaded("app:app")
    assert found["cause"] == "ZeroDivisionError"
    assert "'app'" in found["error"]
