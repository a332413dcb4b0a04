import pytest

from portway.files.mounts import Mount, by_length


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("static/", "begins with /"),
        ("", "begins with /"),
        ("https://cdn.example/static/", "begins with /"),
        ("/stat ic/", "plain percent-encoded path"),
        ("/stät/", "plain percent-encoded path"),
        ("/static/?v=1", "plain percent-encoded path"),
        ("/a//b/", "plain percent-encoded path"),
    ],
)
def test_a_prefix_that_cannot_match_is_refused(url, message):
    with pytest.raises(ValueError, match=message):
        Mount(url, "/srv", "static")


def test_other_mistakes_are_refused():
    with pytest.raises(ValueError, match="names no folder"):
        Mount("/static/", "", "static")
    with pytest.raises(ValueError, match="'static' or 'media'"):
        Mount("/static/", "/srv", "dynamic")
    with pytest.raises(ValueError, match="'404' or 'pass'"):
        Mount("/static/", "/srv", "static", unknown="403")
    with pytest.raises(ValueError, match="seconds"):
        Mount("/static/", "/srv", "static", max_age=-1)


def test_the_final_slash_is_added():
    assert Mount("/static", "/srv", "static").url == "/static/"


def test_what_is_no_file_is_a_404_except_under_the_root():
    assert not Mount("/static/", "/srv", "static").passes
    assert Mount("/", "/srv", "static").passes
    assert Mount("/static/", "/srv", "static", unknown="pass").passes
    assert not Mount("/", "/srv", "static", unknown="404").passes


def test_the_longest_prefix_comes_first():
    mounts = [Mount(url, "/srv", "static") for url in ("/", "/static/", "/static/app/", "/x/")]
    assert [mount.url for mount in by_length(mounts)] == ["/static/app/", "/static/", "/x/", "/"]


def test_one_prefix_twice_is_for_static_folders_only():
    static, media = Mount("/f/", "/a", "static"), Mount("/f/", "/b", "media")
    assert by_length([static, Mount("/f", "/c", "static")])[0] is static
    for pair in ([static, media], [media, static], [media, media]):
        with pytest.raises(ValueError, match="two mounts claim /f/"):
            by_length(pair)
