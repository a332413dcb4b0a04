"""The URLs of the pages for readers, their feeds and what crawlers ask for."""

from django.urls import path
from django.views.decorators.http import require_safe

from posts import views
from posts.feeds import AtomFeed, RssFeed
from posts.sitemaps import sitemap

urlpatterns = [
    path("", views.post_list, name="posts"),
    path("page/<int:page>/", views.post_list, name="posts-page"),
    path("posts/<slug:slug>/", views.post_detail, name="post"),
    path("tags/", views.tag_list, name="tags"),
    path("tags/<slug:slug>/", views.tag_posts, name="tag"),
    path("tags/<slug:slug>/page/<int:page>/", views.tag_posts, name="tag-page"),
    path("about/", views.about, name="about"),
    path("feed.atom", require_safe(AtomFeed()), name="atom"),
    path("feed.rss", require_safe(RssFeed()), name="rss"),
    path("sitemap.xml", sitemap, name="sitemap"),
    path("robots.txt", views.robots, name="robots"),
]
