"""Pages, from the client through Nginx and the server to the database and back."""

import gzip
import re

import pytest

pytestmark = pytest.mark.chain


def test_the_server_under_test_is_the_one_that_answers(chain):
    answer = chain.ask("/-probe/seen/")
    assert answer.json["software"].startswith(f"{chain.server}/")
    assert answer["Server"] == "nginx"


def test_the_front_page_comes_from_the_database(chain):
    answer = chain.ask("/")
    assert answer.status == 200
    assert answer["Content-Type"] == "text/html; charset=utf-8"
    assert len(re.findall(r'href="/posts/[a-z0-9-]+/"', answer.text)) >= 10
    assert answer.text.rstrip().endswith("</html>")


@pytest.mark.parametrize("path", ["/posts/hello-world/", "/feed.atom", "/sitemap.xml", "/robots.txt"])
def test_pages_of_every_kind_are_whole(chain, path):
    answer = chain.ask(path)
    assert answer.status == 200
    assert len(answer.body) == int(answer["Content-Length"])


def test_a_changed_post_is_seen_by_the_next_reader(chain, site):
    path, title = "/posts/hello-world/", f"Hello, {chain.server} by {chain.transport}"
    assert title not in chain.ask(path).text
    code = "from posts.models import Post; import os; p = Post.objects.get(slug='hello-world'); "
    site.manage("shell", "-c", code + "p.title = os.environ['TITLE']; p.save()", TITLE=title)
    assert title in chain.ask(path).text


def test_head_is_get_without_the_body(chain, converse):
    connection = chain.connect()
    try:
        get = converse(connection, "/posts/hello-world/")
        head = converse(connection, "/posts/hello-world/", method="HEAD")
        # A body that came after all would be taken for the head of this one.
        after = converse(connection, "/about/")
    finally:
        connection.close()
    assert (head.status, head.body) == (200, b"")
    assert head["Content-Length"] == get["Content-Length"] == str(len(get.body))
    assert head["ETag"] == get["ETag"]
    assert after.status == 200


def test_a_page_that_has_not_changed_is_not_sent_again(chain, converse):
    connection = chain.connect()
    try:
        first = converse(connection, "/posts/hello-world/")
        again = converse(connection, "/posts/hello-world/", fields={"If-None-Match": first["ETag"]})
        since = {"If-Modified-Since": first["Last-Modified"]}
        by_time = converse(connection, "/posts/hello-world/", fields=since)
        other = converse(connection, "/posts/hello-world/", fields={"If-None-Match": '"another"'})
    finally:
        connection.close()
    assert (again.status, again.body, again["ETag"]) == (304, b"", first["ETag"])
    assert (by_time.status, by_time.body) == (304, b"")
    assert (other.status, other.body) == (200, first.body)


def test_a_compressed_page_is_the_same_page_and_can_be_asked_about(chain):
    plain = chain.ask("/posts/hello-world/")
    packed = chain.ask("/posts/hello-world/", fields={"Accept-Encoding": "gzip"})
    assert packed["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed["Vary"]
    assert gzip.decompress(packed.body) == plain.body
    # Nginx makes the tag weak, because the bytes are others; Django still knows it.
    assert packed["ETag"] == "W/" + plain["ETag"].removeprefix("W/")
    fields = {"Accept-Encoding": "gzip", "If-None-Match": packed["ETag"]}
    assert chain.ask("/posts/hello-world/", fields=fields).status == 304


def test_a_page_that_is_not_there_is_answered_by_the_site(chain):
    answer = chain.ask("/posts/no-such-post/")
    assert answer.status == 404
    assert "There is no page at this address" in answer.text


def test_a_view_that_fails_shows_the_sites_page_and_leaves_its_traceback_in_the_log(chain):
    answer = chain.ask("/-probe/broken/")
    assert answer.status == 500
    assert "Something broke on our side" in answer.text
    assert answer["Cache-Control"] == "no-store"
    chain.upstream.wait_for_log("RuntimeError: the probe is broken on purpose")
    assert chain.ask("/about/").status == 200


def test_a_response_without_a_length_comes_whole(chain):
    answer = chain.ask("/-probe/pieces/40/")
    assert (answer["Content-Length"], answer["Transfer-Encoding"]) == (None, "chunked")
    assert answer.body == b"x" * 40 * 65536
