"""Posts: when they can be seen, what their addresses are, and when they are rendered."""

from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from posts.models import Post, Tag
from posts.rendering.errors import RenderError

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)


def titles(posts):
    return sorted(post.title for post in posts)


def test_a_post_is_published_from_its_time_on_and_not_before(write):
    post = write(published_at=NOON)
    assert not Post.objects.published(NOON - INSTANT).exists()
    assert Post.objects.published(NOON).get() == post
    assert Post.objects.published(NOON + INSTANT).get() == post
    assert [post.is_visible(NOON + d) for d in (-INSTANT, timedelta(), INSTANT)] == [False, True, True]
    assert Post.objects.scheduled(NOON - INSTANT).get() == post
    assert not Post.objects.scheduled(NOON).exists()


def test_a_draft_is_never_published_whatever_its_time(write):
    write("without time", status="draft", published_at=None)
    past = write("with time", status="draft", published_at=NOON)
    assert not Post.objects.published(NOON + timedelta(days=1)).exists()
    assert not Post.objects.scheduled(NOON - timedelta(days=1)).exists()
    assert not past.is_visible(NOON + timedelta(days=1))


def test_the_clock_decides_where_no_time_is_given(write):
    post = write(published_at=NOON)
    with mock.patch.object(timezone, "now", return_value=NOON - INSTANT):
        assert not Post.objects.published().exists()
        assert not post.is_visible()
    with mock.patch.object(timezone, "now", return_value=NOON):
        assert Post.objects.published().exists()
        assert post.is_visible()


def test_the_next_publication(write):
    assert Post.objects.next_publication(NOON) is None
    write("later", published_at=NOON + timedelta(hours=2))
    write("next", published_at=NOON + timedelta(hours=1))
    write("out", published_at=NOON)
    write("draft", published_at=NOON + timedelta(minutes=1), status="draft")
    assert Post.objects.next_publication(NOON) == NOON + timedelta(hours=1)


def test_publishing_without_a_time_means_now(write):
    before = timezone.now()
    post = write(published_at=None)
    assert before <= post.published_at <= timezone.now()
    assert Post.objects.published().get() == post


def test_a_published_post_without_a_time_is_refused_by_the_database(write):
    post = write()
    with pytest.raises(IntegrityError), transaction.atomic():
        Post.objects.filter(pk=post.pk).update(published_at=None)


def test_slugs_are_made_of_titles_and_unique(write):
    slugs = [write("Größe & Maß").slug, write("Größe & Maß").slug, write("Groesse").slug, write("???").slug]
    assert slugs == ["groe-ma", "groe-ma-2", "groesse", "post"]
    assert write("x" * 200).slug == "x" * 194
    assert write("x" * 200).slug == "x" * 194 + "-2"


def test_a_slug_stays_when_the_title_changes(write):
    post = write("First thoughts")
    post.title = "Second thoughts"
    post.save()
    post.refresh_from_db()
    assert post.slug == "first-thoughts"


def test_a_slug_can_be_chosen_and_must_be_free(write):
    write(slug="taken")
    with pytest.raises(IntegrityError), transaction.atomic():
        write(slug="taken")


def test_tags_have_slugs(db):
    assert [Tag.objects.create(name=name).slug for name in ("Python", "python", "C++", "++")] == [
        "python",
        "python-2",
        "c",
        "tag",
    ]
    assert [tag.name for tag in Tag.objects.all()] == ["++", "C++", "Python", "python"]


def test_a_post_is_rendered_when_it_is_saved(write):
    post = write(source="*Hello*, world")
    post.refresh_from_db()
    assert post.html == "<p><em>Hello</em>, world</p>"
    assert (post.text, post.excerpt, post.words) == ("Hello, world", "Hello, world", 2)
    first = post.content_hash
    post.source = "Bye"
    post.save()
    post.refresh_from_db()
    assert post.html == "<p>Bye</p>"
    assert post.content_hash != first


def test_saving_other_fields_renders_nothing_and_saving_the_source_everything(write):
    post = write(source="One")
    with mock.patch("posts.models.render", side_effect=AssertionError):
        post.title = "New title"
        post.save(update_fields=["title"])
    post.source = "Two"
    post.save(update_fields=["source"])
    post.refresh_from_db()
    assert (post.title, post.html, post.text) == ("New title", "<p>Two</p>", "Two")


def test_a_post_that_was_loaded_without_its_source_can_be_saved(write):
    write(source="Kept")
    post = Post.objects.for_list().get()
    post.title = "Renamed"
    post.save()
    post.refresh_from_db()
    assert (post.title, post.source, post.html) == ("Renamed", "Kept", "<p>Kept</p>")


def test_too_much_text_is_refused(write):
    with pytest.raises(RenderError, match="200,000 are the limit"):
        write(source="x" * 200_001)


def test_changed_at_and_revised_at(write):
    post = write(published_at=NOON)
    post.updated_at = NOON - timedelta(days=2)
    assert (post.changed_at, post.revised_at) == (NOON, None)
    post.updated_at = NOON + timedelta(hours=2)
    assert (post.changed_at, post.revised_at) == (NOON + timedelta(hours=2), None)
    post.updated_at = NOON + timedelta(days=2)
    assert post.revised_at == NOON + timedelta(days=2)


def test_reading_time_is_at_least_a_minute(write):
    post = write(source="word " * 690)
    assert post.minutes == 3
    assert write(source="word").minutes == 1


def test_the_fingerprint_changes_with_everything_a_page_shows(write, author):
    post = write(tags=["One"])

    def fingerprint():
        return Post.objects.for_page().get(pk=post.pk).fingerprint

    seen = {fingerprint()}
    for change in (
        lambda: Post.objects.filter(pk=post.pk).update(title="Other"),
        lambda: Post.objects.filter(pk=post.pk).update(slug="other"),
        lambda: Post.objects.filter(pk=post.pk).update(content_hash="other"),
        lambda: Post.objects.filter(pk=post.pk).update(published_at=NOON),
        lambda: Post.objects.filter(pk=post.pk).update(updated_at=NOON),
        lambda: Tag.objects.filter(name="One").update(name="Two"),
        lambda: post.tags.clear(),
        lambda: type(author).objects.filter(pk=author.pk).update(last_name="Byron"),
    ):
        change()
        assert fingerprint() not in seen
        seen.add(fingerprint())


def test_authors_are_shown_by_name_and_else_by_user_name(author):
    assert author.display_name == "Ada Lovelace"
    author.first_name = author.last_name = ""
    assert author.display_name == "ada"
