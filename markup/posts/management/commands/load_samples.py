"""Fills the site with the sample posts, so that there is something to read, to measure and to show."""

import tomllib
from datetime import UTC, datetime
from pathlib import Path

from django.contrib.auth import get_user_model
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management.base import BaseCommand
from django.db import transaction

from posts.models import Post, Tag

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
FORMATS = {".md": "markdown", ".rst": "restructuredtext", ".txt": "plain", ".html": "html"}
AUTHOR = {"username": "editors", "first_name": "The", "last_name": "Editors"}


class Command(BaseCommand):
    """Loads posts/samples: index.toml names the posts, a file each holds the text, media/ the images.

    Run again, it changes only what differs from the samples, and brings back samples that were edited.
    """

    help = "Load the sample posts and their images."

    def add_arguments(self, parser):
        """Define the options."""
        parser.add_argument("--if-empty", action="store_true", help="do nothing if the site has any post")

    def handle(self, *, if_empty, verbosity, **options):
        """Run the command."""
        if if_empty and Post.objects.exists():
            if verbosity:
                self.stdout.write("The site has posts: no samples loaded.")
            return
        # Images first: rendering a post looks up their sizes.
        images = sum(self._load_image(path) for path in sorted((SAMPLES / "media").iterdir()))
        index = tomllib.loads((SAMPLES / "index.toml").read_text(encoding="utf-8"))
        with transaction.atomic():
            author = self._author()
            loaded = sum(self._load_post(author, **entry) for entry in index["post"])
        if verbosity:
            total = len(index["post"])
            self.stdout.write(
                f"Sample posts: {loaded} loaded, {total - loaded} up to date; new images: {images}."
            )

    def _author(self):
        """Return the user under whose name the samples stand, and who cannot sign in."""
        user, made = get_user_model().objects.get_or_create(username=AUTHOR["username"], defaults=AUTHOR)
        if made:
            user.set_unusable_password()
            user.save()
        return user

    def _load_image(self, path: Path) -> bool:
        """Store an image under samples/ in the media; return whether it was not there already."""
        name, content = f"samples/{path.name}", path.read_bytes()
        if default_storage.exists(name):
            with default_storage.open(name) as file:
                if file.read() == content:
                    return False
            default_storage.delete(name)
        default_storage.save(name, ContentFile(content))
        return True

    def _load_post(self, author, *, file: str, title: str, date: datetime, tags: list[str]) -> bool:
        """Create or correct one post; return whether there was something to do."""
        path = SAMPLES / file
        wanted = {
            "title": title,
            "format": FORMATS[path.suffix],
            "source": path.read_text(encoding="utf-8"),
            "status": Post.Status.PUBLISHED,
            "published_at": date.astimezone(UTC),
        }
        post = Post.objects.filter(slug=path.stem).first() or Post(slug=path.stem, author=author)
        names = {tag.name for tag in post.tags.all()} if post.pk else set()
        if (
            post.pk
            and names == set(tags)
            and all(getattr(post, name) == value for name, value in wanted.items())
        ):
            return False
        for name, value in wanted.items():
            setattr(post, name, value)
        post.save()
        post.tags.set([Tag.objects.get_or_create(name=name)[0] for name in tags])
        # The samples are as old as they say they are.
        Post.objects.filter(pk=post.pk).update(created_at=post.published_at, updated_at=post.published_at)
        return True
