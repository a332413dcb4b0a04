"""The WSGI application: what a server loads as `markup.wsgi:application`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "markup.settings")

application = get_wsgi_application()
