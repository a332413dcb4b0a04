import hashlib
import json
import logging
import os
import pickle
import socket
from pathlib import Path

import pytest

from portway.files.catalogue import IMMUTABLE, Catalogue
from portway.files.mounts import Mount


def scan(folder: Path, **options) -> Catalogue:
    return Catalogue.scan([Mount("/static/", str(folder), "static", **options)])


def names(catalogue: Catalogue) -> set[str]:
    return {url.removeprefix("/static/") for url in catalogue.files}


def is_immutable(catalogue: Catalogue, name: str) -> bool:
    content = catalogue.files["/static/" + name].identity.shared.content
    return f"Cache-Control: {IMMUTABLE}\r\n".encode() in content


def test_every_file_is_there_by_its_url(site):
    site.write("static/css/site.css", "a{}")
    site.write("static/admin/img/deep/er/x.svg", "<svg/>")
    site.write("static/.well-known/security.txt", "Contact:")
    catalogue = Catalogue.scan(site.mounts)
    assert set(catalogue.files) == {
        "/static/css/site.css",
        "/static/admin/img/deep/er/x.svg",
        "/static/.well-known/security.txt",
    }
    assert len(catalogue) == 3
    assert catalogue.size == 3 + 6 + 8


def test_media_is_not_scanned(site):
    site.write("media/upload.txt", "x")
    assert len(Catalogue.scan(site.mounts)) == 0


def test_names_are_bytes(site):
    """A key is the decoded path, one character for each byte, whatever the encoding of the name."""
    site.write("static/größe.css", "a{}")
    with open(os.fsencode(site.static) + b"/latin-\xe9.txt", "wb") as file:
        file.write(b"x")
    assert names(scan(site.static)) == {"größe.css".encode().decode("latin-1"), "latin-\xe9.txt"}


def test_hidden_names_and_what_is_no_file_are_left_out(site):
    site.write("static/a.css", "a{}")
    for hidden in (".env", ".git/config", ".hidden/a.css", "x/.htpasswd"):
        site.write("static/" + hidden, "secret")
    os.mkfifo(site.static / "fifo.css")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(site.static / "socket.css"))
    server.close()
    assert names(scan(site.static)) == {"a.css"}


def test_links_out_of_the_root_are_left_out_and_said_in_one_line(site, caplog):
    secret = site.write("elsewhere/secret.txt", "secret")
    site.write("static/real/a.css", "a{}")
    site.write("static/real/.hidden", "secret")
    (site.static / "alias.css").symlink_to("real/a.css")
    (site.static / "folder").symlink_to("real")
    (site.static / "unhidden.css").symlink_to("real/.hidden")
    (site.static / "circle").symlink_to(".")
    (site.static / "real" / "circle").symlink_to("..")
    (site.static / "broken").symlink_to("nowhere")
    for number in range(3):
        (site.static / f"out-{number}").symlink_to(secret)
    (site.static / "out-folder").symlink_to(secret.parent)
    assert names(scan(site.static)) == {"real/a.css", "alias.css", "folder/a.css"}
    lines = [record.getMessage() for record in caplog.records if "leads out" in record.getMessage()]
    assert len(lines) == 1
    assert "more)" in lines[0]
    assert all(record.name == "portway.error" for record in caplog.records)

    caplog.clear()
    followed = names(scan(site.static, follow_links=True))
    assert {"out-0", "out-1", "out-2", "out-folder/secret.txt"} < followed
    assert not [record for record in caplog.records if "leads out" in record.getMessage()]


def test_folders_that_link_to_each_other_are_walked_once_each_way(site):
    for one, other in (("a", "b"), ("b", "a")):
        site.write(f"static/{one}/file.css", "a{}")
        (site.static / one / "to").symlink_to(f"../{other}")
    assert names(scan(site.static)) == {"a/file.css", "a/to/file.css", "b/file.css", "b/to/file.css"}


def test_a_root_that_is_a_link_itself_is_followed(site):
    site.write("release-7/a.css", "a{}")
    (site.folder / "current").symlink_to("release-7")
    assert names(scan(site.folder / "current")) == {"a.css"}


def test_a_missing_folder_is_logged_and_empty(site, caplog):
    assert len(scan(site.folder / "nowhere")) == 0
    assert "No such file or directory" in caplog.text
    assert "there are no files" in caplog.text


def test_an_unreadable_file_is_logged_and_left_out(caplog, unprivileged):
    site, give_up_privileges = unprivileged
    site.write("static/a.css", "a{}")
    site.write("static/secret.css", "a{}").chmod(0)
    site.write("static/closed/a.css", "a{}").parent.chmod(0)
    give_up_privileges()
    assert names(scan(site.static)) == {"a.css"}
    for part in ("secret.css' is left out: it cannot be read (Permission denied)", "closed/' is left out"):
        assert part in caplog.text


def test_equal_content_has_an_equal_tag_and_tags_differ_by_coding(site):
    site.write("static/a.css", "a{}" * 100)
    site.write("static/copy.css", "a{}" * 100)
    site.write("static/a.css.gz", "gzipped")
    file = scan(site.static).files["/static/a.css"]
    assert file.identity.etag == scan(site.static).files["/static/copy.css"].identity.etag
    assert file.variants[0].etag != file.identity.etag


def test_variants_by_size_and_only_smaller_ones(site):
    site.write("static/a.css", "a" * 100)
    site.write("static/a.css.br", "b" * 30)
    site.write("static/a.css.zst", "z" * 20)
    site.write("static/a.css.gz", "g" * 100)
    files = scan(site.static).files
    assert [variant.size for variant in files["/static/a.css"].variants] == [20, 30]
    # They are files of their own as well.
    assert not files["/static/a.css.gz"].variants
    assert b"Content-Type: application/gzip\r\n" in files["/static/a.css.gz"].identity.shared.content


def test_a_variant_that_was_left_behind_is_not_used(site, caplog):
    for name in ("stale.css", "fresh.css"):
        original, variant = site.write(f"static/{name}", "a" * 100), site.write(f"static/{name}.gz", "g" * 10)
        os.utime(original, (2000, 2000))
        os.utime(variant, (1990, 1990) if name == "stale.css" else (1999, 1999))
    files = scan(site.static).files
    assert not files["/static/stale.css"].variants
    assert len(files["/static/fresh.css"].variants) == 1
    assert "stale.css.gz" in caplog.text
    assert "fresh.css.gz" not in caplog.text


# Which names are immutable


def hashed(name: str, content: str) -> str:
    """The name that Django's ManifestStaticFilesStorage gives to a content."""
    stem, dot, extension = name.rpartition(".")
    return f"{stem}.{hashlib.md5(content.encode()).hexdigest()[:12]}{dot}{extension}"


def test_a_hash_that_is_the_content_s_is_immutable(site):
    name = hashed("css/site.css", "a{}")
    site.write("static/" + name, "a{}")
    site.write("static/css/site.css", "a{}")
    site.write("static/css/wrong.0123456789ab.css", "a{}")
    catalogue = scan(site.static)
    assert is_immutable(catalogue, name)
    assert not is_immutable(catalogue, "css/site.css")
    assert not is_immutable(catalogue, "css/wrong.0123456789ab.css")


def test_django_s_manifest_vouches_for_names_and_older_releases_stay_immutable(site):
    """Files with references to each other have hashes that no content confirms; the manifest knows them."""
    older = hashed("css/site.css", "the release before")
    site.write("static/" + older, "the release before")
    for name in ("css/site.0123456789ab.css", "css/site.css", "css/not-listed.0123456789ab.css"):
        site.write("static/" + name, "a{}")
    manifest = {"paths": {"css/site.css": "css/site.0123456789ab.css"}, "version": "1.1"}
    site.write("static/staticfiles.json", json.dumps(manifest))
    catalogue = scan(site.static)
    assert is_immutable(catalogue, "css/site.0123456789ab.css")
    assert is_immutable(catalogue, older)
    assert not is_immutable(catalogue, "css/not-listed.0123456789ab.css")
    assert not is_immutable(catalogue, "css/site.css")


def test_a_broken_manifest_is_logged(site, caplog):
    site.write("static/staticfiles.json", "{")
    assert len(scan(site.static)) == 1
    assert "is no manifest of Django's" in caplog.text


@pytest.mark.parametrize(
    "place", ["manifest.json", ".vite/manifest.json", "dist/manifest.json", "dist/.vite/manifest.json"]
)
def test_vite_s_manifest_vouches_for_names(site, place):
    folder = "dist/" if place.startswith("dist/") else ""
    manifest = {"src/main.ts": {"file": "assets/main-DiwrgTda.js"}}
    site.write("static/" + place, json.dumps(manifest))
    site.write(f"static/{folder}assets/main-DiwrgTda.js", "x")
    site.write(f"static/{folder}assets/old-manifest.js", "x")
    catalogue = scan(site.static)
    assert is_immutable(catalogue, f"{folder}assets/main-DiwrgTda.js")
    assert not is_immutable(catalogue, f"{folder}assets/old-manifest.js")


def test_variants_of_immutable_files_are_immutable_whatever_their_age(site):
    name = hashed("site.css", "a" * 100)
    site.write("static/" + name, "a" * 100)
    os.utime(site.write(f"static/{name}.br", "b"), (1000, 1000))
    variant = scan(site.static).files["/static/" + name].variants[0]
    assert IMMUTABLE.encode() in variant.shared.content


def test_max_age_is_the_mount_s(site):
    site.write("static/a.css", "a{}")
    content = scan(site.static, max_age=7).files["/static/a.css"].identity.shared.content
    assert b"Cache-Control: public, max-age=7\r\n" in content


# Mounts over each other


def test_two_folders_under_one_url_the_first_wins(site):
    site.write("one/a.css", "one")
    site.write("two/a.css", "second")
    site.write("two/b.css", "second")
    catalogue = Catalogue.scan([Mount("/s/", str(site.folder / name), "static") for name in ("one", "two")])
    assert {url: file.identity.size for url, file in catalogue.files.items()} == {
        "/s/a.css": 3,
        "/s/b.css": 6,
    }


def test_an_inner_prefix_takes_its_urls_away(site):
    site.write("outer/inner/a.css", "outer")
    site.write("outer/b.css", "outer")
    site.write("uploads/x.txt", "x")
    mounts = [
        Mount("/s/", str(site.folder / "outer"), "static"),
        Mount("/s/inner/", str(site.folder / "uploads"), "media"),
    ]
    assert set(Catalogue.scan(mounts).files) == {"/s/b.css"}


# What is shared


def test_common_header_lines_exist_once(site):
    for number in range(50):
        site.write(f"static/{number}.css", f"a{number}")
    files = scan(site.static).files.values()
    assert len({id(file.identity.shared) for file in files}) == 1


def test_it_pickles(site):
    site.write("static/a.css", "a" * 100)
    site.write("static/a.css.gz", "g")
    catalogue = scan(site.static)
    copy = pickle.loads(pickle.dumps(catalogue))
    one, other = catalogue.files["/static/a.css"], copy.files["/static/a.css"]
    assert one.identity.validators == other.identity.validators
    assert one.variants[0].shared.content == other.variants[0].shared.content
    assert copy.mounts == catalogue.mounts
    assert copy.rescan("/static/a.css", 2e9).identity.etag == one.identity.etag


def test_a_scan_leaves_no_descriptor_open(site, descriptors):
    for number in range(20):
        site.write(f"static/{number % 3}/{number}.css", "a{}")
    before = descriptors()
    scan(site.static)
    assert descriptors() == before


def test_a_clean_scan_says_nothing(site, caplog):
    site.write("static/a.css", "a{}")
    with caplog.at_level(logging.DEBUG):
        scan(site.static)
    assert not caplog.records
