"""The pages for readers: what they show and to whom, what they cost, and what they say to caches."""

from datetime import timedelta
from unittest import mock

import pytest
from django.template import Template
from django.test import Client
from django.utils import timezone

from posts.models import Post

PAGES = ["/", "/page/2/", "/posts/hello-world/", "/tags/", "/tags/http/", "/about/"]
OTHERS = ["/feed.atom", "/feed.rss", "/sitemap.xml", "/robots.txt"]


@pytest.fixture
def site(samples, db):
    """The site with its samples."""


def test_the_list_shows_ten_a_page_newest_first(client, site):
    slugs = []
    for path in ("/", "/page/2/", "/page/3/"):
        slugs += [post.slug for post in client.get(path).context["page"]]
    assert slugs == list(Post.objects.order_by("-published_at").values_list("slug", flat=True))
    assert len(slugs) == 25


def test_every_page_of_the_list_has_one_address(client, site):
    first = client.get("/page/1/")
    assert (first.status_code, first.headers["Location"]) == (301, "/")
    assert client.get("/page/4/").status_code == 404
    assert client.get("/page/0/").status_code == 404
    assert client.get("/page/99999999999999999999/").status_code == 404
    assert client.get("/tags/http/page/1/").headers["Location"] == "/tags/http/"
    assert client.get("/page/2").headers["Location"] == "/page/2/"


def test_an_empty_site_has_a_front_page(client, db):
    for path in ("/", "/tags/"):
        response = client.get(path)
        assert response.status_code == 200
        assert b"Nothing is published yet." in response.content


def test_tag_pages(client, write):
    write("Seen", tags=["two", "Three", "One"])
    write("Draft", tags=["One", "Four"], status="draft")
    assert [post.title for post in client.get("/tags/one/").context["page"]] == ["Seen"]
    assert client.get("/tags/four/").status_code == 404
    assert client.get("/tags/none/").status_code == 404
    tags = client.get("/tags/").context["tags"]
    assert [(tag.name, tag.count) for tag in tags] == [("One", 1), ("Three", 1), ("two", 1)]


def test_tags_with_many_posts_have_pages(client, write):
    for number in range(12):
        write(f"Post {number}", tags=["Many"])
    assert b"12 posts" in client.get("/tags/many/").content
    assert len(client.get("/tags/many/page/2/").context["page"]) == 2


@pytest.mark.parametrize(
    "path", ["/posts/zanzibar/", "/", "/tags/", "/tags/quokka/", "/feed.atom", "/feed.rss", "/sitemap.xml"]
)
@pytest.mark.parametrize(
    "fields", [{"status": "draft"}, {"published_at": timezone.now() + timedelta(days=1)}]
)
def test_what_is_not_published_is_nowhere(client, write, path, fields):
    write("Zanzibar", tags=["Quokka"], **fields)
    response = client.get(path)
    assert b"zanzibar" not in response.content.lower()
    assert b"quokka" not in response.content.lower()
    if path in ("/posts/zanzibar/", "/tags/quokka/"):
        assert response.status_code == 404


def test_a_scheduled_post_appears_at_its_moment_everywhere(client, write):
    moment = timezone.now() + timedelta(days=1)
    write("Tomorrow", tags=["Soon"], published_at=moment)
    where = ["/posts/tomorrow/", "/", "/tags/", "/tags/soon/", "/feed.atom", "/feed.rss", "/sitemap.xml"]

    def seen():
        contents = [client.get(path).content.lower() for path in where]
        return [b"tomorrow" in content or b"/tags/soon/" in content for content in contents]

    with mock.patch.object(timezone, "now", return_value=moment - timedelta(microseconds=1)):
        assert not any(seen())
    with mock.patch.object(timezone, "now", return_value=moment):
        assert all(seen())


def test_caches_do_not_keep_a_list_beyond_the_next_publication(client, write):
    now = timezone.now()
    write("Now")
    write("Soon", published_at=now + timedelta(seconds=25))
    for path in ("/", "/tags/", "/feed.atom", "/feed.rss", "/sitemap.xml"):
        for at, age in ((now, 25), (now + timedelta(seconds=24.5), 0), (now + timedelta(seconds=25), 60)):
            with mock.patch.object(timezone, "now", return_value=at):
                assert client.get(path).headers["Cache-Control"] == f"public, max-age={age}", path


QUERIES = [
    ("/", 4),
    ("/page/2/", 4),
    ("/posts/hello-world/", 2),
    ("/tags/", 2),
    ("/tags/http/", 5),
    ("/about/", 0),
    ("/feed.atom", 3),
    ("/feed.rss", 3),
    ("/sitemap.xml", 3),
    ("/robots.txt", 0),
    ("/nowhere/", 0),
]


@pytest.mark.parametrize(("path", "number"), QUERIES)
def test_pages_cost_few_queries_however_many_posts_there_are(client, site, count_queries, path, number):
    with count_queries() as queries:
        client.get(path)
    assert len(queries) == number, [query["sql"] for query in queries]


def test_lists_do_not_load_what_they_do_not_show(client, site, count_queries):
    with count_queries() as queries:
        client.get("/")
    for column in ("source", "html", "text", "password", "email"):
        assert not any(f'."{column}"' in query["sql"] for query in queries)
    with count_queries() as queries:
        client.get("/posts/hello-world/")
    for column in ("source", "text", "password", "email"):
        assert not any(f'."{column}"' in query["sql"] for query in queries)


def test_reading_renders_nothing(client, site):
    with mock.patch("posts.models.render", side_effect=AssertionError("rendered")):
        for path in PAGES + OTHERS:
            assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", PAGES + OTHERS)
def test_what_was_seen_is_not_sent_again(client, site, path):
    first = client.get(path)
    etag = first.headers["ETag"]
    assert etag.startswith('"')
    for condition in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        again = client.get(path, headers={"if-none-match": condition})
        assert (again.status_code, again.content) == (304, b"")
        for name in ("ETag", "Cache-Control", "Last-Modified"):
            assert again.headers.get(name) == first.headers.get(name)
    assert client.get(path, headers={"if-none-match": '"other"'}).status_code == 200
    assert client.head(path, headers={"if-none-match": etag}).status_code == 304
    assert client.head(path).headers["ETag"] == etag


@pytest.mark.parametrize("path", ["/posts/hello-world/", "/feed.atom", "/feed.rss"])
def test_those_who_only_know_the_date_are_answered_too(client, site, path):
    date = client.get(path).headers["Last-Modified"]
    assert client.get(path, headers={"if-modified-since": date}).status_code == 304
    earlier = {"if-modified-since": "Mon, 01 Sep 2025 00:00:00 GMT"}
    assert client.get(path, headers=earlier).status_code == 200
    # The tag decides where both are sent.
    both = {"if-modified-since": date, "if-none-match": '"other"'}
    assert client.get(path, headers=both).status_code == 200


@pytest.mark.parametrize("path", PAGES + OTHERS)
def test_a_304_renders_no_template(client, site, path):
    etag = client.get(path).headers["ETag"]
    with mock.patch.object(Template, "render", side_effect=AssertionError("rendered")):
        assert client.get(path, headers={"if-none-match": etag}).status_code == 304


def test_every_change_of_a_page_changes_its_tag(client, write, author):
    post = write("One", tags=["Old"], source="Text.")
    seen = {"/": set(), "/posts/one/": set(), "/feed.atom": set()}

    def changed():
        for path, tags in seen.items():
            tag = client.get(path).headers["ETag"]
            assert tag not in tags, path
            tags.add(tag)

    changed()
    post.source = "Other text."
    post.save()
    changed()
    post.tags.get().delete()
    changed()
    author.first_name = "Augusta"
    author.save()
    changed()
    with mock.patch("posts.validators._release_of_process", return_value=b"another release"):
        changed()


def test_tags_differ_between_hosts_because_pages_do(client, site):
    assert client.get("/").headers["ETag"] != client.get("/", headers={"host": "localhost"}).headers["ETag"]
    assert client.get("/").headers["ETag"] != client.get("/", secure=True).headers["ETag"]


@pytest.mark.parametrize("path", [*PAGES, *OTHERS, "/nowhere/"])
def test_readers_get_no_cookie_and_no_page_varies_by_one(site, path):
    for client in (Client(), Client(headers={"cookie": "sessionid=stale; csrftoken=stale; messages=x"})):
        response = client.get(path)
        assert not response.cookies
        assert "Set-Cookie" not in response.headers
        assert "cookie" not in response.headers.get("Vary", "").lower()


def test_authors_who_are_signed_in_get_the_same_pages(client, site, author):
    signed_in = Client()
    signed_in.force_login(author)
    for path in PAGES:
        one, other = client.get(path), signed_in.get(path)
        assert one.content == other.content
        assert one.headers["ETag"] == other.headers["ETag"]
        assert not other.cookies


@pytest.mark.parametrize("path", [*PAGES, *OTHERS, "/nowhere/"])
def test_every_response_carries_its_policy(client, site, path):
    headers = client.get(path).headers
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "script-src" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("path", PAGES + OTHERS)
def test_pages_are_for_reading_only(site, path):
    client = Client(enforce_csrf_checks=False)
    assert client.post(path).status_code == 405
    assert client.delete(path).status_code == 405


def test_a_post_says_what_it_is(client, write):
    source = "A text that is long enough to be an excerpt of itself & no more."
    write("Less < more", source=source, tags=["T"])
    page = client.get("/posts/less-more/").content.decode()
    excerpt = "A text that is long enough to be an excerpt of itself &amp; no more."
    for part in (
        "<title>Less &lt; more · Markup</title>",
        f'<meta name="description" content="{excerpt}">',
        '<link rel="canonical" href="http://testserver/posts/less-more/">',
        '<meta property="og:type" content="article">',
        '<meta property="og:title" content="Less &lt; more">',
        '<meta property="og:url" content="http://testserver/posts/less-more/">',
        '<meta property="article:published_time" content="2020-01-01T00:00:00+00:00">',
        '<time datetime="2020-01-01T00:00:00+00:00">1 January 2020</time>',
        "Written in Markdown by Ada Lovelace.",
        "Revised on",
        '<a href="/tags/t/" rel="tag">T</a>',
    ):
        assert part in page


def test_a_page_that_is_not_there(client, db):
    response = client.get("/posts/nowhere/")
    assert response.status_code == 404
    assert b"There is no page at this address" in response.content
    assert "ETag" not in response.headers
    assert "max-age" not in response.headers.get("Cache-Control", "")


def test_the_page_for_a_failure_needs_nothing_that_may_have_failed(count_queries):
    client = Client(raise_request_exception=False)
    with (
        count_queries() as queries,
        mock.patch("posts.views.Paginator", side_effect=RuntimeError("broken")),
        mock.patch("django.contrib.staticfiles.storage.staticfiles_storage.url", side_effect=ValueError),
    ):
        response = client.get("/")
    assert response.status_code == 500
    assert b"Something broke on our side" in response.content
    assert len(queries) == 0
    assert response.headers["Cache-Control"] == "no-store"
    assert "style-src 'unsafe-inline'" in response.headers["Content-Security-Policy"]
    assert not response.cookies


def test_an_unknown_host_is_refused(client, site):
    response = client.get("/", headers={"host": "evil.example", "cookie": "csrftoken=stale"})
    assert response.status_code == 400
    assert not response.cookies


def test_robots(client):
    response = client.get("/robots.txt", secure=True)
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.content.decode() == (
        "User-agent: *\nDisallow: /admin/\n\nSitemap: https://testserver/sitemap.xml\n"
    )
