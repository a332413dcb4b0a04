"""A Django project served by `portway` in its folder: found, reloaded, views imported before it serves."""

import signal

import pytest

pytestmark = pytest.mark.functional

SETTINGS = """
SECRET_KEY = "a-key-for-tests-that-is-long-enough-and-has-many-signs-0123456789"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "shop.urls"
WSGI_APPLICATION = "shop.wsgi.application"
"""
URLS = """
from django.urls import include, path
urlpatterns = [path("", include("shop.more"))]
"""
MORE = """
from django.urls import path
from shop import views
urlpatterns = [path("", views.index)]
"""
FILES = {
    "manage.py": "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n",
    "shop/__init__.py": "",
    "shop/settings.py": SETTINGS,
    "shop/urls.py": URLS,
    "shop/more.py": MORE,
    "shop/views.py": (
        "from django.http import HttpResponse\ndef index(request):\n    return HttpResponse('first')\n"
    ),
    "shop/wsgi.py": (
        "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n"
    ),
}


@pytest.fixture
def shop(project):
    pytest.importorskip("django")
    for name, source in FILES.items():
        folder = project(source, name)
    return folder


def test_the_project_is_found_and_served(shop, serve):
    server = serve(None, "--workers", "1", cwd=shop)
    assert server.get("/").text == "first"
    assert "shop.settings" in server.log


def test_a_view_that_cannot_be_imported_does_not_replace_the_ones_that_serve(shop, project, serve):
    server = serve(None, "--workers", "2", cwd=shop)
    project("import nonsense_module\n", "shop/views.py")
    server.send(signal.SIGHUP)
    server.wait_for_log("nonsense_module")
    for _ in range(10):
        assert server.get("/").text == "first"
    project(FILES["shop/views.py"].replace("first", "second"), "shop/views.py")
    server.send(signal.SIGHUP)
    server.wait_for_answer("second")


def test_a_project_whose_views_cannot_be_imported_does_not_start(shop, project, serve):
    project("import nonsense_module\n", "shop/views.py")
    server = serve(None, cwd=shop, ready=False)
    assert server.wait() == 4
    assert "URL configuration of shop.wsgi" in server.log
    assert "nonsense_module" in server.log
