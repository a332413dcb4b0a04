"""What is chosen to be served."""

from collections.abc import Callable
from pathlib import Path

import pytest

from portway.django.project import DjangoProject
from portway.settings.errors import SettingsError
from portway.settings.load import load
from portway.settings.sizing import Machine
from portway.settings.target import Target, choose_target

MANAGE = "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'mysite.settings')\n"


@pytest.fixture
def chosen(tmp_path: Path) -> Callable[..., Target]:
    """Return a function that chooses for a command that is run in an empty folder of its own."""

    def choose(*arguments: str, **environ: str) -> Target:
        return choose_target(load(arguments, environ, str(tmp_path), Machine(1.0, "")), environ)

    return choose


def test_what_the_command_line_names_comes_first(chosen: Callable[..., Target], tmp_path: Path) -> None:
    (tmp_path / "manage.py").write_text(MANAGE)
    (tmp_path / "portway.conf.py").write_text("wsgi_app = 'file:app'\n")
    assert chosen("line:app") == Target(application="line:app")
    assert chosen() == Target(application="file:app")
    (tmp_path / "portway.conf.py").unlink()
    assert chosen() == Target(django=DjangoProject(str(tmp_path), "mysite.settings"))


def test_the_project_is_looked_for_in_chdir(chosen: Callable[..., Target], tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "manage.py").write_text(MANAGE)
    assert chosen("--chdir", "a/b") == Target(
        django=DjangoProject(str(tmp_path / "a" / "b"), "mysite.settings")
    )


def test_variables_for_the_application_count(chosen: Callable[..., Target], tmp_path: Path) -> None:
    (tmp_path / "manage.py").write_text(MANAGE)
    target = chosen("--env", "DJANGO_SETTINGS_MODULE=mysite.production")
    assert target.django == DjangoProject(str(tmp_path), "mysite.production")
    assert chosen(DJANGO_SETTINGS_MODULE="x.y").django == DjangoProject(str(tmp_path), "x.y")


def test_nothing_to_serve_says_what_to_type(chosen: Callable[..., Target], tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        chosen()
    assert caught.value.exit_code == 2
    assert f"{tmp_path} is not in a Django project" in str(caught.value)
    assert "portway mysite.wsgi:application" in str(caught.value)


def test_a_project_that_cannot_be_told_is_an_error(chosen: Callable[..., Target], tmp_path: Path) -> None:
    (tmp_path / "manage.py").write_text("import os\n")
    with pytest.raises(SettingsError) as caught:
        chosen()
    assert "DJANGO_SETTINGS_MODULE" in str(caught.value)


def test_how_a_target_is_called() -> None:
    assert str(Target(application="mysite.wsgi:application")) == "mysite.wsgi:application"
    assert str(Target(django=DjangoProject("/srv/site", "site.settings"))) == (
        "the Django project in /srv/site (site.settings)"
    )
