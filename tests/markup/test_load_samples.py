"""The samples: that there are enough of them, that they are whole, and that loading is idempotent."""

import tomllib
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db.models import Count
from django.utils import timezone

from accounts.models import User
from posts.models import Post, Tag
from posts.rendering.pipeline import render

SAMPLES = Path(settings.BASE_DIR) / "posts/samples"


def state():
    return (
        list(Post.objects.order_by("pk").values()),
        list(Tag.objects.order_by("pk").values()),
        list(Post.tags.through.objects.order_by("pk").values()),
        list(User.objects.values()),
        {path.name: path.stat().st_mtime_ns for path in (Path(settings.MEDIA_ROOT) / "samples").iterdir()},
    )


def test_there_are_posts_in_every_format(samples, db):
    formats = dict(Post.objects.values_list("format").annotate(Count("pk")).order_by())
    assert sum(formats.values()) >= 20
    assert formats.keys() == {"markdown", "restructuredtext", "plain", "html"}
    assert min(formats.values()) >= 3
    assert Post.objects.published().filter(slug="hello-world").exists()
    assert not Post.objects.exclude(published_at__lt=timezone.now()).exists()
    assert all(200 <= post.words <= 700 for post in Post.objects.all())
    assert all(post.tags.exists() for post in Post.objects.all())


def test_every_text_is_in_the_index_and_every_image_in_a_text():
    index = tomllib.loads((SAMPLES / "index.toml").read_text(encoding="utf-8"))["post"]
    files = {path.name for path in SAMPLES.iterdir() if path.suffix in (".md", ".rst", ".txt", ".html")}
    assert sorted(entry["file"] for entry in index) == sorted(files)
    texts = "".join((SAMPLES / file).read_text(encoding="utf-8") for file in files)
    for image in (SAMPLES / "media").iterdir():
        assert f"/media/samples/{image.name}" in texts
        assert image.stat().st_size < 10_000


def test_no_format_has_anything_to_complain_of(samples, db):
    for post in Post.objects.all():
        assert render(post.source, post.format).complaints == ()


def test_loading_twice_changes_nothing(samples, db, capsys):
    before = state()
    call_command("load_samples")
    assert capsys.readouterr().out == "Sample posts: 0 loaded, 25 up to date; new images: 0.\n"
    assert state() == before


def test_the_samples_are_as_old_as_they_say(samples, db):
    for post in Post.objects.all():
        assert post.created_at == post.updated_at == post.published_at


def test_what_was_changed_is_brought_back_and_nothing_else(samples, db):
    before = state()
    Post.objects.filter(slug="hello-world").update(title="Changed")
    Post.objects.get(slug="the-measure").tags.clear()
    mine = Post.objects.create(title="Mine", source="x", format="plain", author=User.objects.get())
    (Path(settings.MEDIA_ROOT) / "samples/canon.svg").write_text("changed")
    call_command("load_samples", verbosity=0)
    assert Post.objects.get(slug="hello-world").title == "Hello, world"
    assert Post.objects.get(slug="the-measure").tags.count() == 2
    assert Post.objects.filter(pk=mine.pk).exists()
    mine.delete()
    assert state()[0] == before[0]
    assert (Path(settings.MEDIA_ROOT) / "samples/canon.svg").read_bytes() == (
        SAMPLES / "media/canon.svg"
    ).read_bytes()


def test_if_empty_leaves_a_site_with_posts_alone(write, capsys):
    write("Mine")
    call_command("load_samples", "--if-empty")
    assert capsys.readouterr().out == "The site has posts: no samples loaded.\n"
    assert Post.objects.count() == 1


def test_if_empty_fills_an_empty_site(db):
    call_command("load_samples", "--if-empty", verbosity=0)
    assert Post.objects.count() == 25


def test_nobody_can_sign_in_as_the_author_of_the_samples(samples, db):
    author = User.objects.get(username="editors")
    assert not author.has_usable_password()
    assert not author.is_staff


@pytest.mark.parametrize("change", ["upgrade", "nothing"])
def test_render_posts_catches_up(samples, db, capsys, change):
    before = state()
    if change == "upgrade":
        Post.objects.filter(slug="hello-world").update(html="old", text="old", content_hash="old")
    call_command("render_posts")
    assert capsys.readouterr().out == f"25 posts rendered, {int(change == 'upgrade')} changed.\n"
    assert state() == before


def test_render_posts_goes_on_after_one_that_cannot_be_rendered(write, capsys):
    good, bad = write("Good", source="x"), write("Bad", source="x")
    Post.objects.filter(pk=good.pk).update(source="y")
    Post.objects.filter(pk=bad.pk).update(source="x" * 200_001)
    call_command("render_posts")
    captured = capsys.readouterr()
    assert captured.out == "1 posts rendered, 1 changed.\n"
    assert captured.err.startswith("bad: The text has 200,001 characters")
