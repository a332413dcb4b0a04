"""Posts, their tags and the files that belong to them.

A post is rendered when it is saved, and what readers get is stored with it. Bulk operations of the ORM that
change `source` or `format` go past `save()` and leave the rendering behind; `manage.py render_posts`
catches up.
"""

from datetime import datetime
from typing import Self

from django.conf import settings
from django.core.validators import FileExtensionValidator
from django.db import models
from django.db.models.functions import Lower, Now
from django.urls import reverse
from django.utils import timezone
from django.utils.text import slugify

from posts.rendering.pipeline import FORMATS, Rendered, render

# Words a reader takes in per minute.
READING_SPEED = 230
# What pages show of a post beside its text, and no more: neither its source nor the author's password.
LISTED_FIELDS = (
    *("slug", "title", "excerpt", "format", "words", "content_hash", "status", "published_at", "updated_at"),
    *("author__username", "author__first_name", "author__last_name"),
)
RENDERED_FIELDS = ("html", "text", "excerpt", "words", "content_hash")
ATTACHMENT_TYPES = ["avif", "gif", "jpeg", "jpg", "pdf", "png", "svg", "txt", "webp", "zip"]


def free_slug(manager: models.Manager, text: str, fallback: str) -> str:
    """Return a slug made of `text` that no row of `manager` has, with a number at its end if need be."""
    length = manager.model._meta.get_field("slug").max_length
    stem = slugify(text)[: length - 6].strip("-_") or fallback
    taken = set(manager.filter(slug__startswith=stem).values_list("slug", flat=True))
    slug, number = stem, 1
    while slug in taken:
        number += 1
        slug = f"{stem}-{number}"
    return slug


class Tag(models.Model):
    """What a post is about, in a word or two."""

    name = models.CharField(max_length=60, unique=True)
    slug = models.SlugField(
        max_length=70, unique=True, blank=True, help_text="Left empty, it is made of the name."
    )

    class Meta:
        ordering = (Lower("name"),)

    def __str__(self):
        return self.name

    def save(self, **kwargs):
        """Save, with a slug."""
        if not self.slug:
            self.slug = free_slug(Tag.objects, self.name, "tag")
        super().save(**kwargs)

    def get_absolute_url(self) -> str:
        """The path of the page that lists the tag's posts."""
        return reverse("tag", kwargs={"slug": self.slug})


class PostQuerySet(models.QuerySet):
    """The questions that are asked about posts. What "published" means is said here and nowhere else."""

    def published(self, now: datetime | None = None) -> Self:
        """Posts that readers can see at `now`: from their time of publication on, to the microsecond."""
        return self.filter(status=Post.Status.PUBLISHED, published_at__lte=now or timezone.now())

    def scheduled(self, now: datetime | None = None) -> Self:
        """Posts that will be published by themselves after `now`."""
        return self.filter(status=Post.Status.PUBLISHED, published_at__gt=now or timezone.now())

    def next_publication(self, now: datetime | None = None) -> datetime | None:
        """When the next scheduled post appears; None if none is scheduled."""
        return self.scheduled(now).aggregate(models.Min("published_at"))["published_at__min"]

    def for_list(self) -> Self:
        """Posts with what a list of posts shows: one query, and one for the tags."""
        return self.select_related("author").prefetch_related("tags").only(*LISTED_FIELDS)

    def for_page(self) -> Self:
        """Posts with all that a post's own page shows: one query, and one for the tags."""
        return self.for_list().only(*LISTED_FIELDS, "html")


class Post(models.Model):
    """One piece of writing."""

    class Status(models.TextChoices):
        """Whether an author has let go of a post."""

        DRAFT = "draft", "Draft"
        PUBLISHED = "published", "Published"

    title = models.CharField(max_length=200)
    slug = models.SlugField(
        max_length=200,
        unique=True,
        blank=True,
        help_text="The last part of the post's address. Left empty, it is made of the title.",
    )
    format = models.CharField(max_length=20, choices=[(name, form.label) for name, form in FORMATS.items()])
    source = models.TextField()
    status = models.CharField(max_length=10, choices=Status, default=Status.DRAFT)
    published_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="A time in the future schedules the post. Left empty, a published post appears at once.",
    )
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="posts")
    tags = models.ManyToManyField(Tag, blank=True, related_name="posts")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    # Made by render().
    html = models.TextField(editable=False)
    text = models.TextField(editable=False)
    excerpt = models.CharField(max_length=300, editable=False)
    words = models.PositiveIntegerField(editable=False)
    content_hash = models.CharField(max_length=64, editable=False)

    objects = PostQuerySet.as_manager()

    class Meta:
        ordering = ("-published_at", "-pk")
        indexes = (models.Index(fields=("status", "-published_at", "-id"), name="post_by_time"),)
        constraints = (
            models.CheckConstraint(
                condition=~models.Q(status="published") | models.Q(published_at__isnull=False),
                name="published_post_has_time",
            ),
        )

    def __str__(self):
        return self.title

    def save(self, *, update_fields=None, **kwargs):
        """Save, with a slug, a time if it is published, and rendered; raises RenderError if it cannot be.

        With `update_fields`, it is rendered only if one of them is the source or the format.
        """
        if not self.slug:
            self.slug = free_slug(Post.objects, self.title, "post")
        if self.status == self.Status.PUBLISHED and self.published_at is None:
            self.published_at = timezone.now()
        if update_fields is None:
            self.render()
        elif {"source", "format"} & set(update_fields):
            self.render()
            update_fields = {*update_fields, *RENDERED_FIELDS}
        super().save(update_fields=update_fields, **kwargs)

    def render(self) -> Rendered:
        """Set the fields that are made of the source, without saving them; return what was rendered."""
        rendered = render(self.source, self.format)
        for name in RENDERED_FIELDS:
            setattr(self, name, getattr(rendered, name))
        return rendered

    def get_absolute_url(self) -> str:
        """The path of the post's page."""
        return reverse("post", kwargs={"slug": self.slug})

    def is_visible(self, now: datetime | None = None) -> bool:
        """Whether readers can see the post at `now`: `published()` asked of one post."""
        return (
            self.status == self.Status.PUBLISHED
            and self.published_at is not None
            and self.published_at <= (now or timezone.now())
        )

    @property
    def changed_at(self) -> datetime:
        """When the page last changed for readers: a scheduled post changes by appearing."""
        return max(self.updated_at, self.published_at) if self.published_at else self.updated_at

    @property
    def revised_at(self) -> datetime | None:
        """The day of a revision worth telling: one made on a later day than that of publication."""
        if self.published_at and self.updated_at.date() > self.published_at.date():
            return self.updated_at
        return None

    @property
    def minutes(self) -> int:
        """Minutes it takes to read the post, at least one."""
        return max(1, round(self.words / READING_SPEED))

    @property
    def fingerprint(self) -> tuple:
        """Everything that a page may show of this post, for the validators of pages that show it."""
        tags = tuple((tag.slug, tag.name) for tag in self.tags.all())
        times = (self.published_at, self.updated_at)
        return (self.slug, self.title, self.format, self.content_hash, self.author.display_name, *times, tags)


class Attachment(models.Model):
    """A file that an author uploaded, to be shown or linked in posts by its address under the media URL."""

    file = models.FileField(
        upload_to="uploads/%Y/%m/",
        max_length=200,
        validators=[FileExtensionValidator(ATTACHMENT_TYPES)],
        help_text=f"One of: {', '.join(ATTACHMENT_TYPES)}.",
    )
    description = models.CharField(
        max_length=300,
        blank=True,
        help_text="What is in it, for authors and as the text in place of an image.",
    )
    uploaded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="attachments", editable=False
    )
    uploaded_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ("-uploaded_at", "-pk")

    def __str__(self):
        return self.file.name
