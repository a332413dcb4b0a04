"""The pages for readers. They know no session, no user and no CSRF token, so that none of them varies by a
cookie; see markup/readers.py.
"""

from django.core.paginator import EmptyPage, Page, Paginator
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseServerError
from django.shortcuts import get_object_or_404, redirect, render
from django.template import loader
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from posts.models import Post, Tag
from posts.validators import conditional

PER_PAGE = 10


@require_safe
def post_list(request: HttpRequest, page: int = 1) -> HttpResponse:
    """The newest posts, PER_PAGE a page."""
    return _listing(request, Post.objects.all(), page, "posts/list.html", "posts", {"section": "posts"})


@require_safe
def tag_posts(request: HttpRequest, slug: str, page: int = 1) -> HttpResponse:
    """The newest posts that have a tag."""
    tag = get_object_or_404(Tag, slug=slug)
    posts = Post.objects.filter(tags=tag)
    return _listing(request, posts, page, "posts/tag.html", "tag", {"tag": tag, "section": "tags"}, slug=slug)


def _listing(
    request: HttpRequest, posts: QuerySet, number: int, template: str, name: str, context: dict, **place: str
) -> HttpResponse:
    """One page of the published among `posts`; the first page has one address, the one without a number."""
    if request.resolver_match.url_name.endswith("-page") and number == 1:
        return redirect(name, permanent=True, **place)
    now = timezone.now()
    try:
        page: Page = Paginator(posts.published(now).for_list(), PER_PAGE).page(number)
    except EmptyPage:
        raise Http404("There is no such page.") from None
    if place and not page.object_list:
        raise Http404("No published post is here.")
    until = posts.next_publication(now)

    def path(to: int) -> str:
        return (
            reverse(name, kwargs=place) if to == 1 else reverse(f"{name}-page", kwargs={**place, "page": to})
        )

    context |= {
        "page": page,
        "newer": path(page.previous_page_number()) if page.has_previous() else None,
        "older": path(page.next_page_number()) if page.has_next() else None,
    }
    shown = ([post.fingerprint for post in page], page.paginator.num_pages, str(context.get("tag", "")))
    return conditional(request, shown, lambda: render(request, template, context), until=until, now=now)


@require_safe
def post_detail(request: HttpRequest, slug: str) -> HttpResponse:
    """One post: 404 until the moment it is published."""
    post = get_object_or_404(Post.objects.published().for_page(), slug=slug)
    return conditional(
        request,
        post.fingerprint,
        lambda: render(request, "posts/post.html", {"post": post}),
        changed_at=post.changed_at,
    )


@require_safe
def tag_list(request: HttpRequest) -> HttpResponse:
    """Every tag that readers can find a post under, with the number of its posts."""
    now = timezone.now()
    visible = Post.objects.published(now).values("pk")
    # Said again because Django leaves a model's own order out of queries that count.
    counted = Tag.objects.annotate(count=Count("posts", filter=Q(posts__in=visible))).filter(count__gt=0)
    tags = counted.order_by(*Tag._meta.ordering)
    shown = [(tag.slug, tag.name, tag.count) for tag in tags]
    return conditional(
        request,
        shown,
        lambda: render(request, "posts/tags.html", {"tags": tags, "section": "tags"}),
        until=Post.objects.next_publication(now),
        now=now,
    )


@require_safe
def about(request: HttpRequest) -> HttpResponse:
    """What this site is."""
    return conditional(request, "about", lambda: render(request, "posts/about.html", {"section": "about"}))


@require_safe
def robots(request: HttpRequest) -> HttpResponse:
    """What crawlers may visit."""
    return conditional(
        request, "robots", lambda: render(request, "robots.txt", content_type="text/plain; charset=utf-8")
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """The page for an error in the site itself: needs no database, no request and no other file."""
    response = HttpResponseServerError(loader.get_template("500.html").render())
    response.headers["Cache-Control"] = "no-store"
    return response
