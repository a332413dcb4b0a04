"""The five start-up lines."""

from portway.settings.banner import start_lines


def test_the_lines_of_a_project_with_files() -> None:
    assert start_lines(
        served="the Django project in /srv/site (site.settings)",
        urls=["http://0.0.0.0:8000", "unix:/run/site.sock"],
        workers=2,
        threads=4,
        sizing_reason="2 CPUs (cgroup quota)",
        build="compiled, CPython 3.11.7",
        mounts=[("/static/", "/srv/static", "static"), ("/media/", "/srv/media", "media")],
        pid=4711,
        terminal=True,
    ) == [
        "Serving the Django project in /srv/site (site.settings)",
        "Listening on http://0.0.0.0:8000, unix:/run/site.sock",
        "2 workers x 4 threads: 2 CPUs (cgroup quota)",
        "Portway is compiled, CPython 3.11.7; it serves /static/ from /srv/static, /media/ from /srv/media",
        "Stop with Ctrl-C or kill -TERM 4711",
    ]


def test_the_lines_of_one_thread_without_files_and_without_a_terminal() -> None:
    lines = start_lines("app:app", ["http://[::1]:80"], 1, 1, "by -w", "uncompiled, CPython 3.13.1", pid=7)
    assert lines[2] == "1 worker x 1 thread: by -w"
    assert lines[3].endswith("it serves no files of its own")
    assert lines[4] == "Stop with kill -TERM 7"
