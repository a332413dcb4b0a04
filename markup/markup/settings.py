"""The settings, for every machine: what differs between machines comes from the environment.

Nothing has to be set to develop except DJANGO_DEBUG=1, and nothing but DJANGO_SECRET_KEY to serve on this
machine alone. README.md beside manage.py lists the variables. The defaults are those of production.
"""

import os
from pathlib import Path

from markup.env import Env

BASE_DIR = Path(__file__).resolve().parent.parent
# What the site makes for itself where it was not told another place: database, collected files, uploads.
VAR_DIR = BASE_DIR / "var"

env = Env(os.environ)

DEBUG = env.boolean("DJANGO_DEBUG", False)
SECRET_KEY = env.secret(
    "DJANGO_SECRET_KEY",
    default="django-insecure-for-development-only" if DEBUG else None,
    hint="Make one with: python -c 'import secrets; print(secrets.token_urlsafe(50))'",
)
# A key that was replaced goes here until the sessions and links signed with it have expired.
SECRET_KEY_FALLBACKS = [key] if (key := env.secret("DJANGO_SECRET_KEY_FALLBACK", default="")) else []

ALLOWED_HOSTS = env.words(
    "DJANGO_ALLOWED_HOSTS",
    default=["localhost", ".localhost", "127.0.0.1", "[::1]"],
    fits=lambda host: "/" not in host and (":" not in host or host.startswith("[")),
    allowed="host names are needed, without scheme, port and path, such as example.org or .example.org",
)
CSRF_TRUSTED_ORIGINS = env.words(
    "DJANGO_CSRF_TRUSTED_ORIGINS",
    default=[],
    fits=lambda origin: origin.startswith(("http://", "https://")) and origin.count("/") == 2,
    allowed="origins are needed, with a scheme and without a path, such as https://example.org",
)

INSTALLED_APPS = [
    "accounts",
    "posts",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.sitemaps",
    "django.contrib.staticfiles",
]

# Sessions, CSRF, users and messages are there for the admin; for readers the second keeps them without
# effect.
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "markup.readers.NoCookiesForReadersMiddleware",
    "markup.content_security.ContentSecurityPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "markup.urls"
WSGI_APPLICATION = "markup.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {"default": env.database("DATABASE_URL", default=f"sqlite:///{VAR_DIR / 'markup.sqlite3'}")}
if DATABASES["default"]["NAME"] == str(VAR_DIR / "markup.sqlite3"):
    VAR_DIR.mkdir(exist_ok=True)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

LANGUAGE_CODE = "en"
TIME_ZONE = env.time_zone("DJANGO_TIME_ZONE", default="UTC")
USE_I18N = False
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = env.directory("DJANGO_STATIC_ROOT", default=VAR_DIR / "static")
STATICFILES_DIRS = [BASE_DIR / "static"]
MEDIA_URL = "/media/"
MEDIA_ROOT = env.directory("DJANGO_MEDIA_ROOT", default=VAR_DIR / "media")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    # The hash in a file's name lets every cache keep it for good.
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"},
}

# HTTPS. A server that knows its proxies sets wsgi.url_scheme by itself, and then Django needs no header named
# here. DJANGO_HTTPS says that the site is reached by https only.
HTTPS = env.boolean("DJANGO_HTTPS", False)
SECURE_SSL_REDIRECT = env.boolean("DJANGO_SSL_REDIRECT", HTTPS)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
# An hour to begin with: browsers do not forget a promise of a year when the certificate turns out wrong.
SECURE_HSTS_SECONDS = env.integer("DJANGO_HSTS_SECONDS", 3600 if HTTPS else 0, minimum=0, maximum=63072000)
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.boolean("DJANGO_HSTS_SUBDOMAINS", False)
SECURE_HSTS_PRELOAD = env.boolean("DJANGO_HSTS_PRELOAD", False)
# Whether the rule may hold for the whole domain is known to the owner of the domain, not to this site.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
SESSION_COOKIE_HTTPONLY = True
X_FRAME_OPTIONS = "DENY"

# Django's own default is silent on the console when DEBUG is off: a server's log would show a 500 and no
# reason.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        "django": {
            "handlers": ["console"],
            "propagate": False,
            "level": env.text(
                "DJANGO_LOG_LEVEL", "INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
            ),
        },
    },
}

env.check()
