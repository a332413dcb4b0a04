"""An author at work in the admin: sessions, forms with their CSRF checks, uploads, by http and by https."""

import http.cookies
import re
from pathlib import Path
from urllib.parse import urlencode

import pytest

pytestmark = pytest.mark.chain

EDITOR = {"username": "editor", "password": "a-password-for-tests"}


class Browser:
    """As much of a browser as a form needs: cookies, the origin that it names, hidden fields."""

    def __init__(self, chain, tls):
        self._chain = chain
        self._tls = tls
        self._cookies = http.cookies.SimpleCookie()
        port, scheme = (chain.tls_port, "https") if tls else (chain.port, "http")
        self.origin = f"{scheme}://127.0.0.1:{port}"

    def _ask(self, path, **request):
        cookies = "; ".join(cookie.OutputString([]) for cookie in self._cookies.values())
        fields = {**request.pop("fields", {}), "Cookie": cookies}
        answer = self._chain.ask(path, tls=self._tls, fields=fields, **request)
        for line in answer.fields.get_all("Set-Cookie", []):
            self._cookies.load(line)
        return answer

    def get(self, path):
        return self._ask(path)

    def submit(self, path, values, files=()):
        """Fill in the form of a page and send it."""
        page = self.get(path)
        assert page.status == 200, page.text
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)[1]
        values = {"csrfmiddlewaretoken": token, **values}
        content_type, body = "application/x-www-form-urlencoded", urlencode(values).encode()
        if files:
            content_type, body = multipart(values, files)
        fields = {"Content-Type": content_type, "Origin": self.origin, "Referer": self.origin + path}
        return self._ask(path, method="POST", body=body, fields=fields)


def multipart(values, files):
    """Return the content type and the body of a form with files: (name, file name, content)."""
    lines = []
    for name, value in values.items():
        disposition = f'Content-Disposition: form-data; name="{name}"'
        lines += [b"--limit", disposition.encode(), b"", str(value).encode()]
    for name, file_name, content in files:
        disposition = f'Content-Disposition: form-data; name="{name}"; filename="{file_name}"'
        lines += [b"--limit", disposition.encode(), b"Content-Type: image/png", b"", content]
    return "multipart/form-data; boundary=limit", b"\r\n".join([*lines, b"--limit--", b""])


@pytest.fixture(params=[False, True], ids=["http", "https"])
def browser(request, chain):
    browser = Browser(chain, request.param)
    answer = browser.submit("/admin/login/?next=/admin/", EDITOR)
    assert (answer.status, answer["Location"]) == (302, "/admin/"), answer.text
    return browser


def test_what_an_author_writes_is_what_a_reader_gets(browser, chain):
    slug = f"written-by-{chain.server}-{chain.transport}-{browser.origin.partition(':')[0]}"
    assert chain.ask(f"/posts/{slug}/").status == 404
    post = {
        "title": f"Sent through {chain.transport}",
        "slug": slug,
        "format": "markdown",
        "source": "It went *all the way*.",
        "status": "published",
        "published_at_0": "2020-01-02",
        "published_at_1": "03:04:05",
        "author": "1",
    }
    author = re.search(r'<option value="(\d+)" selected', browser.get("/admin/posts/post/add/").text)
    answer = browser.submit("/admin/posts/post/add/", post | {"author": author[1]})
    assert (answer.status, answer["Location"]) == (302, "/admin/posts/post/"), answer.text
    page = chain.ask(f"/posts/{slug}/")
    assert page.status == 200
    assert "It went <em>all the way</em>." in page.text
    assert page["Set-Cookie"] is None


def test_an_image_that_is_uploaded_is_served_by_nginx(browser, chain, site):
    content = Path(site.media / "samples" / "dither.png").read_bytes()
    name = f"image-{chain.server}-{chain.transport}-{browser.origin.partition(':')[0]}.png"
    files = [("file", name, content)]
    answer = browser.submit("/admin/posts/attachment/add/", {"description": "An image"}, files)
    assert answer.status == 302, answer.text
    stored = next(site.media.rglob(name)).relative_to(site.media)
    image = chain.ask(f"/media/{stored}")
    assert (image.status, image["Content-Type"], image.body) == (200, "image/png", content)


def test_a_form_from_elsewhere_is_refused(browser):
    browser.origin = "https://somebody-else.example"
    answer = browser.submit("/admin/posts/tag/add/", {"name": "forged", "slug": "forged"})
    assert answer.status == 403
