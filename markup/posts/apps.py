"""Registers the app with Django."""

from django.apps import AppConfig


class PostsConfig(AppConfig):
    """The app that holds posts, tags and attachments."""

    name = "posts"
