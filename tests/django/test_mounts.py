"""What a Django project's settings ask to be served, asked of the real Django in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ASK = """
import json, sys
from portway.django import mounts
given = json.loads(sys.argv[1])
assert not mounts.is_configured()
from django.conf import settings
assert not mounts.is_configured()
settings.configure(**given["settings"])
assert mounts.is_configured()
found = mounts.project_mounts(given["script_name"], given["root"])
print(json.dumps([found.mounts, found.skipped, [*found.missing.values(), *found.warnings]]))
"""


class Found:
    def __init__(self, mounts: list[list[str]], skipped: list[str], warnings: list[str]) -> None:
        self.mounts = [tuple(mount) for mount in mounts]
        self.skipped = skipped
        self.warnings = warnings


def run(code: str, *arguments: str, cwd: Path | None = None, **environ: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def ask(script_name: str = "", root: str = "", **settings: Any) -> Found:
    given = json.dumps({"settings": settings, "script_name": script_name, "root": root}, default=str)
    return Found(*json.loads(run(ASK, given)))


@pytest.fixture
def static(tmp_path: Path) -> Path:
    folder = tmp_path / "static"
    folder.mkdir()
    (folder / "site.css").write_text("a{}")
    return folder


@pytest.fixture
def media(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    folder.mkdir()
    return folder


def test_both(static: Path, media: Path) -> None:
    found = ask(STATIC_URL="static/", STATIC_ROOT=static, MEDIA_URL="/media/", MEDIA_ROOT=str(media))
    assert found.mounts == [("/static/", str(static), "static"), ("/media/", str(media), "media")]
    assert found.skipped == []
    assert found.warnings == []


def test_the_more_specific_path_comes_first(static: Path, media: Path) -> None:
    found = ask(STATIC_URL="/a/", STATIC_ROOT=static, MEDIA_URL="/a/media/", MEDIA_ROOT=media)
    assert [url for url, _, _ in found.mounts] == ["/a/media/", "/a/"]


def test_neither_is_set() -> None:
    found = ask()
    assert (found.mounts, found.skipped, found.warnings) == ([], [], [])


def test_static_files_that_were_not_collected(tmp_path: Path) -> None:
    (told,) = ask(STATIC_URL="static/").skipped
    assert "STATIC_ROOT is not set" in told
    assert "collectstatic" in told
    (told,) = ask(STATIC_URL="static/", STATIC_ROOT=str(tmp_path / "gone")).skipped
    assert f"STATIC_ROOT {tmp_path}/gone does not exist. Run `manage.py collectstatic`" in told
    (told,) = ask(STATIC_URL="static/", STATIC_ROOT=str(tmp_path)).skipped
    assert f"STATIC_ROOT {tmp_path} is empty. Run `manage.py collectstatic`" in told


@pytest.mark.parametrize("url", ["https://cdn.example.org/s/", "//cdn.example.org/s/"])
def test_files_on_another_host(static: Path, media: Path, url: str) -> None:
    found = ask(STATIC_URL=url, STATIC_ROOT=static, MEDIA_URL=url, MEDIA_ROOT=media)
    assert found.mounts == []
    assert all("is on another host, cdn.example.org" in told for told in found.skipped)
    assert [told.split()[0] for told in found.skipped] == ["Static", "Media"]


@pytest.mark.parametrize("url", ["/", "/a/../b/", "/s/?v=/", "/a//b/", "/caf\xe9/", "/a b/"])
def test_urls_that_are_no_path_of_their_own(static: Path, url: str) -> None:
    found = ask(STATIC_URL=url, STATIC_ROOT=static)
    assert found.mounts == []
    assert f"STATIC_URL {url!r} is no" in found.skipped[0]


def test_media_files_without_a_url_would_hide_the_site(media: Path) -> None:
    found = ask(MEDIA_ROOT=media)
    assert found.mounts == []
    assert "MEDIA_URL '/' is no path of its own" in found.skipped[0]


def test_media_before_the_first_upload(tmp_path: Path) -> None:
    found = ask(MEDIA_URL="media/", MEDIA_ROOT=tmp_path / "gone")
    assert found.mounts == [("/media/", str(tmp_path / "gone"), "media")]
    assert "does not exist yet" in found.warnings[0]


def test_media_that_would_show_the_code(tmp_path: Path) -> None:
    (tmp_path / "manage.py").write_text("")
    found = ask(root=str(tmp_path), MEDIA_URL="media/", MEDIA_ROOT=tmp_path)
    assert found.mounts == []
    assert f"also holds code ({tmp_path}/manage.py)" in found.skipped[0]


def test_media_that_would_show_the_settings(tmp_path: Path) -> None:
    (tmp_path / "mysite").mkdir()
    (tmp_path / "mysite" / "__init__.py").write_text("")
    (tmp_path / "mysite" / "settings.py").write_text(
        "from pathlib import Path\nSECRET_KEY = 'x'\nMEDIA_URL = '/m/'\n"
        "MEDIA_ROOT = Path(__file__).parent.parent\n"
    )
    code = (
        "from portway.django import mounts\nfrom django.conf import settings\nsettings.SECRET_KEY\n"
        "found = mounts.project_mounts()\nassert found.mounts == []\nprint(found.skipped[0])"
    )
    told = run(code, cwd=tmp_path, DJANGO_SETTINGS_MODULE="mysite.settings", PYTHONPATH=str(tmp_path))
    assert "also holds code" in told


def test_both_under_one_url(static: Path, media: Path) -> None:
    found = ask(STATIC_URL="/f/", STATIC_ROOT=static, MEDIA_URL="/f/", MEDIA_ROOT=media)
    assert found.mounts == [("/f/", str(static), "static")]
    assert "are both /f/" in found.skipped[0]


def test_relative_urls_are_below_the_script_name(static: Path, media: Path) -> None:
    found = ask("/app", STATIC_URL="static/", STATIC_ROOT=static, MEDIA_URL="/media/", MEDIA_ROOT=media)
    assert {url for url, _, _ in found.mounts} == {"/app/static/", "/media/"}


def test_debug_is_warned_about() -> None:
    (told,) = ask(DEBUG=True).warnings
    assert told.startswith("DEBUG is True")


APPLICATION = """
import sys
from portway.django.mounts import wsgi_application
print(wsgi_application("mysite.settings"))
"""


@pytest.mark.parametrize(
    ("setting", "module", "spec"),
    [
        ("WSGI_APPLICATION = 'mysite.wsgi.application'", True, "mysite.wsgi:application"),
        ("WSGI_APPLICATION = 'other.place.app'", False, "other.place:app"),
        ("", True, "mysite.wsgi:application"),
        ("", False, "django.core.wsgi:get_wsgi_application()"),
        ("WSGI_APPLICATION = None", False, "django.core.wsgi:get_wsgi_application()"),
    ],
)
def test_the_application_of_a_project(tmp_path: Path, setting: str, module: bool, spec: str) -> None:
    package = tmp_path / "mysite"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "settings.py").write_text(f"SECRET_KEY = 'x'\n{setting}\n")
    if module:
        (package / "wsgi.py").write_text("raise RuntimeError('it is not imported to be found')\n")
    found = run(APPLICATION, DJANGO_SETTINGS_MODULE="mysite.settings", PYTHONPATH=str(tmp_path))
    assert found.strip() == spec


def test_settings_without_a_package(tmp_path: Path) -> None:
    (tmp_path / "settings.py").write_text("SECRET_KEY = 'x'\n")
    code = "from portway.django.mounts import wsgi_application\nprint(wsgi_application('settings'))"
    found = run(code, DJANGO_SETTINGS_MODULE="settings", PYTHONPATH=str(tmp_path))
    assert found.strip() == "django.core.wsgi:get_wsgi_application()"


def test_without_django_nothing_is_configured_and_nothing_imported() -> None:
    code = (
        "import sys\nfrom portway.django import mounts, project\nassert not mounts.is_configured()\n"
        "assert not [name for name in sys.modules if name.partition('.')[0] == 'django']"
    )
    run(code)
