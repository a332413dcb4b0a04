"""Django through the gateway: its responses, files and close(), its view of client, scheme and body."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("django")

CONTENT = "the content of a file " * 5000


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    path = tmp_path_factory.mktemp("django") / "content.txt"
    path.write_text(CONTENT)
    script = Path(__file__).with_name("django_site.py")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script), str(path)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=True,
    )
    return {answer["request"]: answer for answer in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize(
    ("name", "content", "length", "files"),
    [
        ("plain", "plain", 5, 0),
        ("stream", "9\r\nstreamed \r\n6\r\npieces\r\n0\r\n\r\n", None, 0),
        ("file", CONTENT, len(CONTENT), 1),
        ("wrapped-file", CONTENT, len(CONTENT), 1),
        ("memory-file", "from memory", 11, 0),
    ],
)
def test_responses(answers, name, content, length, files):
    answer = answers[f"GET /{name}"]
    assert (answer["status"], answer["error"]) == (200, "")
    assert answer["content"] == content
    assert answer["files"] == files
    assert ("transfer-encoding: chunked" in answer["head"]) is (length is None)
    assert (f"content-length: {length}\r\n" in answer["head"] + "\r\n") is (length is not None)


def test_errors_are_django_s_own_pages(answers):
    assert (answers["GET /boom"]["status"], answers["GET /missing"]["status"]) == (500, 404)
    assert "<h1>Server Error (500)</h1>" in answers["GET /boom"]["content"]
    assert answers["GET /boom"]["error"] == ""


def test_head_has_no_content(answers):
    heads = [answer for request, answer in answers.items() if request.startswith("HEAD")]
    assert len(heads) == 7
    assert {answer["content"] for answer in heads} == {""}
    assert {answer["files"] for answer in heads} == {0}


def test_every_request_was_finished_once_in_the_calling_thread(answers):
    assert {answer["finished"] for answer in answers.values()} == {True}


def test_no_file_stays_open(answers):
    assert len({answer["descriptors"] for answer in answers.values()}) == 1


def test_a_chunked_form_arrives(answers):
    content = json.loads(answers["POST /facts"]["content"])
    assert (content["post"], content["length"]) == ({"a": "1", "b": "2"}, 7)


def test_client_and_scheme_are_those_of_the_trusted_proxy(answers):
    content = json.loads(answers["GET /facts?q=1"]["content"])
    assert content["address"] == "203.0.113.9"
    assert content["secure"] is True
    assert content["uri"] == "https://site.example/facts?q=1"


def test_below_a_script_name(answers):
    content = json.loads(answers["GET /under/b%C3%BCcher/%E2%82%AC"]["content"])
    assert content["path_info"] == "/b\u00fccher/\u20ac"
    assert content["uri"] == "http://site.example/under/b%C3%BCcher/%E2%82%AC"
