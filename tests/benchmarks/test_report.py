"""Tables and marked parts of pages, made from known figures."""

import pytest

from benchmarks import report, results

ROUNDS = [
    {
        "portway": {"rate": 1000.0, "p99": 0.002, "cpu_each": 1e-5, "errors": {}},
        "granian": {"rate": 500.0, "p99": 0.25},
    },
    {
        "portway": {"rate": 2000.0, "p99": 0.004, "errors": {"read": 2}},
        "granian": {"rate": 500.0, "p99": 0.35},
    },
    {
        "portway": {"rate": 1500.0, "p99": 0.003, "errors": {"read": 1}},
        "granian": {"failed": "it ended with 1"},
    },
]


def test_a_row_holds_median_spread_ratio_and_what_went_wrong(measured):
    rows = report.rows_of(measured(ROUNDS)["work"]["hello-1"])
    assert rows == [
        ["Portway", "1,500", "1,000 .. 2,000", "", "3.0 ms", "10.0 us", "3 x read"],
        # 500/1000 and 500/2000: their median.
        ["Granian", "500", "500 .. 500", "0.38 x", "300 ms", "", "it ended with 1"],
    ]


def test_a_server_that_never_answered_has_its_reason(measured):
    rounds = [{"portway": {"failed": "it does not listen"}}]
    assert report.rows_of(measured(rounds)["work"]["hello-1"]) == [
        ["Portway", "failed", "", "", "", "", "it does not listen"]
    ]


def test_closing_after_a_response_is_no_error_of_a_server_that_always_does(measured):
    rounds = [{"uwsgi": {"rate": 10.0, "errors": {"read": 7, "timeout": 1}}}]
    assert report.rows_of(measured(rounds)["work"]["hello-1"])[0][-1] == "1 x timeout"


def test_the_table_names_what_is_missing(measured):
    text = report.table(measured(ROUNDS))
    assert "hello, 13 bytes (requests/s)" in text
    assert "bjoern cannot be installed: ev.h: not found" in text
    lines = text.splitlines()
    head = next(line for line in lines if "median" in line)
    own = next(line for line in lines if line.startswith("Portway"))
    assert head.index("median") + len("median") == own.index("1,500") + len("1,500")


def test_memory_shows_all_processes(measured):
    rounds = [{"portway": {"worker_pss": 20 * 2**20, "total_pss": 50 * 2**20}}]
    rows = report.rows_of(measured(rounds, headline="worker_pss", unit="bytes")["work"]["hello-1"])
    assert rows[0][1] == "20.0 MiB"
    assert rows[0][-1] == "a worker 20.0 MiB, all processes 50.0 MiB"


def test_nothing_measured():
    assert report.table({"work": {}, "servers": {}}) == "Nothing was measured."


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "requests/s", "-"),
        (0.0, "requests/s", "0"),
        (12.34, "requests/s", "12.3"),
        (91_234.5, "requests/s", "91,234"),
        (0.0042, "seconds", "4.20 ms"),
        (1.25, "seconds", "1250 ms"),
        (3 * 2**20, "bytes", "3.0 MiB"),
        (0.954, "x", "0.95 x"),
    ],
)
def test_figures_for_people(value, unit, text):
    assert report.show(value, unit) == text


def test_the_list_of_what_must_be_reached(measured):
    lines = report.verdicts(measured(ROUNDS, name="hello-4")).splitlines()
    assert len(lines) == 1 + len(report.judge({}))
    (granian,) = [line for line in lines if line.startswith("hello-4") and "Granian" in line]
    # 1000/500 and 2000/500.
    assert granian.split()[-5:] == ["1.30", "x", "3.00", "x", "yes"]
    assert all(line.endswith("not measured") for line in lines if line.startswith("sleep-8"))


def test_the_short_table_leaves_out_who_was_not_there(measured):
    found = measured(ROUNDS, name="hello-4")
    del found["servers"]["fastpysgi"]
    head, rule, row, *_ = report.short_table(found).splitlines()
    assert head == "| requests per second | Portway 0.1.0 | Granian 2.8.7 | Gunicorn gthread 27.0.1 |"
    assert rule == "|---|---:|---:|---:|"
    assert row == "| 13 bytes, 4 threads | 1,500 | 500 | failed |"


def test_what_a_server_said_is_no_markup():
    rows = [["a", "b", "remarks"], ["b|c", "1", "*** <b>"]]
    expected = "| a | b | remarks |\n|---|---:|---|\n| b\\|c | 1 | \\*\\*\\* &lt;b> |"
    assert report.markdown(rows) == expected


def test_the_long_tables_hold_all_work_and_the_verdicts(measured):
    text = report.full_tables(measured(ROUNDS))
    assert "| Portway | 1,500 | 1,000 .. 2,000 |  | 3.0 ms | 10.0 us | 3 x read |" in text
    assert (
        "| hello-1 | rate, of the faster of FastPySGI and bjoern | at least 0.95 x | - | not measured |"
        in text
    )
    assert "bjoern (missing)" in text


PAGE = "# Top\n\n<!-- speed: begin -->\nold\n<!-- speed: end -->\n\nBelow.\n"


def test_the_text_between_the_markers_is_replaced(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    assert report.write_between(page, "speed", "new\n")
    assert page.read_text() == PAGE.replace("old", "new")
    assert not report.write_between(page, "speed", "new\n")


def test_a_page_without_markers_gets_a_section_before_a_heading(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Top\n\nText.\n\n## Next\n\nMore.\n")
    assert report.write_between(page, "speed", "new", "## How fast", "## Next")
    marked = "## How fast\n\n<!-- speed: begin -->\nnew\n<!-- speed: end -->\n"
    assert page.read_text() == f"# Top\n\nText.\n\n{marked}\n## Next\n\nMore.\n"


def test_a_page_without_that_heading_gets_the_section_at_its_end(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Top\n")
    report.write_between(page, "speed", "new", "## How fast", "## Next")
    assert page.read_text() == "# Top\n\n## How fast\n\n<!-- speed: begin -->\nnew\n<!-- speed: end -->\n"


def test_markers_in_the_wrong_order_are_none(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- speed: end --> <!-- speed: begin -->")
    with pytest.raises(LookupError, match="speed: begin"):
        report.write_between(page, "speed", "new")


class TestWorkMeasuredAgain:
    """A later run's figures in the place of those of a run that was disturbed."""

    def test_the_later_rounds_are_shown_and_said_to_be_later(self, measured):
        bench, later = measured(ROUNDS), measured(ROUNDS[1:])
        later["made"] = "2026-01-06T00:00:00+00:00"
        assert results.replace_work(bench, later) == ["hello-1"]
        assert bench["work"]["hello-1"]["rounds"] == ROUNDS[1:]
        assert bench["measured_again"] == {"hello-1": later["made"]}
        shown = " ".join(report.full_tables(bench).split())
        assert "Measured again, in a run of its own: hello, 13 bytes." in shown

    def test_not_for_some_servers_only(self, measured):
        bench, later = measured(ROUNDS), measured([{"portway": {"rate": 1.0}}])
        with pytest.raises(ValueError, match="hello-1 was not measured again for granian"):
            results.replace_work(bench, later)
        assert "measured_again" not in bench
