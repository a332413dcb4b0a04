"""The environment as a source of settings: types, empty values, files with secrets, and what mistakes say."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from markup.database_url import parse_database_url
from markup.env import Env


def mistakes(read, **environ):
    env = Env(environ)
    read(env)
    with pytest.raises(ImproperlyConfigured) as caught:
        env.check()
    return str(caught.value)


def test_values_have_their_types(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("hidden\n")
    env = Env(
        {
            "ON": "Yes",
            "OFF": "0",
            "NUMBER": "42",
            "LEVEL": "warning",
            "LIST": " a.org, ,b.org ",
            "PLACE": "/srv/site",
            "ZONE": "Europe/Berlin",
            "KEY_FILE": str(secret),
        }
    )
    assert env.boolean("ON", False) is True
    assert env.boolean("OFF", True) is False
    assert env.integer("NUMBER", 1, minimum=0, maximum=50) == 42
    assert env.text("LEVEL", "INFO", choices=("INFO", "WARNING")) == "WARNING"
    assert env.words("LIST", [], fits=lambda _: True, allowed="") == ["a.org", "b.org"]
    assert str(env.directory("PLACE", tmp_path)) == "/srv/site"
    assert env.time_zone("ZONE", "UTC") == "Europe/Berlin"
    assert env.secret("KEY") == "hidden"
    env.check()


def test_an_empty_variable_is_one_that_is_not_set(tmp_path):
    env = Env(dict.fromkeys(("A", "B", "C", "D", "E", "F", "G", "G_FILE"), "  "))
    assert env.boolean("A", True) is True
    assert env.integer("B", 7, minimum=0, maximum=9) == 7
    assert env.text("C", "x", choices=("X",)) == "x"
    assert env.words("D", ["d"], fits=lambda _: False, allowed="") == ["d"]
    assert env.directory("E", tmp_path) == tmp_path
    assert env.time_zone("F", "UTC") == "UTC"
    assert env.secret("G", default="g") == "g"
    env.check()


@pytest.mark.parametrize(
    ("read", "environ", "parts"),
    [
        (lambda e: e.boolean("A", False), {"A": "maybe"}, ["A is 'maybe'", "1, true, yes, on"]),
        (lambda e: e.integer("A", 1, 0, 9), {"A": "10"}, ["A is '10'", "from 0 to 9"]),
        (lambda e: e.integer("A", 1, 0, 9), {"A": "٣"}, ["A is", "from 0 to 9"]),
        (lambda e: e.text("A", "B", choices=("B", "C")), {"A": "d"}, ["A is 'd'", "B, C"]),
        (lambda e: e.words("A", [], str.islower, "small letters"), {"A": "b,C"}, ["A is 'C'", "small"]),
        (lambda e: e.directory("A", None), {"A": "media"}, ["A is 'media'", "absolute path"]),
        (lambda e: e.time_zone("A", "UTC"), {"A": "Mars/Base"}, ["A is 'Mars/Base'", "Europe/Berlin"]),
        (lambda e: e.time_zone("A", "UTC"), {"A": "../etc/passwd"}, ["A is '../etc/passwd'"]),
        (lambda e: e.secret("A", hint="Ask Bob."), {}, ["A is not set", "A_FILE", "Ask Bob."]),
        (lambda e: e.secret("A"), {"A_FILE": "/nowhere/at/all"}, ["A_FILE is '/nowhere/at/all'", "No such"]),
        (lambda e: e.secret("A"), {"A": "x", "A_FILE": "/y"}, ["A and A_FILE are both set"]),
    ],
)
def test_a_mistake_says_which_variable_which_value_and_what_is_allowed(read, environ, parts):
    message = mistakes(read, **environ)
    for part in parts:
        assert part in message


def test_all_mistakes_come_together():
    def read(env):
        env.boolean("A", False)
        env.secret("B")
        env.integer("C", 0, 0, 1)

    message = mistakes(read, A="x", C="y")
    assert [line[:5] for line in message.splitlines()[1:]] == ["  - A", "  - B", "  - C"]


def test_an_empty_secret_file_is_a_mistake(tmp_path):
    empty = tmp_path / "empty"
    empty.write_text("\n")
    assert "is empty" in mistakes(lambda env: env.secret("A"), A_FILE=str(empty))


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("sqlite:////srv/a%20b/site.sqlite3", "/srv/a b/site.sqlite3"),
        ("sqlite:///site.sqlite3", "site.sqlite3"),
        ("sqlite://:memory:", ":memory:"),
        ("sqlite://", ":memory:"),
    ],
)
def test_sqlite_urls(url, name):
    entry = parse_database_url(url)
    assert entry["ENGINE"] == "django.db.backends.sqlite3"
    assert entry["NAME"] == name
    assert entry["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert entry["OPTIONS"]["timeout"] == 20
    assert "journal_mode=WAL" in entry["OPTIONS"]["init_command"]


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_postgresql_urls(scheme):
    entry = parse_database_url(
        f"{scheme}://us%40er:p%40%2Fss%23@db.example.org:6432/si%20te?sslmode=require&conn_max_age=300"
    )
    assert entry == {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "si te",
        "USER": "us@er",
        "PASSWORD": "p@/ss#",
        "HOST": "db.example.org",
        "PORT": "6432",
        "CONN_MAX_AGE": 300,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"sslmode": "require"},
    }


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("postgres:///site?host=/run/postgresql", "/run/postgresql", ""),
        ("postgres://%2FRun%2Fpg/site", "/Run/pg", ""),
        ("postgres://user@%2FRun%2Fpg:5433/site", "/Run/pg", "5433"),
        ("postgres://[::1]:5433/site", "::1", "5433"),
        ("postgres://[::1]/site", "::1", ""),
        ("postgres:///site", "", ""),
    ],
)
def test_postgresql_hosts_and_sockets(url, host, port):
    entry = parse_database_url(url)
    assert (entry["HOST"], entry["PORT"], entry["NAME"]) == (host, port, "site")
    assert entry["CONN_MAX_AGE"] == 60


def test_a_pool_takes_the_place_of_kept_connections():
    entry = parse_database_url("postgres://host/site?pool=8")
    assert entry["OPTIONS"] == {"pool": {"min_size": 1, "max_size": 8}}
    assert entry["CONN_MAX_AGE"] == 0


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("site.sqlite3", "does not begin with a scheme"),
        ("mysql://u:hunter2@host/site", "the scheme is 'mysql'"),
        ("sqlite://site.sqlite3", "three slashes"),
        ("sqlite:///site.sqlite3?timeout=5", "takes no options"),
        ("postgres://u:hunter2@host", "does not name one database"),
        ("postgres://u:hunter2@host/a/b", "does not name one database"),
        ("postgres://u:hunter2@host:port/site", "the port"),
        ("postgres://u:hunter2@host/site?conn_max_age=long", "conn_max_age is 'long'"),
        ("postgres://u:hunter2@host/site?conn_health_checks=1", "allowed are true and false"),
        ("postgres://u:hunter2@host/site?pool=4&conn_max_age=60", "exclude each other"),
        ("postgres://u:hunter2@host/site?pool=0", "at least 1"),
    ],
)
def test_what_is_wrong_with_a_url_is_said_without_its_password(url, part):
    with pytest.raises(ValueError) as caught:
        parse_database_url(url)
    assert part in str(caught.value)
    assert "hunter2" not in str(caught.value)
