"""Static and media files, which Nginx serves without the server behind it."""

import re
import socket

import pytest

pytestmark = pytest.mark.chain

A_YEAR = "max-age=31536000, public, immutable"


@pytest.fixture
def stylesheet(chain):
    """The address of the style sheet that the front page links to."""
    return re.search(r'href="(/static/site\.[0-9a-f]{12}\.css)"', chain.ask("/").text)[1]


def test_a_file_with_a_hashed_name_is_kept_for_good(chain, site, stylesheet):
    answer = chain.ask(stylesheet)
    assert answer.status == 200
    assert answer.body == (site.static / stylesheet.rpartition("/")[2]).read_bytes()
    assert answer["Cache-Control"] == A_YEAR
    assert answer["Content-Type"] == "text/css; charset=utf-8"
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_a_file_with_a_plain_name_is_kept_for_a_minute(chain):
    answer = chain.ask("/static/site.css")
    assert (answer.status, answer["Cache-Control"]) == (200, "max-age=60")


def test_files_never_reach_the_server(chain, stylesheet):
    chain.ask(stylesheet)
    chain.ask("/media/samples/canon.svg")
    # Log lines come in order: when the page's is there, those before it would be.
    chain.ask("/robots.txt?after-the-files")
    chain.upstream.wait_for_log("after-the-files")
    assert "/static/" not in chain.upstream.log
    assert "/media/" not in chain.upstream.log


def test_the_pages_of_the_admin_have_all_their_files(chain):
    page = chain.ask("/admin/login/").text
    files = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
    assert len(files) > 3
    for file in files:
        answer = chain.ask(file)
        assert (file, answer.status, answer["Cache-Control"]) == (file, 200, A_YEAR)


@pytest.mark.parametrize("path", ["/static/site.css", "/media/samples/dither.png"])
def test_files_answer_conditions_heads_and_ranges(chain, converse, path):
    connection = chain.connect()
    try:
        whole = converse(connection, path)
        unchanged = converse(connection, path, fields={"If-None-Match": whole["ETag"]})
        head = converse(connection, path, method="HEAD")
        part = converse(connection, path, fields={"Range": "bytes=2-5"})
        outside = converse(connection, path, fields={"Range": "bytes=99999999-"})
    finally:
        connection.close()
    assert (unchanged.status, unchanged.body, unchanged["ETag"]) == (304, b"", whole["ETag"])
    assert unchanged["Cache-Control"] == "max-age=60"
    assert (head.status, head.body, head["Content-Length"]) == (200, b"", str(len(whole.body)))
    assert (part.status, part.body, part["Cache-Control"]) == (206, whole.body[2:6], "max-age=60")
    assert outside.status == 416


@pytest.mark.parametrize("path", ["/static/gone.0123456789ab.css", "/static/", "/media/gone.png"])
def test_what_is_no_file_is_nobodys_to_keep(chain, path):
    answer = chain.ask(path)
    assert answer.status in (403, 404)
    assert answer["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "path",
    [
        "/static/../markup.sqlite3",
        "/static..%2fmarkup.sqlite3",
        "/static../markup.sqlite3",
        "/media/..%2f..%2fmarkup.sqlite3",
        "/media/%2e%2e/markup.sqlite3",
        "/media../markup.sqlite3",
    ],
)
def test_no_path_leads_out_of_the_folders(chain, site, path):
    assert (site.folder / "markup.sqlite3").exists()
    # As it is written: http.client and urllib would tidy it up.
    head = f"GET {path} HTTP/1.1\r\nHost: {chain.authority}\r\nConnection: close\r\n\r\n"
    with chain.raw(head.encode()) as client:
        answer = client.makefile("rb").read()
    assert int(answer.split()[1]) in (400, 404)
    assert b"SQLite format" not in answer


@pytest.mark.parametrize("folder", ["static", "media"])
def test_hidden_files_are_nobodys(chain, site, folder):
    (site.folder / folder / ".git").mkdir(exist_ok=True)
    (site.folder / folder / ".env").write_text("secret")
    (site.folder / folder / ".git" / "config").write_text("secret")
    assert [chain.ask(f"/{folder}/{name}").status for name in (".env", ".git/config")] == [404, 404]


def test_an_upload_that_could_run_scripts_runs_none(chain, site):
    hostile = "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    for name, content_type in (("a.svg", "image/svg+xml"), ("a.html", "text/html; charset=utf-8")):
        (site.media / name).write_text(hostile)
        answer = chain.ask(f"/media/{name}")
        assert (answer.status, answer.text, answer["Content-Type"]) == (200, hostile, content_type)
        assert answer["Content-Security-Policy"] == "sandbox"
        assert answer["X-Content-Type-Options"] == "nosniff"


def test_a_pdf_can_be_read_and_an_unknown_file_saved(chain, site):
    (site.media / "paper.pdf").write_bytes(b"%PDF-1.7")
    (site.media / "thing.unknown").write_bytes(b"<script>")
    pdf, unknown = chain.ask("/media/paper.pdf"), chain.ask("/media/thing.unknown")
    assert (pdf["Content-Type"], pdf["Content-Security-Policy"]) == ("application/pdf", None)
    assert unknown["Content-Type"] == "application/octet-stream"
    assert unknown["X-Content-Type-Options"] == "nosniff"


def test_a_link_among_the_uploads_leads_nowhere(chain, site):
    link = site.media / "link.txt"
    if not link.is_symlink():
        link.symlink_to(site.folder / "markup.sqlite3")
    assert chain.ask("/media/link.txt").status in (403, 404)


def test_nothing_can_be_written_where_files_are(chain):
    for method in ("POST", "PUT", "DELETE"):
        assert chain.ask("/media/samples/dither.png", method=method, body=b"x").status == 405


def test_an_http_1_0_client_gets_files_too(chain):
    with chain.raw(b"GET /static/site.css HTTP/1.0\r\n\r\n") as client:
        client.shutdown(socket.SHUT_WR)
        assert client.makefile("rb").readline() == b"HTTP/1.1 200 OK\r\n"
