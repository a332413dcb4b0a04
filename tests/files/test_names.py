import json

import pytest

from portway.files.names import (
    django_digest,
    django_manifest_names,
    is_content_hash,
    vite_manifest_names,
)


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("css/site.0123456789ab.css", "0123456789ab"),
        ("a.b.0123456789ab.js", "0123456789ab"),
        ("LICENSE.0123456789ab", "0123456789ab"),
        ("css/site.css", None),
        ("site.0123456789AB.css", None),
        ("site.0123456789abc.css", None),
        ("site.0123456789a.css", None),
        ("site-0123456789ab.css", None),
        ("0123456789ab/site.css", None),
        ("site.0123456789ab.css.gz", None),
    ],
)
def test_django_puts_twelve_digits_before_the_extension(name, digest):
    assert django_digest(name) == digest


@pytest.mark.parametrize(
    ("name", "certain"),
    [
        ("js/main.8e0d62a03f7b6c5d4e3f.js", True),
        ("js/main-8e0d62a03f7b6c5d4e3f.chunk.js", True),
        ("js/main.8e0d62a03f7b6c5d4e3f.js.map", True),
        ("js/main.8e0d62a03f7b6c5d4e3f.js.LICENSE.txt", True),
        # Eight digits may be a date, a word or a version; nineteen are no hash of webpack's.
        ("js/main.8e0d62a0.js", False),
        ("js/report-20260101.js", False),
        ("js/lib-deadbeef.js", False),
        ("js/main.8e0d62a03f7b6c5d4e3.js", False),
        ("js/main.8e0d62a03f7b6c5d4e3f1.js", False),
        ("js/backup-20260101120000000000.js", False),
        ("js/8e0d62a03f7b6c5d4e3f.js", False),
        ("8e0d62a03f7b6c5d4e3f/main.js", False),
        ("js/main.8e0d62a03f7b6c5d4e3f", False),
    ],
)
def test_forms_that_only_content_hashes_have(name, certain):
    assert is_content_hash(name) is certain


def test_names_of_django_s_manifest():
    manifest = {
        "paths": {
            "css/site.css": "css/site.0123456789ab.css",
            "odd.0123456789ab.css": "odd.0123456789ab.css",
            "plain.txt": "plain.txt",
            "number": 5,
        },
        "version": "1.1",
        "hash": "abc",
    }
    assert set(django_manifest_names(json.dumps(manifest).encode())) == {"css/site.0123456789ab.css"}


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"{}", b'{"paths": []}', b"\xff\xfe"])
def test_what_is_no_manifest_of_django_s(text):
    with pytest.raises(ValueError):
        django_manifest_names(text)


def test_names_of_vite_s_manifest():
    manifest = {
        "src/main.ts": {
            "file": "assets/main-DiwrgTda.js",
            "css": ["assets/main-4xgzFFGD.css", "assets/plain.css"],
            "assets": ["assets/logo-B_-9aZ12.svg"],
            "isEntry": True,
        },
        "_shared": {"file": "assets/shared.js"},
    }
    assert set(vite_manifest_names(json.dumps(manifest).encode())) == {
        "assets/main-DiwrgTda.js",
        "assets/main-4xgzFFGD.css",
        "assets/logo-B_-9aZ12.svg",
    }


@pytest.mark.parametrize(
    "text", [b"[]", b"{}", b'{"name": "App", "icons": [{"src": "icon-12345678.png"}]}', b'{"a": {"b": 1}}']
)
def test_other_manifests_vouch_for_nothing(text):
    assert set(vite_manifest_names(text)) == set()
