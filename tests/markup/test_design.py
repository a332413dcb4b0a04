"""What can be said of the design in numbers: its weight, its contrast, the names it knows."""

import gzip
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from posts.models import Post
from posts.rendering.finish import COLOURED
from posts.rendering.policy import CLASSES

CSS = (Path(settings.BASE_DIR) / "static/site.css").read_text(encoding="utf-8")
# What a server may send at once on a new connection is ten segments of 1,460 bytes: 600 are for the heads.
FIRST_FLIGHT = 14_000


def test_every_page_and_the_style_sheet_arrive_in_the_first_flight(samples, db):
    client, css = Client(), len(gzip.compress(CSS.encode(), 6))
    paths = ["/", "/page/2/", "/page/3/", "/tags/", "/about/"]
    paths += [post.get_absolute_url() for post in Post.objects.all()]
    sizes = {path: css + len(gzip.compress(client.get(path).content, 6)) for path in paths}
    assert {path: size for path, size in sizes.items() if size > FIRST_FLIGHT} == {}


def luminance(colour):
    def light(digits):
        value = int(digits, 16) / 255
        return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4

    red, green, blue = (light(colour[i : i + 2]) for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def schemes():
    """The colours of the light scheme and of the dark one, by name."""
    blocks = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
    light, dark = (dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6});", block)) for block in blocks)
    assert light.keys() == dark.keys()
    return {"light": light, "dark": dark}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("ground", ["paper", "soft"])
@pytest.mark.parametrize("ink", ["ink", "faded", "accent", "keyword", "string", "number", "name"])
def test_every_colour_can_be_read_on_every_ground(scheme, ground, ink):
    colours = schemes()[scheme]
    assert contrast(colours[ink], colours[ground]) >= 4.5


def test_selected_text_can_be_read():
    for colours in schemes().values():
        assert contrast(colours["paper"], colours["accent"]) >= 4.5


def test_every_kind_of_token_that_is_kept_has_a_colour_and_none_else():
    rules = CSS.partition("/* Code in colour")[2].partition("@media print")[0]
    assert set(re.findall(r"\.([a-z][a-z0-9]{0,2})\b", re.sub(r"\{.*?\}", "", rules))) == COLOURED


def test_the_style_sheet_needs_nothing_else():
    assert "@import" not in CSS
    assert "url(" not in CSS
    assert "@font-face" not in CSS


def test_posts_cannot_use_the_classes_of_the_page_around_them():
    templates = Path(settings.BASE_DIR) / "templates"
    used = set()
    for path in templates.rglob("*.html"):
        for value in re.findall(r'class="([^"{]*)', path.read_text(encoding="utf-8")):
            used |= set(value.split())
    assert {"masthead", "wordmark", "skip", "entry", "post", "prose"} <= used
    assert not used & CLASSES
