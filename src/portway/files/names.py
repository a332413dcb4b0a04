"""Which file names hold a hash of their content, so that a copy of them is good for ever.

A wrong answer here is a file that browsers do not ask for again for a year, so only certainty counts: the
name stands in a manifest that a build wrote, or its hash is the hash of the content, or it has a form that
nothing but a content hash has. Everything else is revalidated, which costs a 304. Reads manifests at start;
otherwise pure.
"""

import json
import logging
import re
from collections.abc import Collection

_log = logging.getLogger("portway.error")

# Django's HashedFilesMixin: css/site.0123456789ab.css; the twelve digits are the MD5 of the content.
_DJANGO = re.compile(r"\.([0-9a-f]{12})(?:\.[^./]+)?$")
# webpack's [contenthash], twenty hexadecimal digits: main.8e0d62a03f7b6c5d4e3f.js, .js.map, .js.LICENSE.txt.
_WEBPACK = re.compile(r"[.-](?=[0-9]*[a-f])[0-9a-f]{20}(?:\.[A-Za-z0-9]+){1,3}$")
# Vite and Rollup: assets/index-DiwrgTda.js. Eight letters may be a word: names from the manifest alone count.
_VITE = re.compile(r"-[A-Za-z0-9_-]{8}\.[A-Za-z0-9.]+$")

DJANGO_MANIFEST = "staticfiles.json"
VITE_MANIFESTS = (".vite/manifest.json", "manifest.json")


def django_digest(name: str) -> str | None:
    """Return the twelve hexadecimal digits of MD5 that Django's name.<digits>.ext claims, or None."""
    match = _DJANGO.search(name)
    return match[1] if match is not None else None


def is_content_hash(name: str) -> bool:
    """True for names of a form that only hashes of content have."""
    return _WEBPACK.search(name) is not None


def django_manifest_names(text: bytes) -> Collection[str]:
    """Return the hashed names in Django's staticfiles.json, below its folder. ValueError: it is none."""
    manifest = json.loads(text)
    if not isinstance(manifest, dict) or not isinstance(manifest.get("paths"), dict):
        raise ValueError("it has no object named paths")
    # A file that was left as it is maps to itself: that says nothing of its name.
    return {
        hashed
        for original, hashed in manifest["paths"].items()
        if isinstance(hashed, str) and hashed != original and django_digest(hashed)
    }


def vite_manifest_names(text: bytes) -> Collection[str]:
    """Return the hashed names in Vite's manifest.json, below Vite's output. ValueError: it is no JSON.

    Other build tools write a manifest.json too (a web app has one by this name): what is not Vite's gives no
    names.
    """
    manifest = json.loads(text)
    names: set[str] = set()
    if isinstance(manifest, dict):
        for chunk in manifest.values():
            if not isinstance(chunk, dict) or not isinstance(chunk.get("file"), str):
                continue
            for value in (chunk["file"], chunk.get("css"), chunk.get("assets")):
                found = [value] if isinstance(value, str) else value if isinstance(value, list) else []
                names.update(name for name in found if isinstance(name, str) and _VITE.search(name))
    return names
