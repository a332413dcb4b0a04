"""What the server of static files holds: contents in memory, and descriptors."""

from portway.files.server import FileServer


def test_a_small_file_is_read_once(site, css):
    first, second = site.find("/static/css/site.css"), site.find("/static/css/site.css")
    assert first is second
    assert first.body == css.read_bytes()


def test_memory_can_be_turned_off(site, css):
    server = FileServer(site.mounts, memory=0)
    site._server = server
    assert site.get("/static/css/site.css").body == css.read_bytes()
    assert site.find("/static/css/site.css") is not site.find("/static/css/site.css")


def test_no_descriptor_is_left_open(site, css, big, compressed, descriptors):
    assert site.server
    before = descriptors()
    for name in ("css/site.css", "big.bin", "nope"):
        for method in ("GET", "HEAD", "POST"):
            for fields in (
                {},
                {"range": "bytes=0-1"},
                {"range": "bytes=9999999-"},
                {"if_none_match": "*"},
                {"if_match": '"x"'},
            ):
                site.get("/static/" + name, method, **fields)
    assert descriptors() == before


def test_a_response_that_is_not_sent_can_be_closed(site, big, descriptors):
    assert site.server
    before = descriptors()
    response = site.find("/static/big.bin")
    assert descriptors() != before
    response.close()
    response.close()
    assert descriptors() == before
