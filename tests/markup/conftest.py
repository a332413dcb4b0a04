"""The markup site under test, set up in this process as it is in production.

Django is set up when this file is imported, before the tests that import its models, from an environment
that is there for that moment only: DEBUG off, static files collected under hashed names, a database in
memory. Tests of other folders in the same run see nothing of it.
"""

import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import django
import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client
from django.test.utils import (
    CaptureQueriesContext,
    setup_databases,
    setup_test_environment,
    teardown_databases,
    teardown_test_environment,
)

SITE = Path(__file__).resolve().parents[2] / "markup"
SCRATCH = tempfile.TemporaryDirectory(prefix="markup-")
ENVIRONMENT = {
    "DJANGO_SETTINGS_MODULE": "markup.settings",
    "DJANGO_SECRET_KEY": "a-key-for-tests-that-is-long-enough-and-has-many-signs-0123456789",
    # The same tests run on PostgreSQL: MARKUP_TEST_DATABASE_URL=postgres://...
    "DATABASE_URL": os.environ.get("MARKUP_TEST_DATABASE_URL", "sqlite://:memory:"),
    "DJANGO_STATIC_ROOT": f"{SCRATCH.name}/static",
    "DJANGO_MEDIA_ROOT": f"{SCRATCH.name}/media",
}


def _set_up() -> None:
    before = dict(os.environ)
    for name in before:
        if name.startswith("DJANGO_") or name == "DATABASE_URL":
            del os.environ[name]
    os.environ.update(ENVIRONMENT)
    sys.path.insert(0, str(SITE))
    try:
        django.setup()
    finally:
        os.environ.clear()
        os.environ.update(before)


_set_up()


@pytest.fixture(scope="session", autouse=True)
def _django():
    """The test database, the collected static files, and the end of both."""
    setup_test_environment()
    databases = setup_databases(verbosity=0, interactive=False)
    call_command("collectstatic", interactive=False, verbosity=0)
    yield
    teardown_databases(databases, verbosity=0)
    connection.close()
    teardown_test_environment()
    SCRATCH.cleanup()


@pytest.fixture(scope="module")
def samples(_django):
    """The sample posts, for the tests of one file."""
    with transaction.atomic():
        call_command("load_samples", verbosity=0)
        yield
        transaction.set_rollback(True)


@pytest.fixture
def db(request, _django):
    """The database, empty but for the samples if a test asks for them; what it does is taken back."""
    from accounts.models import User
    from posts.models import Post, Tag

    with transaction.atomic():
        if "samples" not in request.fixturenames:
            for model in (Post, Tag, User):
                model.objects.all().delete()
        yield
        transaction.set_rollback(True)


@pytest.fixture
def client():
    """A reader's browser without a history."""
    return Client()


@pytest.fixture
def count_queries():
    """A context that collects the queries made in it."""
    return lambda: CaptureQueriesContext(connection)


@pytest.fixture
def author(db):
    """Somebody who writes."""
    from accounts.models import User

    return User.objects.create_user("ada", first_name="Ada", last_name="Lovelace")


@pytest.fixture
def write(author):
    """Make posts: `write("title", source=..., ...)`; published in 2020 unless told otherwise."""
    from posts.models import Post, Tag

    def write(title="A post", *, source="Some text.", tags=(), **fields):
        fields = {
            "format": "markdown",
            "status": "published",
            "published_at": datetime(2020, 1, 1, tzinfo=UTC),
            "author": author,
            **fields,
        }
        post = Post.objects.create(title=title, source=source, **fields)
        post.tags.set([Tag.objects.get_or_create(name=name)[0] for name in tags])
        return post

    return write


@pytest.fixture
def run_site(tmp_path):
    """Run a command of the site's in a process of its own: `run_site("-c", code, DJANGO_DEBUG="1")`.

    The environment holds the variables given and none other that the site reads.
    """

    def run(*arguments, **variables):
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("DJANGO_") and name != "DATABASE_URL"
        }
        places = {
            "DATABASE_URL": f"sqlite:///{tmp_path}/site.sqlite3",
            "DJANGO_STATIC_ROOT": f"{tmp_path}/static",
            "DJANGO_MEDIA_ROOT": f"{tmp_path}/media",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return subprocess.run(
            [sys.executable, "-W", "error", *arguments],
            cwd=SITE,
            env={**inherited, **places, **variables},
            capture_output=True,
            text=True,
            timeout=90,
        )

    return run
