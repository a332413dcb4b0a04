"""The admin: writing, previewing, publishing, uploading."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from accounts.models import User
from posts.models import Attachment, Post


@pytest.fixture
def editor(db):
    """The browser of somebody who may do everything."""
    client = Client()
    client.force_login(User.objects.create_superuser("grace", first_name="Grace", last_name="Hopper"))
    return client


def form(**changes):
    return {
        "title": "New post",
        "slug": "",
        "format": "markdown",
        "source": "Some *text*.",
        "status": "draft",
        "published_at_0": "",
        "published_at_1": "",
        "author": User.objects.get(username="grace").pk,
        **changes,
    }


@pytest.mark.parametrize(
    "path",
    [
        *("", "posts/post/", "posts/post/add/", "posts/tag/", "posts/tag/add/", "posts/attachment/"),
        *("posts/attachment/add/", "accounts/user/", "accounts/user/add/", "posts/post/?q=x", "auth/group/"),
    ],
)
def test_every_page_of_the_admin_opens(editor, write, path):
    write(tags=["One"])
    assert editor.get(f"/admin/{path}").status_code == 200


def test_the_admin_is_for_those_who_sign_in(client, db):
    response = client.get("/admin/posts/post/")
    assert response.status_code == 302
    assert response.headers["Location"].startswith("/admin/login/")
    login = client.get(response.headers["Location"])
    assert "csrftoken" in login.cookies
    assert "script-src 'self'" in login.headers["Content-Security-Policy"]


def test_forms_are_protected(db):
    client = Client(enforce_csrf_checks=True)
    assert client.post("/admin/login/", {"username": "x", "password": "y"}).status_code == 403


def test_the_list_of_posts_costs_the_same_however_many_there_are(editor, write, count_queries):
    write(tags=["One", "Two"])
    with count_queries() as few:
        editor.get("/admin/posts/post/")
    for number in range(10):
        write(f"Post {number}", tags=["One", f"Tag {number}"])
    with count_queries() as many:
        response = editor.get("/admin/posts/post/")
    assert len(many) == len(few)
    assert b"Tag 9" in response.content


def test_the_list_tells_drafts_scheduled_and_published_apart(editor, write):
    write("A", status="draft")
    write("B", published_at=timezone.now() + timedelta(days=1))
    write("C")
    content = editor.get("/admin/posts/post/").content.decode()
    assert [content.count(f">{state}</td>") for state in ("Draft", "Scheduled", "Published")] == [1, 1, 1]


def test_a_post_is_written(editor):
    response = editor.post("/admin/posts/post/add/", form(), follow=True)
    assert b"was added successfully" in response.content
    post = Post.objects.get()
    assert (post.slug, post.html) == ("new-post", "<p>Some <em>text</em>.</p>")
    assert post.author.display_name == "Grace Hopper"


def test_the_form_begins_with_who_is_writing(editor):
    form = editor.get("/admin/posts/post/add/").context["adminform"].form
    assert form["author"].value() == User.objects.get(username="grace").pk


def test_complaints_of_the_format_are_shown_and_the_post_is_saved(editor):
    data = form(format="restructuredtext", source=".. nonsense:: x")
    response = editor.post("/admin/posts/post/add/", data, follow=True)
    assert b"Unknown directive type" in response.content
    assert Post.objects.exists()


def test_what_cannot_be_rendered_is_not_saved(editor):
    source = "\n\n".join(" " * depth + "x" for depth in range(600))
    response = editor.post("/admin/posts/post/add/", form(format="restructuredtext", source=source))
    assert response.status_code == 200
    assert b"nested too deeply" in response.content
    response = editor.post("/admin/posts/post/add/", form(source="x" * 200_001))
    assert b"The text has 200,001 characters; 200,000 are the limit." in response.content
    assert not Post.objects.exists()


def test_the_preview_is_the_page_to_come(editor, client, write):
    post = write("To come", source="## Heading\n\n*Text*", status="draft", tags=["T"])
    preview = editor.get(f"/admin/posts/post/{post.pk}/preview/")
    assert preview.status_code == 200
    assert b'<meta name="robots" content="noindex">' in preview.content
    assert b"Preview" in preview.content
    post.status = "published"
    post.save()

    def article(response):
        return response.content.partition(b'<div class="prose">')[2].partition(b"<footer>")[0]

    assert article(preview) == article(client.get("/posts/to-come/"))


def test_the_preview_is_for_those_who_may_see_the_post(client, editor, write):
    post = write(status="draft")
    path = f"/admin/posts/post/{post.pk}/preview/"
    assert client.get(path).status_code == 302
    client.force_login(User.objects.create_user("helper", is_staff=True))
    assert client.get(path).status_code == 403
    assert editor.get("/admin/posts/post/999/preview/").status_code == 404


def test_view_on_site_leads_to_what_there_is(editor, write):
    draft, visible = write("Draft", status="draft"), write("Visible")
    for post, target in ((draft, f"/admin/posts/post/{draft.pk}/preview/"), (visible, "/posts/visible/")):
        content = editor.get(f"/admin/posts/post/{post.pk}/change/").content.decode()
        assert f'href="{target}" class="viewsitelink"' in content


def test_posts_are_published_and_withdrawn_from_the_list(editor, write):
    published_before = write("Seen")
    draft = write("Draft", status="draft", published_at=None)
    scheduled = write("Scheduled", published_at=timezone.now() + timedelta(days=1))
    every = [published_before.pk, draft.pk, scheduled.pk]
    response = editor.post(
        "/admin/posts/post/", {"action": "publish", "_selected_action": every}, follow=True
    )
    assert b"2 published." in response.content
    assert Post.objects.published().count() == 3
    assert Post.objects.get(title="Seen").published_at.year == 2020
    editor.post("/admin/posts/post/", {"action": "withdraw", "_selected_action": every})
    assert not Post.objects.published().exists()


def test_files_are_uploaded_and_tell_their_address(editor):
    image = SimpleUploadedFile("a picture.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x10\0\0\0\x08")
    response = editor.post("/admin/posts/attachment/add/", {"file": image, "description": "x"}, follow=True)
    attachment = Attachment.objects.get()
    assert attachment.uploaded_by.username == "grace"
    address = attachment.file.url
    assert address.startswith("/media/uploads/")
    assert address.endswith("/a_picture.png")
    assert f"<code>{address}</code>" in response.content.decode()
    post = Post(source=f"![x]({address})", format="markdown")
    post.render()
    assert 'width="16" height="8"' in post.html
    assert (settings.MEDIA_ROOT / attachment.file.name).is_file()


def test_files_that_could_be_programs_are_refused(editor):
    page = SimpleUploadedFile("page.html", b"<script>alert(1)</script>")
    response = editor.post("/admin/posts/attachment/add/", {"file": page})
    assert response.status_code == 200
    assert b"not allowed" in response.content
    assert not Attachment.objects.exists()


def test_large_uploads_are_taken(editor):
    big = SimpleUploadedFile("big.zip", bytes(20 * 1024 * 1024))
    assert editor.post("/admin/posts/attachment/add/", {"file": big}).status_code == 302
    assert Attachment.objects.get().file.size == 20 * 1024 * 1024
