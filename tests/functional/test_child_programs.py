"""Programs that an application starts: they find signals and descriptors as any program does."""

import json
import signal

import pytest

pytestmark = pytest.mark.functional

STARTS = """
import json
import subprocess

ABOUT = "grep -E '^Sig(Ign|Blk)' /proc/self/status; ls /proc/self/fd"


def about():
    # Everything that is not closed by exec is inherited.
    lines = subprocess.run(["sh", "-c", ABOUT], stdout=subprocess.PIPE, text=True, close_fds=False).stdout.split("\\n")
    signals = dict(line.split() for line in lines if ":" in line)
    return {**signals, "descriptors": [line for line in lines if line.isdigit()]}


def end_by(number):
    child = subprocess.Popen(["sleep", "60"])
    child.send_signal(number)
    return -child.wait()


AT_IMPORT = about()


def application(environ, start_response):
    number = environ["PATH_INFO"][1:]
    found = end_by(int(number)) if number else [AT_IMPORT, about()]
    body = json.dumps(found).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


@pytest.mark.parametrize("preload", ["--preload", "--no-preload"])
def test_no_signal_is_ignored_and_no_descriptor_of_the_server_is_there(serve, project, preload):
    server = serve("app", preload, "--workers", 1, cwd=project(STARTS))
    for about in json.loads(server.get().text):
        # 32 and above are not for programs; who has started the tests may ignore some.
        assert int(about["SigIgn:"], 16) & 0x7FFFFFFF == 0
        assert int(about["SigBlk:"], 16) == 0
        # The standard streams, and the folder that ls reads.
        assert about["descriptors"] == ["0", "1", "2", "3"]


@pytest.mark.parametrize(
    "number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM]
)
def test_signals_end_a_child_program(serve, project, number):
    server = serve("app", "--workers", 1, cwd=project(STARTS))
    assert json.loads(server.get(f"/{number.value}").text) == number
