"""The markup site, page by page, from Portway, Gunicorn and Django's runserver: the same answers."""

import http.client
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SITE = Path(__file__).parents[2] / "markup"
# What a server adds or says in its own words; everything else is the application's, and must not differ.
SERVERS_OWN = {"date", "server", "connection", "keep-alive", "transfer-encoding"}
# What Django makes from the clock, in answers that are not to be kept.
OF_THE_MOMENT = {"expires"}
START = ["/", "/tags/", "/about/", "/feed.atom", "/feed.rss", "/sitemap.xml", "/robots.txt"]
START += ["/nowhere/", "/admin/login/"]
# A token that Django makes anew for each answer.
TOKEN = re.compile(rb'name="csrfmiddlewaretoken" value="[^"]+"')

pytestmark = pytest.mark.functional


@pytest.fixture
def site(tmp_path):
    """Prepare a database, media and static files, and return the environment that names them."""
    pytest.importorskip("django")
    env = {
        "DJANGO_SECRET_KEY": "a-key-for-tests-that-is-long-enough-and-has-many-signs-0123456789",
        "DATABASE_URL": f"sqlite:///{tmp_path}/site.sqlite3",
        "DJANGO_STATIC_ROOT": f"{tmp_path}/static",
        "DJANGO_MEDIA_ROOT": f"{tmp_path}/media",
        "HOME": str(tmp_path),
    }
    for command in (["migrate"], ["load_samples"], ["collectstatic", "--noinput"]):
        arguments = [sys.executable, "manage.py", *command, "--verbosity", "0"]
        subprocess.run(arguments, cwd=SITE, env={**os.environ, **env}, check=True, timeout=100)
    return env


class Asker:
    """Asks one server, always by the same name, so that absolute URLs agree."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(self, path, method="GET", **fields):
        """Return status, the application's headers, and the body."""
        self.connection.request(method, path, headers={"Host": "localhost:8000", **fields})
        response = self.connection.getresponse()
        body = TOKEN.sub(b"", response.read())
        ignored = SERVERS_OWN | OF_THE_MOMENT
        received = [(name.lower(), value) for name, value in response.getheaders()]
        headers = {name: value for name, value in received if name not in ignored}
        cookie = headers.pop("set-cookie", "")
        headers["cookie names"] = re.findall(r"(\w+)=", cookie)[:1]
        return response.status, headers, body


def test_portway_gunicorn_and_runserver_give_the_same_pages(site, launch):
    portway = launch("-m", "portway", "markup.wsgi:application", "--bind", "127.0.0.1:0", cwd=SITE, **site)
    gunicorn = launch(
        *("-m", "gunicorn", "markup.wsgi:application", "--bind", "127.0.0.1:0", "--threads", "2"),
        cwd=SITE,
        **site,
    )
    runserver = launch(
        *("manage.py", "runserver", "--noreload", "127.0.0.1:0"), cwd=SITE, PYTHONUNBUFFERED="1", **site
    )
    askers = [
        Asker(int(portway.wait_for_log(r"Listening on http://127\.0\.0\.1:(\d+)")[1])),
        Asker(int(gunicorn.wait_for_log(r"Listening at: http://127\.0\.0\.1:(\d+)")[1])),
        Asker(int(runserver.wait_for_log(r"development server at http://127\.0\.0\.1:(\d+)")[1])),
    ]
    portway.wait_for_log("Stop with")
    try:
        paths, seen = list(START), set()
        while paths:
            path = paths.pop()
            if path in seen:
                continue
            seen.add(path)
            first, *others = [asker.ask(path) for asker in askers]
            assert others == [first, first], path
            # Follow the site's own links, so that every page that a reader can reach is compared.
            if first[1].get("content-type", "").startswith("text/html"):
                links = re.findall(rb'href="(/[^"#?]*)', first[2])
                paths += [link.decode() for link in links if not link.startswith((b"/static/", b"/media/"))]
            if etag := first[1].get("etag"):
                answers = [asker.ask(path, **{"If-None-Match": etag}) for asker in askers]
                assert [status for status, _, _ in answers] == [304, 304, 304], path
            head, *others = [asker.ask(path, "HEAD") for asker in askers]
            assert head[2] == b""
            if not first[2]:
                # RFC 9110 section 9.3.2 lets a server leave out a length that it would only find by making
                # the body.
                for answer in (head, *others):
                    answer[1].pop("content-length", None)
            assert others == [head, head], path
        assert "/posts/hello-world/" in seen
        assert len([path for path in seen if path.startswith("/posts/")]) >= 20
    finally:
        for asker in askers:
            asker.connection.close()
