"""The URLs of the whole site."""

from django.conf import settings
from django.conf.urls.static import static
from django.contrib import admin
from django.urls import include, path

from markup.readers import ADMIN

handler500 = "posts.views.server_error"

urlpatterns = [
    path(ADMIN.lstrip("/"), admin.site.urls),
    path("", include("posts.urls")),
    # With DEBUG alone; in production the server or its proxy answers for uploads.
    *static(settings.MEDIA_URL, document_root=settings.MEDIA_ROOT),
]
