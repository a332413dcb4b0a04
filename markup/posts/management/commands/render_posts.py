"""Renders every post again: after an upgrade of a renderer, or a change of source past `Post.save()`."""

from django.core.management.base import BaseCommand

from posts.models import RENDERED_FIELDS, Post
from posts.rendering.errors import RenderError


class Command(BaseCommand):
    """Renders posts and saves those that come out differently, without counting that as a revision."""

    help = "Render every post again and save those whose rendering changed."

    def handle(self, **options):
        """Run the command."""
        changed = total = 0
        for pk in Post.objects.order_by("pk").values_list("pk", flat=True):
            post = Post.objects.get(pk=pk)
            before = [getattr(post, name) for name in RENDERED_FIELDS]
            try:
                post.render()
            except RenderError as error:
                self.stderr.write(f"{post.slug}: {error}")
                continue
            total += 1
            values = {name: getattr(post, name) for name in RENDERED_FIELDS}
            if list(values.values()) != before:
                Post.objects.filter(pk=pk).update(**values)
                changed += 1
        self.stdout.write(f"{total} posts rendered, {changed} changed.")
