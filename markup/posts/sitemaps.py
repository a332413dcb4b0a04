"""The sitemap: every page that a reader can come to by itself."""

from django.contrib.sitemaps import Sitemap
from django.contrib.sitemaps.views import sitemap as sitemap_view
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from posts.models import Post, Tag
from posts.validators import conditional


class _Entries(Sitemap):
    """Entries that the view below has made: pairs of a path and the time it last changed, or None."""

    def __init__(self, entries, protocol):
        self.entries = entries
        self.protocol = protocol

    def items(self):
        """The entries."""
        return self.entries

    def location(self, entry):
        """The path of the entry."""
        return entry[0]

    def lastmod(self, entry):
        """When the page last changed."""
        return entry[1]


@require_safe
def sitemap(request: HttpRequest) -> HttpResponse:
    """The sitemap, or 304."""
    now = timezone.now()
    posts = Post.objects.published(now).only("slug", "updated_at", "published_at")
    entries = [(reverse("posts"), None), (reverse("tags"), None), (reverse("about"), None)]
    entries += [(post.get_absolute_url(), post.changed_at) for post in posts]
    tags = Tag.objects.filter(posts__in=Post.objects.published(now).values("pk")).distinct()
    entries += [(tag.get_absolute_url(), None) for tag in tags]

    def respond() -> HttpResponse:
        section = _Entries(entries, request.scheme)
        return sitemap_view(request, {"site": section}).render()

    return conditional(request, entries, respond, until=Post.objects.next_publication(now), now=now)
