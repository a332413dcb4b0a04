"""Finding a Django project by reading: where manage.py is looked for, and what is understood of it."""

from pathlib import Path

import pytest

from portway.django.project import LEVELS_UP, DjangoProject, ProjectError, find_project

MANAGE = """\
#!/usr/bin/env python
import os
import sys


def main():
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "{name}.settings")
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
"""


def manage(folder: Path, text: str = MANAGE.format(name="mysite")) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manage.py").write_text(text, encoding="utf-8")
    return folder


def failure(folder: Path, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(ProjectError) as caught:
        find_project(str(folder), environ or {})
    return str(caught.value)


def test_in_the_folder_itself(tmp_path: Path) -> None:
    manage(tmp_path)
    assert find_project(str(tmp_path), {}) == DjangoProject(str(tmp_path), "mysite.settings")


def test_nothing_of_it_is_run(tmp_path: Path) -> None:
    manage(tmp_path, MANAGE.format(name="mysite") + "\nraise SystemExit('ran')\nopen('/nowhere/at/all')\n")
    assert find_project(str(tmp_path), {}) is not None
    assert [path.name for path in tmp_path.iterdir()] == ["manage.py"]


def test_in_a_folder_below(tmp_path: Path) -> None:
    manage(tmp_path / "site")
    (tmp_path / "docs").mkdir()
    assert find_project(str(tmp_path), {}) == DjangoProject(str(tmp_path / "site"), "mysite.settings")


def test_not_two_folders_below_and_not_in_hidden_ones(tmp_path: Path) -> None:
    manage(tmp_path / "a" / "b")
    manage(tmp_path / ".tox")
    (tmp_path / ".git").mkdir()
    assert find_project(str(tmp_path), {}) is None


def test_several_below_are_an_error(tmp_path: Path) -> None:
    manage(tmp_path / "shop")
    manage(tmp_path / "blog")
    told = failure(tmp_path)
    assert "blog, shop" in told
    assert "portway --chdir blog" in told


def test_the_folder_itself_comes_before_those_below(tmp_path: Path) -> None:
    manage(tmp_path)
    manage(tmp_path / "examples", MANAGE.format(name="other"))
    found = find_project(str(tmp_path), {})
    assert found is not None
    assert found.root == str(tmp_path)


def test_above(tmp_path: Path) -> None:
    manage(tmp_path)
    inside = tmp_path / "mysite" / "templates"
    inside.mkdir(parents=True)
    assert find_project(str(inside), {}) == DjangoProject(str(tmp_path), "mysite.settings")


def test_not_above_the_root_of_a_repository(tmp_path: Path) -> None:
    manage(tmp_path)
    (tmp_path / "checkout" / "src").mkdir(parents=True)
    (tmp_path / "checkout" / ".git").write_text("gitdir: elsewhere\n")
    assert find_project(str(tmp_path / "checkout" / "src"), {}) is None
    assert find_project(str(tmp_path / "checkout"), {}) is None


def test_not_ever_so_far_above(tmp_path: Path) -> None:
    manage(tmp_path)
    near = tmp_path.joinpath(*"abcdefgh"[:LEVELS_UP])
    far = near / "further"
    far.mkdir(parents=True)
    assert find_project(str(near), {}) is not None
    assert find_project(str(far), {}) is None


def test_a_folder_named_manage_py_is_none(tmp_path: Path) -> None:
    (tmp_path / "manage.py").mkdir()
    (tmp_path / ".git").mkdir()
    assert find_project(str(tmp_path), {}) is None


@pytest.mark.parametrize(
    "text",
    [
        "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'a.b')\n",
        "from os import environ\nenviron.setdefault('DJANGO_SETTINGS_MODULE', 'a.b')\n",
        "import os\nNAME = 'a.b'\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', NAME)\n",
        "import os\nKEY = 'DJANGO_SETTINGS_MODULE'\nos.environ.setdefault(KEY, 'a.b')\n",
        "import os\nos.environ['DJANGO_SETTINGS_MODULE'] = 'a.b'\n",
        "import os\nif os.environ:\n    os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'a.b')\n",
        "import os\nos.environ['A'] = 'x.y'\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'a.b')\n",
        "\ufeffimport os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'a.b')\n",
    ],
)
def test_forms_of_naming_the_settings(tmp_path: Path, text: str) -> None:
    manage(tmp_path, text)
    assert find_project(str(tmp_path), {}) == DjangoProject(str(tmp_path), "a.b")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', f'{__name__}.settings')\n",
        "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', get())\n",
        "from flask_script import Manager\nmanager = Manager()\n",
        "d = {}\nd.setdefault('DJANGO_SETTINGS_MODULE', 'a.b')\n",
    ],
)
def test_settings_that_are_not_named_readably(tmp_path: Path, text: str) -> None:
    manage(tmp_path, text)
    assert "DJANGO_SETTINGS_MODULE=mysite.settings portway" in failure(tmp_path)
    assert find_project(str(tmp_path), {"DJANGO_SETTINGS_MODULE": "x.y"}) == DjangoProject(
        str(tmp_path), "x.y"
    )


def test_several_settings_are_an_error_that_names_them(tmp_path: Path) -> None:
    manage(
        tmp_path,
        "import os, sys\n"
        "if 'test' in sys.argv:\n    os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'a.testing')\n"
        "else:\n    os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'a.live')\n",
    )
    told = failure(tmp_path)
    assert "a.testing, a.live" in told
    found = find_project(str(tmp_path), {"DJANGO_SETTINGS_MODULE": "a.live"})
    assert found == DjangoProject(str(tmp_path), "a.live")


def test_the_environment_wins_over_a_default_and_not_over_an_assignment(tmp_path: Path) -> None:
    environ = {"DJANGO_SETTINGS_MODULE": "x.y"}
    manage(tmp_path)
    assert find_project(str(tmp_path), environ) == DjangoProject(str(tmp_path), "x.y")
    assert find_project(str(tmp_path), {"DJANGO_SETTINGS_MODULE": ""}) == DjangoProject(
        str(tmp_path), "mysite.settings"
    )
    manage(tmp_path, "import os\nos.environ['DJANGO_SETTINGS_MODULE'] = 'a.b'\n")
    assert find_project(str(tmp_path), environ) == DjangoProject(str(tmp_path), "a.b")


def test_a_file_that_is_no_python(tmp_path: Path) -> None:
    manage(tmp_path, "import os\ndef:\n")
    assert "manage.py:2 is not valid Python" in failure(tmp_path)
    (tmp_path / "manage.py").write_bytes(b"\0\0")
    assert "is not valid Python" in failure(tmp_path)


def test_no_project_anywhere(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    assert find_project(str(tmp_path), {}) is None
    assert find_project(str(tmp_path / "gone"), {}) is None
