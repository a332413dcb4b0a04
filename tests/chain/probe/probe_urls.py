"""The markup site's URLs, and those by which tests look at the inside of a request."""

import probe_views as views
from django.urls import path

from markup.urls import handler500 as handler500
from markup.urls import urlpatterns as site

urlpatterns = [
    path("-probe/seen/", views.seen),
    path("-probe/digest/", views.digest),
    path("-probe/wait/<slug:name>/", views.wait),
    path("-probe/stream/<slug:name>/", views.stream),
    path("-probe/pieces/<int:count>/", views.pieces),
    path("-probe/broken/", views.broken),
    *site,
]
