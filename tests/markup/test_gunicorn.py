"""The site as people have always served it: `gunicorn markup.wsgi:application` in the project's folder."""

import http.client
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

KEY = "a-key-for-tests-that-is-long-enough-and-has-many-signs-0123456789"
PATHS = [
    *("/", "/page/3/", "/posts/hello-world/", "/posts/wsgi-closely-read/", "/posts/the-measure/"),
    *("/posts/plain-text-endures/", "/tags/", "/tags/http/", "/about/", "/feed.atom", "/feed.rss"),
    *("/sitemap.xml", "/robots.txt", "/nowhere/", "/page/1/", "/admin/"),
]
# What the server adds, or says in its own words.
SERVERS_OWN = {"date", "server", "connection", "transfer-encoding"}

pytestmark = pytest.mark.functional


def test_the_pages_are_the_same_as_in_the_tests(samples, db, run_site, launch, tmp_path):
    for command in (["migrate"], ["load_samples", "--if-empty"], ["collectstatic", "--noinput"]):
        done = run_site("manage.py", *command, "--verbosity", "0", DJANGO_SECRET_KEY=KEY)
        assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "media/samples").iterdir()} >= {"canon.svg", "dither.png"}
    server = launch(
        *("-m", "gunicorn", "markup.wsgi:application", "--bind", "127.0.0.1:0", "--threads", "2"),
        *("--worker-tmp-dir", tmp_path),
        cwd=Path(settings.BASE_DIR),
        HOME=str(tmp_path),
        DJANGO_SECRET_KEY=KEY,
        DATABASE_URL=f"sqlite:///{tmp_path}/site.sqlite3",
        DJANGO_STATIC_ROOT=f"{tmp_path}/static",
        DJANGO_MEDIA_ROOT=f"{tmp_path}/media",
    )
    port = int(server.wait_for_log(r"Listening at: http://127\.0\.0\.1:(\d+)")[1])
    inside = Client(headers={"host": "localhost"})
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        for path in PATHS:
            expected = inside.get(path)
            connection.request("GET", path, headers={"Host": "localhost"})
            response = connection.getresponse()
            assert (path, response.status) == (path, expected.status_code)
            assert response.read() == expected.content, path
            headers = {name.lower(): value for name, value in response.getheaders()}
            ours = {name.lower(): value for name, value in expected.headers.items()}
            assert {n: v for n, v in headers.items() if n not in SERVERS_OWN} == ours, path
            if etag := headers.get("etag"):
                connection.request("GET", path, headers={"Host": "localhost", "If-None-Match": etag})
                again = connection.getresponse()
                assert (again.status, again.read()) == (304, b""), path
    finally:
        connection.close()
    assert server.stop() == 0
