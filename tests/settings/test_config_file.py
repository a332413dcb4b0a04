"""Configuration files: how they are run, what they may use, and what is said when they fail."""

import sys
from pathlib import Path

import pytest

from portway.settings.config_file import default_file, run_config
from portway.settings.errors import SettingsError


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def failure(location: str, folder: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        run_config(location, str(folder))
    assert caught.value.exit_code == 1
    return str(caught.value)


def test_a_file_is_run_as_a_module_of_its_own(tmp_path: Path) -> None:
    write(tmp_path / "beside.py", "number = 7\n")
    path = write(
        tmp_path / "conf.py",
        "import sys\nfrom beside import number\nname, file = __name__, __file__\n"
        "def hook(server): return number\nknown = sys.modules[__name__].__dict__ is globals()\n",
    )
    before = list(sys.path)
    try:
        place, names = run_config("conf.py", str(tmp_path))
    finally:
        sys.modules.pop("beside", None)
    assert place == str(path)
    assert (names["name"], names["file"], names["number"], names["known"]) == (
        "__config__",
        str(path),
        7,
        True,
    )
    assert names["hook"](None) == 7
    assert sys.path == before


def test_nothing_is_written_beside_it(tmp_path: Path) -> None:
    write(tmp_path / "conf.py", "workers = 3\n")
    run_config("conf.py", str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["conf.py"]


def test_a_file_may_have_any_name_and_any_place(tmp_path: Path) -> None:
    path = write(tmp_path / "server.cfg", "workers = 3\n")
    assert run_config(str(path), "/")[1]["workers"] == 3
    assert run_config(f"file:{path}", "/")[1]["workers"] == 3


def test_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    path = write(tmp_path / "config_as_module.py", "workers = 3\n")
    try:
        assert run_config("python:config_as_module", str(tmp_path))[1]["workers"] == 3
        write(path, "workers = 44\n")
        assert run_config("python:config_as_module", str(tmp_path))[1]["workers"] == 44
    finally:
        sys.modules.pop("config_as_module", None)
    assert "No module named 'no_such_module_here'" in failure("python:no_such_module_here", tmp_path)


def test_a_file_that_is_missing_or_unreadable(tmp_path: Path) -> None:
    assert failure("gone.py", tmp_path) == (
        f"The configuration file {tmp_path}/gone.py cannot be read: No such file or directory."
    )
    assert "Is a directory" in failure(".", tmp_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "import os\n\nos.environ['PORTWAY_NO_SUCH_VARIABLE']\n",
            ":3: KeyError: 'PORTWAY_NO_SUCH_VARIABLE'.",
        ),
        ("workers = = 3\n", ":1: SyntaxError: invalid syntax."),
        ("x = 1\nraise SystemExit('enough')\n", ":2: SystemExit: enough."),
        ("import json\njson.loads('')\n", ":2: json.decoder.JSONDecodeError: "),
        ("def f():\n    raise ValueError('line one\\nline two')\nf()\n", ":2: line two."),
        ("\0", ": "),
    ],
)
def test_a_file_that_fails_is_told_with_its_line(tmp_path: Path, text: str, expected: str) -> None:
    path = write(tmp_path / "conf.py", text)
    told = failure("conf.py", tmp_path)
    assert told.startswith(f"The configuration file cannot be used: {path}")
    assert expected in told
    assert "\n" not in told


def test_ctrl_c_while_a_file_runs_is_not_its_mistake(tmp_path: Path) -> None:
    write(tmp_path / "conf.py", "raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        run_config("conf.py", str(tmp_path))


def test_the_default_file(tmp_path: Path) -> None:
    assert default_file(str(tmp_path)) is None
    write(tmp_path / "gunicorn.conf.py", "")
    assert default_file(str(tmp_path)) == str(tmp_path / "gunicorn.conf.py")
    write(tmp_path / "portway.conf.py", "")
    assert default_file(str(tmp_path)) == str(tmp_path / "portway.conf.py")
