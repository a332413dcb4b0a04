"""The admin: where authors write, schedule, preview and publish."""

from django import forms
from django.contrib import admin, messages
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html

from posts.models import Attachment, Post, Tag
from posts.rendering.errors import RenderError

admin.site.site_header = "Markup"
admin.site.site_title = "Markup"
admin.site.index_title = "The editors' desk"


class PostForm(forms.ModelForm):
    """The form for a post; refuses what cannot be rendered and keeps the format's complaints."""

    complaints: tuple[str, ...] = ()

    class Meta:
        model = Post
        fields = "__all__"
        widgets = {
            "title": forms.TextInput(attrs={"size": 80}),
            "source": forms.Textarea(
                attrs={"rows": 32, "cols": 100, "class": "source", "spellcheck": "true"}
            ),
        }

    def clean(self):
        """Render the source once, to tell the author of mistakes in it."""
        cleaned = super().clean()
        if "source" in cleaned and "format" in cleaned:
            try:
                self.complaints = Post(source=cleaned["source"], format=cleaned["format"]).render().complaints
            except RenderError as error:
                self.add_error("source", str(error))
        return cleaned


@admin.register(Post)
class PostAdmin(admin.ModelAdmin):
    """Posts."""

    form = PostForm
    list_display = ("title", "state", "published_at", "author", "format", "tag_names")
    list_filter = ("status", "format", "tags", "author")
    list_select_related = ("author",)
    list_per_page = 50
    date_hierarchy = "published_at"
    search_fields = ("title", "slug", "text")
    prepopulated_fields = {"slug": ("title",)}
    autocomplete_fields = ("tags", "author")
    readonly_fields = ("excerpt", "words", "created_at", "updated_at")
    actions = ("publish", "withdraw")
    save_on_top = True
    fieldsets = (
        (None, {"fields": ("title", "slug", "format", "source", "tags")}),
        ("Publication", {"fields": ("status", "published_at", "author")}),
        (
            "Made of it",
            {"fields": ("excerpt", "words", "created_at", "updated_at"), "classes": ("collapse",)},
        ),
    )

    class Media:
        css = {"all": ("admin-source.css",)}

    def get_queryset(self, request):
        """Posts with their tags, which the list names."""
        return super().get_queryset(request).prefetch_related("tags").defer("source", "html", "text")

    def get_changeform_initial_data(self, request):
        """Begin with who is writing."""
        return {"author": request.user.pk, **super().get_changeform_initial_data(request)}

    def get_urls(self):
        """Add the preview."""
        preview = self.admin_site.admin_view(self.preview)
        return [path("<int:pk>/preview/", preview, name="posts_post_preview"), *super().get_urls()]

    def view_on_site(self, post):
        """Lead to the page that readers see, or to the preview as long as they do not see it."""
        return (
            post.get_absolute_url()
            if post.is_visible()
            else reverse("admin:posts_post_preview", args=[post.pk])
        )

    def preview(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The post as readers will see it, by the same template, for those who may see it in the admin."""
        post = get_object_or_404(Post.objects.for_page(), pk=pk)
        if not self.has_view_permission(request, post):
            return HttpResponse(status=403)
        return render(request, "posts/post.html", {"post": post, "preview": True})

    def save_model(self, request, obj, form, change):
        """Save, and pass on what the format complained about."""
        super().save_model(request, obj, form, change)
        for complaint in form.complaints[:10]:
            self.message_user(request, complaint, messages.WARNING)

    @admin.display(description="status", ordering="status")
    def state(self, post):
        """Draft, scheduled or published."""
        if post.status == Post.Status.PUBLISHED and not post.is_visible():
            return "Scheduled"
        return post.get_status_display()

    @admin.display(description="tags")
    def tag_names(self, post):
        """The names of the tags."""
        return ", ".join(tag.name for tag in post.tags.all())

    @admin.action(description="Publish selected posts now", permissions=["change"])
    def publish(self, request, queryset):
        """Publish drafts and scheduled posts at once; leave those alone that readers see already."""
        now = timezone.now()
        waiting = queryset.exclude(pk__in=Post.objects.published(now).values("pk"))
        changed = waiting.update(status=Post.Status.PUBLISHED, published_at=now, updated_at=now)
        self.message_user(request, f"{changed} published.", messages.SUCCESS)

    @admin.action(description="Make drafts of selected posts", permissions=["change"])
    def withdraw(self, request, queryset):
        """Take posts from readers."""
        changed = queryset.update(status=Post.Status.DRAFT, updated_at=timezone.now())
        self.message_user(request, f"{changed} withdrawn.", messages.SUCCESS)


@admin.register(Tag)
class TagAdmin(admin.ModelAdmin):
    """Tags, with the number of their posts."""

    list_display = ("name", "slug", "posts_count")
    search_fields = ("name",)
    prepopulated_fields = {"slug": ("name",)}

    def get_queryset(self, request):
        """Tags with their counts."""
        return super().get_queryset(request).annotate(posts_count=Count("posts"))

    @admin.display(description="posts", ordering="posts_count")
    def posts_count(self, tag):
        """How many posts have the tag, drafts included."""
        return tag.posts_count


@admin.register(Attachment)
class AttachmentAdmin(admin.ModelAdmin):
    """Files for posts."""

    list_display = ("file", "address", "description", "uploaded_by", "uploaded_at")
    list_select_related = ("uploaded_by",)
    search_fields = ("file", "description")
    readonly_fields = ("address",)

    def save_model(self, request, obj, form, change):
        """Note who uploaded it."""
        if not change:
            obj.uploaded_by = request.user
        super().save_model(request, obj, form, change)

    @admin.display(description="address")
    def address(self, attachment):
        """The address to use in a post."""
        return format_html("<code>{}</code>", attachment.file.url) if attachment.file else "—"
