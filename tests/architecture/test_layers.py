"""The layers and the other import contracts of pyproject.toml."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def contracts(root: Path) -> list[dict]:
    with open(root / "pyproject.toml", "rb") as file:
        return tomllib.load(file)["tool"]["importlinter"]["contracts"]


def test_the_contracts_are_kept(root: Path, contracts: list[dict]) -> None:
    command = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    assert command, "import-linter is not installed: it is part of the extra `test`"
    done = subprocess.run(
        [command, "--no-cache"], cwd=root, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(contracts)} kept, 0 broken" in done.stdout


def test_every_part_of_the_package_has_a_layer(contracts: list[dict], modules: dict[str, Path]) -> None:
    layered = {
        name.strip()
        for contract in contracts
        if contract["type"] == "layers"
        for layer in contract["layers"]
        for name in layer.split("|")
    }
    # The stand-in for Cython is a leaf, `python -m portway` is the command line by another name.
    parts = {".".join(name.split(".")[:2]) for name in modules} - {
        "portway",
        "portway._cython",
        "portway.__main__",
    }
    assert parts == layered
