"""A first boot that fails: what the operator reads, and the exit code; real processes, imitated workers."""

import socket


def test_an_application_that_raises_is_reported_and_exits_with_4(broken_source, supervise):
    server = supervise(source=broken_source, ready=False)
    assert server.wait() == 4
    log = server.log
    assert "The server cannot start: Importing 'app' raised JSONDecodeError: " in log
    assert 'app.py", line 5, in read' in log
    assert 'return json.loads("{nonsense")' in log
    assert "  ... 2 frames in the standard library" in log
    assert "importlib" not in log
    assert "portway/supervisor" not in log


def test_a_module_that_does_not_exist_exits_with_4(supervise):
    server = supervise(application="nowhere:app", ready=False)
    assert server.wait() == 4
    assert "The server cannot start: Failed to find the module 'nowhere'." in server.log
    assert "Traceback" not in server.log


def test_a_package_that_is_missing_comes_with_a_hint(supervise):
    server = supervise(source="import no_such_package_at_all", ready=False)
    assert server.wait() == 4
    assert "the module 'no_such_package_at_all' that it needs was not found" in server.log
    assert "Hint: if 'no_such_package_at_all' is a package, install it" in server.log
    assert 'app.py", line 1, in <module>' in server.log


def test_a_missing_variable_comes_with_a_hint(supervise):
    server = supervise(source="import os\nos.environ['SITE_SECRET']", ready=False)
    assert server.wait() == 4
    assert "Hint: set SITE_SECRET in the environment, or with --env SITE_SECRET=..." in server.log


def test_a_syntax_error_shows_the_line(supervise):
    server = supervise(source="value = 1\ndef broken(:\n", ready=False)
    assert server.wait() == 4
    assert 'app.py", line 2' in server.log
    assert "def broken(:" in server.log


def test_without_preload_a_broken_application_exits_with_4_as_well(broken_source, supervise):
    server = supervise({"preload_app": False}, source=broken_source, ready=False)
    assert server.wait() == 4
    assert 'return json.loads("{nonsense")' in server.log
    assert "portway/supervisor" not in server.log


def test_an_application_that_exits_is_no_clean_end(supervise):
    server = supervise(source="import sys\nsys.exit(0)", ready=False)
    assert server.wait() == 4
    assert "must not call sys.exit()" in server.log


def test_a_worker_that_raises_is_reported_and_exits_with_3(supervise):
    server = supervise(FAKE_WORKER="raise", ready=False)
    assert server.wait() == 3
    assert "The server cannot start: RuntimeError: this worker cannot boot" in server.log
    assert "in run_worker" in server.log


def test_a_worker_that_just_ends_exits_with_3(supervise):
    server = supervise(FAKE_WORKER="exit", ready=False)
    assert server.wait() == 3
    assert "exited with 7 before it was ready." in server.log


def test_an_application_that_dies_in_c_code_is_reported(supervise):
    server = supervise(source="import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", ready=False)
    assert server.wait() == 3
    assert "The server cannot start: The mold was killed by SIGKILL." in server.log


def test_an_address_in_use_exits_with_1(supervise):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        server = supervise({"bind": [f"127.0.0.1:{port}"]}, ready=False)
        assert server.wait() == 1
    assert f"Cannot listen on 127.0.0.1:{port}: the address is in use." in server.log


def test_a_log_that_cannot_be_opened_exits_with_1(supervise, tmp_path):
    server = supervise({"errorlog": str(tmp_path)}, ready=False)
    assert server.wait() == 1
    assert f"the log {tmp_path} cannot be opened: Is a directory" in server.log
