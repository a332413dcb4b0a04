"""Reports of failed starts: the sentence, the frames that matter, the hint."""

import json
import os

import pytest

from portway.net.addresses import parse_address
from portway.supervisor.children import Failure
from portway.supervisor.report import CHAIN, ReportedError, compose, describe, library_of
from portway.wsgi.loader import ApplicationLoadError


def caught(function, *arguments):
    try:
        function(*arguments)
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def load_error(cause):
    error = ApplicationLoadError("Importing 'app' raised something")
    error.__cause__ = cause
    return error


def test_a_load_error_without_a_cause_is_one_sentence():
    failure = describe(ApplicationLoadError("Failed to find the module 'app'."))
    assert failure == Failure("load", "Failed to find the module 'app'.")
    assert failure.exit_code == 4


def test_the_cause_of_a_load_error_is_shown_without_the_frames_of_libraries():
    failure = describe(load_error(caught(json.loads, "{nonsense")))
    assert failure.stage == "load"
    assert failure.summary == "Importing 'app' raised something"
    text = "\n".join(failure.details)
    assert "test_report.py" in text
    assert "function(*arguments)" in text
    assert "  ... 2 frames in the standard library" in text
    # Where it was raised is shown, whoever's it is.
    assert "raw_decode" in text
    assert failure.details[-1].startswith("json.decoder.JSONDecodeError")


def test_other_errors_are_named_and_are_of_the_boot():
    failure = describe(caught(int, "x"))
    assert (failure.stage, failure.exit_code) == ("boot", 3)
    assert failure.summary == "ValueError: invalid literal for int() with base 10: 'x'"


def test_an_error_of_the_server_itself_shows_its_frames():
    details = "\n".join(describe(caught(parse_address, "")).details)
    assert "addresses.py" in details
    assert "ValueError" in details


def test_an_error_without_words_is_its_name():
    assert describe(RuntimeError()).summary == "RuntimeError"


def test_of_many_lines_the_summary_has_the_first():
    assert describe(RuntimeError("first\nsecond")).summary == "RuntimeError: first"


def test_a_failure_that_was_described_elsewhere_is_passed_on():
    failure = Failure("load", "x", ("y",), "z")
    assert describe(ReportedError(failure)) is failure


def test_what_led_to_an_error_comes_first():
    def outer():
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise RuntimeError("outer") from error

    details = describe(caught(outer)).details
    assert details.index("KeyError: 'inner'") < details.index("which led to:")
    assert details[-1] == "RuntimeError: outer"


def test_a_context_that_was_suppressed_stays_so():
    def outer():
        try:
            raise KeyError("inner")
        except KeyError:
            raise RuntimeError("outer") from None

    assert "which led to:" not in describe(caught(outer)).details


def test_a_long_chain_is_cut_and_a_circle_ends():
    first = error = RuntimeError("0")
    for number in range(1, 10):
        error.__cause__ = RuntimeError(str(number))
        error = error.__cause__
    assert describe(first).details.count("which led to:") == CHAIN - 1
    error.__cause__ = first
    a, b = RuntimeError("a"), RuntimeError("b")
    a.__cause__, b.__cause__ = b, a
    assert describe(a).details.count("which led to:") == 1


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (ModuleNotFoundError("x", name="yaml.nodes"), "if 'yaml' is a package, install it"),
        (SystemExit(0), "must not call sys.exit()"),
        (type("ImproperlyConfigured", (Exception,), {})(), "`manage.py check`"),
        (type("OperationalError", (Exception,), {})(), "the database was used"),
        (FileNotFoundError(2, "x", "/etc/site.ini"), "it is about '/etc/site.ini'"),
        (RuntimeError("x"), ""),
        (KeyError("x"), ""),
    ],
)
def test_hints(error, hint):
    assert hint in describe(load_error(error)).hint
    if not hint:
        assert describe(load_error(error)).hint == ""


def test_a_variable_that_is_missing_is_named():
    error = caught(lambda: os.environ["SURELY_NOT_SET"])
    assert describe(error).hint == "set SURELY_NOT_SET in the environment, or with --env SURELY_NOT_SET=..."
    assert "<frozen os>" not in "\n".join(describe(error).details)


def test_a_report_is_a_headline_and_lines_below():
    text = compose("Cannot start:", Failure("load", "It fails.", ("  File x", "Error: y"), "repair it"))
    assert text == "Cannot start: It fails.\n  File x\nError: y\nHint: repair it"
    assert compose("Cannot start:", Failure("boot", "It fails.")) == "Cannot start: It fails."


@pytest.mark.parametrize(
    ("path", "library"),
    [
        ("/venv/lib/python3.11/site-packages/django/conf/__init__.py", "django"),
        ("/usr/lib/python3/dist-packages/six.py", "six"),
        (json.__file__, "the standard library"),
        ("/srv/site/app.py", ""),
        (__file__, ""),
    ],
)
def test_what_a_file_belongs_to(path, library):
    assert library_of(path) == library
