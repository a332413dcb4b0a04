"""The feeds and the sitemap, read as their readers read them: as XML."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from xml.etree import ElementTree

import pytest

ATOM = "{http://www.w3.org/2005/Atom}"
CONTENT = "{http://purl.org/rss/1.0/modules/content/}encoded"
SITEMAP = "{http://www.sitemaps.org/schemas/sitemap/0.9}"


def read(client, path, **options):
    response = client.get(path, **options)
    assert response.status_code == 200
    return response, ElementTree.fromstring(response.content)


def test_atom(client, samples, db):
    response, feed = read(client, "/feed.atom", secure=True)
    assert response.headers["Content-Type"] == "application/atom+xml; charset=utf-8"
    assert feed.findtext(f"{ATOM}title") == "Markup"
    links = {link.get("rel"): link.get("href") for link in feed.findall(f"{ATOM}link")}
    assert links == {"alternate": "https://testserver/", "self": "https://testserver/feed.atom"}
    entries = feed.findall(f"{ATOM}entry")
    assert len(entries) == 20
    first = entries[0]
    assert first.findtext(f"{ATOM}title") == "Letter to a new author"
    assert first.findtext(f"{ATOM}id") == "https://testserver/posts/letter-to-a-new-author/"
    assert first.findtext(f"{ATOM}published") == "2026-09-01T08:00:00+00:00"
    assert first.findtext(f"{ATOM}updated") == "2026-09-01T08:00:00+00:00"
    assert first.findtext(f"{ATOM}author/{ATOM}name") == "The Editors"
    assert [c.get("term") for c in first.findall(f"{ATOM}category")] == ["Publishing"]
    assert first.findtext(f"{ATOM}summary").startswith("Welcome.")
    assert first.findtext(f"{ATOM}content").startswith("<p>Welcome.")
    assert first.find(f"{ATOM}content").get("type") == "html"
    assert feed.findtext(f"{ATOM}updated") == "2026-09-01T08:00:00+00:00"


def test_rss(client, samples, db):
    response, feed = read(client, "/feed.rss")
    assert response.headers["Content-Type"] == "application/rss+xml; charset=utf-8"
    channel = feed.find("channel")
    assert channel.findtext("link") == "http://testserver/"
    assert channel.findtext("description") == "Notes on publishing for the web"
    assert channel.find(f"{ATOM}link").get("href") == "http://testserver/feed.rss"
    items = channel.findall("item")
    assert len(items) == 20
    first = items[0]
    assert (
        first.findtext("guid") == first.findtext("link") == "http://testserver/posts/letter-to-a-new-author/"
    )
    assert parsedate_to_datetime(first.findtext("pubDate")) == datetime(2026, 9, 1, 8, tzinfo=UTC)
    assert first.findtext("description").startswith("Welcome.")
    assert first.findtext(CONTENT).startswith("<p>Welcome.")


@pytest.mark.parametrize("path", ["/feed.atom", "/feed.rss"])
def test_addresses_in_feeds_hold_elsewhere(client, write, path):
    write(
        "Links",
        source=(
            '<img src="/media/a.png"> <a href="/tags/">t</a> <a href="#x">f</a> '
            '<a href="https://example.org/">e</a> <a href="//example.net/">n</a> src="/not-a-link"'
        ),
        format="html",
    )
    _, feed = read(client, path)
    content = feed.findtext(f"{ATOM}entry/{ATOM}content") or feed.findtext(f"channel/item/{CONTENT}")
    for part in (
        'src="http://testserver/media/a.png"',
        'href="http://testserver/tags/"',
        'href="http://testserver/posts/links/#s-x"',
        'href="https://example.org/"',
        'href="//example.net/"',
    ):
        assert part in content


@pytest.mark.parametrize("path", ["/feed.atom", "/feed.rss"])
def test_feeds_are_xml_whatever_authors_type(client, write, author, path):
    author.first_name = "A\x02<b>"
    author.save()
    write("Title \x01 & <b>", source="Text \x0b & ]]> <b>", tags=["Tag \x03 <b>"])
    _, feed = read(client, path)
    title = feed.findtext(f"{ATOM}entry/{ATOM}title") or feed.findtext("channel/item/title")
    assert title == "Title  & <b>"


@pytest.mark.parametrize("path", ["/feed.atom", "/feed.rss"])
def test_an_empty_site_has_feeds(client, db, path):
    response, _ = read(client, path)
    assert "Last-Modified" not in response.headers or response.headers["ETag"]


def test_the_sitemap_names_every_page_once(client, samples, db):
    response, sitemap = read(client, "/sitemap.xml", secure=True)
    assert response.headers["Content-Type"] == "application/xml"
    places = [url.findtext(f"{SITEMAP}loc") for url in sitemap]
    assert len(places) == len(set(places)) == 3 + 25 + 17
    assert all(client.get(place, secure=True).status_code == 200 for place in places)
    dates = {url.findtext(f"{SITEMAP}loc"): url.findtext(f"{SITEMAP}lastmod") for url in sitemap}
    assert dates["https://testserver/posts/hello-world/"] == "2025-09-02"
    assert dates["https://testserver/tags/http/"] is None
