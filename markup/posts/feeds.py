"""The newest posts as Atom and as RSS 2.0, with their whole text."""

import re

from django.contrib.syndication.views import Feed
from django.http import HttpRequest, HttpResponse
from django.urls import reverse_lazy
from django.utils import timezone
from django.utils.feedgenerator import Atom1Feed, Rss201rev2Feed

from posts.models import Post
from posts.rendering.text import without_controls
from posts.validators import conditional

ENTRIES = 20
# In sanitised HTML values are quoted; a path or fragment of this site begins with one of the two.
LOCAL = re.compile(r' (href|src|cite)="(#|/(?!/))')


class _AtomWithContent(Atom1Feed):
    """Atom with the whole post beside its summary."""

    def add_item_elements(self, handler, item):
        """Write an entry."""
        super().add_item_elements(handler, item)
        handler.addQuickElement("content", item["content"], {"type": "html"})


class _RssWithContent(Rss201rev2Feed):
    """RSS with the whole post beside its description, by the extension that readers know."""

    def rss_attributes(self):
        """Declare the extension."""
        return {**super().rss_attributes(), "xmlns:content": "http://purl.org/rss/1.0/modules/content/"}

    def add_item_elements(self, handler, item):
        """Write an item."""
        super().add_item_elements(handler, item)
        handler.addQuickElement("content:encoded", item["content"])


class _PostFeed(Feed):
    """What both feeds have in common: their posts, and answers to conditional requests."""

    title = "Markup"
    link = reverse_lazy("posts")
    description = subtitle = "Notes on publishing for the web"

    def __call__(self, request: HttpRequest, *args, **kwargs) -> HttpResponse:
        """Answer with the feed, or with 304."""
        now = timezone.now()
        posts = list(Post.objects.published(now).for_page()[:ENTRIES])
        request.feed_posts = posts
        return conditional(
            request,
            [post.fingerprint for post in posts],
            lambda: super(_PostFeed, self).__call__(request, *args, **kwargs),
            changed_at=max((post.changed_at for post in posts), default=None),
            until=Post.objects.next_publication(now),
            now=now,
        )

    def get_object(self, request):
        """Hand the request on to the methods below, which Django calls with what this returns."""
        return request

    def items(self, request):
        """The newest posts."""
        return request.feed_posts

    def item_title(self, post):
        """The post's title."""
        return without_controls(post.title)

    def item_description(self, post):
        """The beginning of the post."""
        return post.excerpt

    def item_author_name(self, post):
        """The name under the post."""
        return without_controls(post.author.display_name)

    def item_pubdate(self, post):
        """When it appeared."""
        return post.published_at

    def item_updateddate(self, post):
        """When it last changed."""
        return post.changed_at

    def item_categories(self, post):
        """The names of its tags."""
        return [without_controls(tag.name) for tag in post.tags.all()]

    def item_extra_kwargs(self, post):
        """The post's whole text."""
        return {"content": post.html}

    def get_feed(self, obj, request):
        """Make the feed, with addresses that hold outside this site."""
        feed = super().get_feed(obj, request)
        origin = request.build_absolute_uri("/").rstrip("/")
        for item in feed.items:
            item["content"] = LOCAL.sub(
                lambda match, page=item["link"]: (
                    f' {match[1]}="{page if match[2] == "#" else origin}{match[2]}'
                ),
                item["content"],
            )
        return feed


class AtomFeed(_PostFeed):
    """The feed as Atom."""

    feed_type = _AtomWithContent


class RssFeed(_PostFeed):
    """The feed as RSS 2.0."""

    feed_type = _RssWithContent
