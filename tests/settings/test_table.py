"""The table against itself, against Gunicorn's, and against the reference page."""

import dataclasses
from collections import Counter
from pathlib import Path

import gunicorn.config
import pytest

from portway.http.limits import Limits
from portway.settings import reference
from portway.settings.foreign import BY_NAME, FOREIGN, HOOKS
from portway.settings.table import TABLE, Settings

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"
GUNICORN = {setting.name: setting for setting in gunicorn.config.KNOWN_SETTINGS}


def flags_of(row: object) -> tuple[str, ...]:
    return tuple(row.flags) + tuple(getattr(row, "off_flags", ()))  # type: ignore[attr-defined]


def test_every_setting_is_an_attribute() -> None:
    settings = Settings()
    for name in TABLE:
        assert hasattr(settings, name)


def test_settings_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().workers = 3  # type: ignore[misc]


def test_no_name_and_no_flag_stands_for_two_things() -> None:
    names = [*TABLE, *BY_NAME, *HOOKS]
    # ssl_context is a hook of Gunicorn's and nothing else.
    assert [name for name, count in Counter(names).items() if count > 1] == []
    flags = [flag for row in (*TABLE.values(), *FOREIGN) for flag in flags_of(row)]
    assert [flag for flag, count in Counter(flags).items() if count > 1] == []


@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if row.default is not None])
def test_defaults_are_allowed_values(name: str) -> None:
    row = TABLE[name]
    value = row.kind.parse(row.default if name != "bind" else ["127.0.0.1:8000"])
    assert value == row.default


@pytest.mark.parametrize("name", sorted(GUNICORN))
def test_every_setting_of_gunicorn_is_answered(name: str) -> None:
    """Ours, refused with advice, or a hook that is reported: there is no fourth kind."""
    if GUNICORN[name].cli is None and name in HOOKS:
        return
    row = TABLE.get(name) or BY_NAME.get(name)
    assert row is not None, f"nothing is said about Gunicorn's {name}"
    missing = set(GUNICORN[name].cli or ()) - set(flags_of(row))
    assert not missing, f"Gunicorn's {name} also has {missing}"
    if name in TABLE:
        assert TABLE[name].gunicorn


@pytest.mark.parametrize("name", sorted(name for name, row in TABLE.items() if not row.gunicorn))
def test_what_is_marked_as_ours_is_ours(name: str) -> None:
    assert name not in GUNICORN


# A default that is a size or a place of something that is refused as a whole asks for that thing when it is
# written.
PARTS_OF_FEATURES = (
    "asgi_disconnect",
    "dirty_graceful",
    "dirty_threads",
    "dirty_timeout",
    "http2_",
    "ssl_version",
    "syslog_addr",
    "uwsgi_",
    "websocket",
)


@pytest.mark.parametrize(
    "name", sorted(name for name in BY_NAME if name in GUNICORN and not name.startswith(PARTS_OF_FEATURES))
)
def test_gunicorns_own_default_of_a_setting_that_is_not_ours_passes(name: str) -> None:
    assert BY_NAME[name].passes(GUNICORN[name].default)


def test_the_defaults_are_those_of_the_protocol_core() -> None:
    settings, limits = Settings(), Limits()
    assert settings.limit_request_line == limits.request_line
    assert settings.limit_request_fields == limits.fields
    assert settings.limit_request_field_size == limits.field_size
    assert settings.limit_request_head == limits.head
    assert settings.max_body == limits.body


def test_advice_is_a_clause() -> None:
    for foreign in FOREIGN:
        assert foreign.advice
        assert not foreign.advice.endswith(".")


def test_meanings_are_sentences() -> None:
    for row in TABLE.values():
        assert row.meaning[0].isupper()
        assert row.meaning.endswith(".")


def test_the_reference_page_is_that_of_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference.page(), (
        "write the page anew: python -m portway.settings.reference > docs/reference/settings.md"
    )


def test_the_page_tells_each_setting_and_each_flag() -> None:
    page = reference.page()
    for name, row in TABLE.items():
        assert f"### {name}" in page
        for flag in flags_of(row):
            assert f"`{flag}" in page
