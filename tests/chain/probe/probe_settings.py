"""The markup site's settings, with the views of the tests added to its URLs."""

from markup.settings import *  # noqa: F403

ROOT_URLCONF = "probe_urls"
