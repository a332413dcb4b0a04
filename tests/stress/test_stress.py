"""The short form of the stress test; `make stress` is the long one."""

import subprocess
import sys
from pathlib import Path

from portway.worker.loop import is_compiled

RUN = Path(__file__).with_name("run.py")


def test_every_answer_belongs_to_its_request_and_nothing_is_lost_doubled_or_left_behind():
    build = "compiled" if is_compiled() else "uncompiled"
    command = [sys.executable, str(RUN), "--requests", "9000", "--builds", build, "--minutes", "1.5"]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=110)
    print(result.stdout)
    assert result.returncode == 0
