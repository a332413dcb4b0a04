"""The log files: their lines, rotation, full disks, and applications that configure logging."""

import fcntl
import logging
import logging.config
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from portway.observe.log import (
    ACCESS_LOGGER,
    ERROR_LOGGER,
    LineHandler,
    LogFile,
    Logs,
    configure_logging,
    escape_control,
)

LINE = re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}\] \[(\d+)\] \[([A-Z]+)\] (.*)")
log = logging.getLogger(ERROR_LOGGER)


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Give the loggers back as they were."""
    before = [
        (logger, logger.__class__, logger.handlers[:], logger.level, logger.propagate)
        for logger in map(logging.getLogger, (ERROR_LOGGER, ACCESS_LOGGER))
    ]
    yield
    for logger, kind, handlers, level, propagate in before:
        for handler in logger.handlers[:]:
            logger.removeHandler(handler)
            file = getattr(handler, "file", None)
            if file is not None and file.path is not None:
                os.close(file.fd)
        logger.__class__ = kind
        logger.handlers[:] = handlers
        logger.setLevel(level)
        logger.propagate = propagate


@pytest.fixture
def error_log(tmp_path: Path) -> Callable[[], list[str]]:
    """Configure an error log in a file; return what reads its lines."""
    configure_logging(str(tmp_path / "error.log"), "info")
    return lambda: (tmp_path / "error.log").read_text(encoding="utf-8").splitlines()


def test_a_line_has_gunicorns_form(error_log: Callable[[], list[str]]) -> None:
    log.info("Listening on %s", "http://127.0.0.1:8000")
    (line,) = error_log()
    match = LINE.fullmatch(line)
    assert match is not None
    assert match.groups() == (str(os.getpid()), "INFO", "Listening on http://127.0.0.1:8000")


def test_the_level(tmp_path: Path) -> None:
    configure_logging(str(tmp_path / "error.log"), "warning")
    log.info("not this")
    log.warning("this")
    assert "not this" not in (tmp_path / "error.log").read_text()
    assert "[WARNING] this" in (tmp_path / "error.log").read_text()


def test_a_message_cannot_forge_a_line(error_log: Callable[[], list[str]]) -> None:
    log.warning("path %s", "/x\n[2026-01-01 10:00:00 +0000] [1] [INFO] all is well\r\x1b[2J\x85\u2028\ttab")
    (line,) = error_log()
    assert line.endswith(
        r"/x\n[2026-01-01 10:00:00 +0000] [1] [INFO] all is well\r\x1b[2J\x85\u2028" + "\ttab"
    )


def test_a_traceback_stands_below_its_message(error_log: Callable[[], list[str]]) -> None:
    try:
        raise ValueError("one\n[2026-01-01 10:00:00 +0000] [1] [INFO] forged\x1b[2J")
    except ValueError:
        log.exception("Failed")
    first, *rest = error_log()
    assert first.endswith("[ERROR] Failed")
    assert rest[0] == "  Traceback (most recent call last):"
    assert all(line.startswith("  ") for line in rest)
    assert rest[-1].endswith(r"forged\x1b[2J")


def test_a_stack_stands_below_its_message(error_log: Callable[[], list[str]]) -> None:
    log.info("Here", stack_info=True)
    first, *rest = error_log()
    assert first.endswith("Here")
    assert rest
    assert all(line.startswith("  ") for line in rest)


def test_a_report_of_several_lines(error_log: Callable[[], list[str]]) -> None:
    log.error("It did not start:\nbecause\x07\n\nof this", extra={"lines": True})
    first, *rest = error_log()
    assert first.endswith("[ERROR] It did not start:")
    assert rest == [r"  because\x07", "", "  of this"]


def handle(message: str, *arguments: object) -> None:
    """Give a record to our handler alone: what it gets here, pytest's own handler or report cannot take."""
    handler = next(handler for handler in log.handlers if isinstance(handler, LineHandler))
    handler.handle(log.makeRecord(log.name, logging.INFO, "worker.py", 7, message, arguments, None))


def test_a_wrong_call_of_the_logger_is_a_line_and_no_error(error_log: Callable[[], list[str]]) -> None:
    handle("%d workers", "ma\nny")
    (line,) = error_log()
    assert line.startswith("A message from worker.py:7 cannot be formatted: TypeError: ")


def test_characters_that_utf_8_does_not_have(error_log: Callable[[], list[str]]) -> None:
    handle("\udc80 caf\xe9")
    (line,) = error_log()
    assert line.endswith("\\udc80 caf\xe9")


def test_files_are_reopened_after_rotation(tmp_path: Path) -> None:
    logs = configure_logging(str(tmp_path / "error.log"), "info", str(tmp_path / "access.log"))
    assert logs.access is not None
    log.info("before")
    logs.access.write("before\n")
    for name in ("error.log", "access.log"):
        (tmp_path / name).rename(tmp_path / f"{name}.1")
    log.info("between")
    logs.reopen()
    log.info("after")
    logs.access.write("after\n")
    assert [line.split("] ")[-1] for line in (tmp_path / "error.log.1").read_text().splitlines()] == [
        "before",
        "between",
    ]
    assert (tmp_path / "error.log").read_text().endswith("after\n")
    assert (tmp_path / "access.log.1").read_text() == "before\n"
    assert (tmp_path / "access.log").read_text() == "after\n"
    assert logs.access.lost == 0


def test_descriptors_are_kept_and_not_inherited(tmp_path: Path) -> None:
    logs = configure_logging(str(tmp_path / "error.log"))
    before = logs.error.fd
    logs.reopen()
    assert logs.error.fd == before
    assert not os.get_inheritable(before)
    assert fcntl.fcntl(before, fcntl.F_GETFL) & os.O_APPEND


def test_a_file_that_cannot_be_reopened_is_kept_and_reported(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    folder.mkdir()
    logs = configure_logging(str(tmp_path / "error.log"), "info", str(folder / "access.log"))
    assert logs.access is not None
    folder.rename(tmp_path / "moved")
    logs.reopen()
    logs.access.write("still here\n")
    assert (tmp_path / "moved" / "access.log").read_text() == "still here\n"
    assert "access.log cannot be reopened: No such file or directory" in (tmp_path / "error.log").read_text()


def test_lines_written_during_rotation_are_all_there(tmp_path: Path) -> None:
    file = LogFile(str(tmp_path / "access.log"))
    count, threads = 400, 3
    begun = threading.Barrier(threads + 1)

    def work(name: int) -> None:
        begun.wait()
        for number in range(count):
            file.write(f"{name}-{number} {'x' * 100}\n")

    workers = [threading.Thread(target=work, args=(name,)) for name in range(threads)]
    for worker in workers:
        worker.start()
    begun.wait()
    generation = 0
    while any(worker.is_alive() for worker in workers):
        generation += 1
        (tmp_path / "access.log").rename(tmp_path / f"access.log.{generation}")
        file.reopen()
    for worker in workers:
        worker.join()
    os.close(file.fd)
    lines = [line for path in tmp_path.iterdir() for line in path.read_text().splitlines()]
    assert file.lost == 0
    assert sorted(line.split()[0] for line in lines) == sorted(
        f"{name}-{number}" for name in range(threads) for number in range(count)
    )
    assert {len(line.split()[1]) for line in lines} == {100}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_loses_lines_and_raises_nothing() -> None:
    logs = configure_logging("/dev/full", "info", "/dev/full")
    assert logs.access is not None
    log.error("lost")
    logs.access.write("lost\n")
    # The error log was to take the line about the access log as well.
    assert (logs.error.lost, logs.access.lost) == (2, 1)


def test_a_closed_pipe_loses_lines_and_raises_nothing() -> None:
    read, write = os.pipe()
    os.close(read)
    file = LogFile(None, write)
    file.write("lost\n")
    os.close(write)
    file.write("lost too\n")
    assert file.lost == 2


def test_a_long_line_is_written_whole(tmp_path: Path) -> None:
    read, write = os.pipe()
    file = LogFile(None, write)
    text = "x" * 300_000 + "\n"
    found: list[bytes] = []

    def drain() -> None:
        while data := os.read(read, 10_000):
            found.append(data)

    reader = threading.Thread(target=drain)
    reader.start()
    file.write(text)
    os.close(write)
    reader.join()
    os.close(read)
    assert b"".join(found).decode() == text


def test_a_stream_is_not_reopened() -> None:
    read, write = os.pipe()
    file = LogFile(None, write)
    file.reopen()
    file.write("here\n")
    assert os.read(read, 100) == b"here\n"
    os.close(read)
    os.close(write)


def test_a_file_that_cannot_be_opened_is_the_callers_to_report(tmp_path: Path) -> None:
    with pytest.raises(OSError) as caught:
        configure_logging(str(tmp_path / "gone" / "error.log"))
    assert caught.value.filename == str(tmp_path / "gone" / "error.log")


def test_standard_streams(capfd: pytest.CaptureFixture[str]) -> None:
    logs = configure_logging("-", "info", "-")
    assert logs.access is not None
    log.info("to the one")
    logs.access.write("to the other\n")
    logs.reopen()
    out, err = capfd.readouterr()
    assert out == "to the other\n"
    assert err.endswith("[INFO] to the one\n")


def test_the_access_logger_writes_bare_lines(tmp_path: Path) -> None:
    configure_logging("-", "info", str(tmp_path / "access.log"))
    logging.getLogger(ACCESS_LOGGER).info("GET %s", "/x\n/y")
    assert (tmp_path / "access.log").read_text() == "GET /x\\n/y\n"


def test_without_an_access_log_its_logger_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    logs = configure_logging("-", "info", None)
    assert logs.access is None
    logging.getLogger(ACCESS_LOGGER).error("nothing")
    assert capfd.readouterr() == ("", "")


def test_configuring_again_replaces_and_closes(tmp_path: Path) -> None:
    first = configure_logging(str(tmp_path / "one.log"))
    second = configure_logging(str(tmp_path / "two.log"))
    log.info("message")
    assert (tmp_path / "one.log").read_text() == ""
    assert (tmp_path / "two.log").read_text().endswith("message\n")
    assert isinstance(second, Logs)
    if first.error.fd != second.error.fd:
        with pytest.raises(OSError):
            os.fstat(first.error.fd)


def test_what_was_before_goes_on_where_a_file_cannot_be_opened(tmp_path: Path) -> None:
    configure_logging(str(tmp_path / "one.log"))
    with pytest.raises(OSError):
        configure_logging(str(tmp_path / "two.log"), "info", str(tmp_path / "gone" / "access.log"))
    log.info("still here")
    assert (tmp_path / "one.log").read_text().endswith("still here\n")


APPLICATION_THAT_CONFIGURES_LOGGING = """
import logging, logging.config, sys
log = logging.getLogger("portway.error")
from portway.observe.log import configure_logging
logs = configure_logging(sys.argv[1], "info", sys.argv[2])
logging.config.dictConfig({
    "version": 1,
    "disable_existing_loggers": True,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "DEBUG"},
})
log.info("after dictConfig")
logging.getLogger("portway.access").info("line after dictConfig")
logs.access.write("direct line\\n")
assert not log.disabled
"""


def test_an_application_that_configures_logging_does_not_silence_the_server(tmp_path: Path) -> None:
    """What Django does with LOGGING: dictConfig closes all handlers and disables loggers it does not name."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", APPLICATION_THAT_CONFIGURES_LOGGING, "error.log", "access.log"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "error.log").read_text().endswith("[INFO] after dictConfig\n")
    assert (tmp_path / "access.log").read_text() == "line after dictConfig\ndirect line\n"


def test_lines_of_forked_processes_do_not_mix(tmp_path: Path) -> None:
    code = """
import os, sys
from portway.observe.log import LogFile
file = LogFile("shared.log")
children = []
for name in "abc":
    pid = os.fork()
    if pid == 0:
        for number in range(200):
            file.write(name * 500 + "\\n")
        os._exit(0)
    children.append(pid)
for pid in children:
    assert os.waitpid(pid, 0)[1] == 0
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = (tmp_path / "shared.log").read_text().splitlines()
    assert sorted(lines) == sorted(name * 500 for name in "abc" for _ in range(200))


def test_escape_control_leaves_text_alone() -> None:
    assert escape_control("plain \t caf\xe9 \u4e2d") == "plain \t caf\xe9 \u4e2d"
