"""The short form of the endurance run; `make endurance` is the long one."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.functional

RUN = Path(__file__).with_name("run.py")


@pytest.mark.parametrize("preload", ["yes", "no"])
def test_no_request_fails_while_everything_changes(preload):
    events = ["--reloads", "2", "--broken", "1", "--recycles", "1", "--upgrades", "1"]
    command = [
        sys.executable,
        str(RUN),
        "--requests",
        "3000",
        "--clients",
        "16",
        "--preload",
        preload,
        *events,
    ]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=110)
    print(result.stdout)
    assert result.returncode == 0
