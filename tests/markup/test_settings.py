"""The settings as a process meets them: from its environment."""

import json
import re
from pathlib import Path

import pytest

SITE = Path(__file__).resolve().parents[2] / "markup"
KEY = "a-key-for-tests-that-is-long-enough-and-has-many-signs-0123456789"
SHOW = """
import json, sys
from django.conf import settings
print(json.dumps({name: getattr(settings, name) for name in sys.argv[1:]}, default=str))
"""


def read(run_site, *names, **variables):
    done = run_site("-c", SHOW, *names, DJANGO_SETTINGS_MODULE="markup.settings", **variables)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_all_mistakes_are_reported_at_once(run_site):
    done = run_site(
        "manage.py",
        "check",
        DJANGO_DEBUG="perhaps",
        DJANGO_ALLOWED_HOSTS="https://example.org,example.org:443",
        DJANGO_CSRF_TRUSTED_ORIGINS="example.org",
        DATABASE_URL="postgres://u:hunter2@host",
        DJANGO_STATIC_ROOT="static",
        DJANGO_MEDIA_ROOT="media",
        DJANGO_LOG_LEVEL="loud",
        DJANGO_TIME_ZONE="Nowhere",
        DJANGO_HTTPS="si",
        DJANGO_SSL_REDIRECT="si",
        DJANGO_HSTS_SECONDS="-1",
        DJANGO_HSTS_SUBDOMAINS="si",
        DJANGO_HSTS_PRELOAD="si",
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    named = [line.split()[1] for line in done.stderr.splitlines() if line.startswith("  - ")]
    assert named == [
        "DJANGO_DEBUG",
        "DJANGO_SECRET_KEY",
        "DJANGO_ALLOWED_HOSTS",
        "DJANGO_ALLOWED_HOSTS",
        "DJANGO_CSRF_TRUSTED_ORIGINS",
        "DATABASE_URL",
        "DJANGO_TIME_ZONE",
        "DJANGO_STATIC_ROOT",
        "DJANGO_MEDIA_ROOT",
        "DJANGO_HTTPS",
        "DJANGO_SSL_REDIRECT",
        "DJANGO_HSTS_SECONDS",
        "DJANGO_HSTS_SUBDOMAINS",
        "DJANGO_HSTS_PRELOAD",
        "DJANGO_LOG_LEVEL",
    ]
    assert "hunter2" not in done.stderr


def test_a_server_gets_the_list_as_one_improperly_configured(run_site):
    done = run_site("-c", "import markup.wsgi")
    assert done.returncode == 1
    assert "markup.env.InvalidEnvironment" in done.stderr
    assert "DJANGO_SECRET_KEY is not set" in done.stderr


def test_development_needs_one_variable_and_production_two(run_site):
    developing = read(run_site, "DEBUG", "SECRET_KEY", DJANGO_DEBUG="1")
    assert developing["DEBUG"] is True
    assert developing["SECRET_KEY"].startswith("django-insecure-")
    names = ("DEBUG", "ALLOWED_HOSTS", "SECURE_SSL_REDIRECT", "SECURE_HSTS_SECONDS", "SESSION_COOKIE_SECURE")
    assert read(run_site, *names, DJANGO_SECRET_KEY=KEY) == {
        "DEBUG": False,
        "ALLOWED_HOSTS": ["localhost", ".localhost", "127.0.0.1", "[::1]"],
        "SECURE_SSL_REDIRECT": False,
        "SECURE_HSTS_SECONDS": 0,
        "SESSION_COOKIE_SECURE": False,
    }


def test_the_key_may_come_from_a_file(run_site, tmp_path):
    (tmp_path / "key").write_text(KEY + "\n")
    assert read(run_site, "SECRET_KEY", DJANGO_SECRET_KEY_FILE=str(tmp_path / "key"))["SECRET_KEY"] == KEY


def test_every_variable_arrives(run_site, tmp_path):
    values = read(
        run_site,
        "ALLOWED_HOSTS",
        "CSRF_TRUSTED_ORIGINS",
        "SECRET_KEY_FALLBACKS",
        "STATIC_ROOT",
        "MEDIA_ROOT",
        "TIME_ZONE",
        "SECURE_HSTS_SECONDS",
        "SECURE_SSL_REDIRECT",
        "DATABASES",
        DJANGO_SECRET_KEY=KEY,
        DJANGO_SECRET_KEY_FALLBACK="the-key-before",
        DJANGO_ALLOWED_HOSTS="example.org,.example.net",
        DJANGO_CSRF_TRUSTED_ORIGINS="https://example.org",
        DJANGO_TIME_ZONE="Europe/Berlin",
        DJANGO_HTTPS="on",
        DJANGO_SSL_REDIRECT="off",
        DJANGO_HSTS_SECONDS="31536000",
        DATABASE_URL="postgresql://user:pass@db/site",
    )
    assert values["ALLOWED_HOSTS"] == ["example.org", ".example.net"]
    assert values["CSRF_TRUSTED_ORIGINS"] == ["https://example.org"]
    assert values["SECRET_KEY_FALLBACKS"] == ["the-key-before"]
    assert values["STATIC_ROOT"] == f"{tmp_path}/static"
    assert values["MEDIA_ROOT"] == f"{tmp_path}/media"
    assert values["TIME_ZONE"] == "Europe/Berlin"
    assert values["SECURE_HSTS_SECONDS"] == 31536000
    assert values["SECURE_SSL_REDIRECT"] is False
    assert values["DATABASES"]["default"]["ENGINE"] == "django.db.backends.postgresql"


def test_the_deployment_check_finds_nothing_to_say(run_site):
    done = run_site(
        "manage.py",
        "check",
        "--deploy",
        "--fail-level",
        "WARNING",
        DJANGO_SECRET_KEY=KEY,
        DJANGO_ALLOWED_HOSTS="example.org",
        DJANGO_HTTPS="1",
    )
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def test_the_migrations_are_complete(run_site):
    done = run_site("manage.py", "makemigrations", "--check", "--dry-run", DJANGO_SECRET_KEY=KEY)
    assert done.returncode == 0, done.stdout + done.stderr


FAIL = """
import django
django.setup()
from django.test import RequestFactory
from django.core.handlers.wsgi import WSGIHandler
from posts import urls, views
def broken(request):
    raise RuntimeError("the reason")
urls.urlpatterns[0].callback = broken
environ = RequestFactory().get("/", headers={"host": "localhost"}).environ
statuses = []
body = WSGIHandler()(environ, lambda status, headers: statuses.append(status))
print(statuses[0])
body.close()
"""


@pytest.mark.parametrize("level", ["INFO", "ERROR"])
def test_an_error_is_on_the_console_with_its_traceback_although_debug_is_off(run_site, level):
    done = run_site(
        "-c",
        FAIL,
        DJANGO_SECRET_KEY=KEY,
        DJANGO_SETTINGS_MODULE="markup.settings",
        DJANGO_LOG_LEVEL=level,
    )
    assert done.stdout.strip() == "500 Internal Server Error", done.stderr
    assert "ERROR django.request: Internal Server Error: /" in done.stderr
    assert "Traceback" in done.stderr
    assert "RuntimeError: the reason" in done.stderr


def test_sqlite_is_set_up_for_a_server(run_site):
    code = """
import django
django.setup()
from django.db import connection
with connection.cursor() as cursor:
    for pragma in ("journal_mode", "synchronous", "busy_timeout"):
        print(cursor.execute(f"PRAGMA {pragma}").fetchone()[0])
print(connection.transaction_mode)
connection.close()
"""
    done = run_site("-c", code, DJANGO_SECRET_KEY=KEY, DJANGO_SETTINGS_MODULE="markup.settings")
    assert done.stdout.split() == ["wal", "1", "20000", "IMMEDIATE"], done.stderr


def test_the_readme_names_every_variable():
    source = (SITE / "markup/settings.py").read_text(encoding="utf-8")
    read = set(re.findall(r'env\.[a-z_]+\(\s*"([A-Z_]+)"', source))
    assert len(read) == 15
    table = (SITE / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", table, re.MULTILINE)) == read
