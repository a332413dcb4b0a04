"""Tables: of a run for the terminal, of what had to be reached, and the short one for README.md.

Everything is made from a results file and nothing is measured here. Text that stands between two marker
comments in a Markdown file is replaced, the rest of the file is not touched.
"""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import machine
from benchmarks.results import Results
from benchmarks.servers import BY_NAME
from benchmarks.stats import Round, ratios, spread, values
from benchmarks.targets import Verdict, judge

OWN = "portway"
BEGIN, END = "<!-- {name}: begin -->", "<!-- {name}: end -->"
HEAD = ("", "median", "min .. max", "to Portway", "p99", "CPU each", "remarks")
#: Servers and work of the short table, and what they are called there.
SHORT_SERVERS = ("portway", "fastpysgi", "granian", "gunicorn-gthread")
SHORT_WORK = {
    "hello-4": "13 bytes, 4 threads",
    "headers-4": "20 request and 10 response fields, 4 threads",
    "markup-4": "a page of the markup site (Django), 4 threads",
    "sleep-8": "an application that waits 5 ms, 8 threads",
    "mixture-1": "13 bytes, 1 thread, while 800 clients hang on",
}


def show(value: float | None, unit: str) -> str:
    """Write a figure for people: requests/s, bytes, seconds, instructions, or x for a ratio."""
    if value is None:
        return "-"
    if unit == "bytes":
        return f"{value / 2**20:.1f} MiB"
    if unit == "seconds":
        return f"{value * 1000:.0f} ms" if value >= 0.01 else f"{value * 1000:.2f} ms"
    if unit == "x":
        return f"{value:.2f} x"
    return f"{value:,.0f}" if value >= 100 or value == 0 else f"{value:.1f}"


def latency(seconds: float | None) -> str:
    """Write a latency in milliseconds."""
    if seconds is None:
        return "-"
    return f"{seconds * 1000:.1f} ms" if seconds < 0.1 else f"{seconds * 1000:.0f} ms"


def _errors(rounds: Sequence[Round], server: str) -> str:
    kinds: dict[str, int] = {}
    for each in rounds:
        measured = each.get(server, {})
        for kind, count in measured.get("errors", {}).items():
            kinds[kind] = kinds.get(kind, 0) + count
    if BY_NAME[server].closes:
        # It ends each connection without a word, which the load generator counts as an error of reading.
        kinds.pop("read", None)
    return ", ".join(f"{count} x {kind}" for kind, count in sorted(kinds.items()))


def _failure(rounds: Sequence[Round], server: str) -> str:
    for each in rounds:
        if "failed" in each.get(server, {}):
            return str(each[server]["failed"]).removeprefix("ServerFailedError: ")[:100]
    return ""


def rows_of(work: Mapping[str, Any]) -> list[list[str]]:
    """Return a row for each server that took part, with the columns of HEAD."""
    rounds: Sequence[Round] = work["rounds"]
    metric, unit = work["headline"], work["unit"]
    rows = []
    for server in [name for name in BY_NAME if any(name in each for each in rounds)]:
        found = spread(values(rounds, server, metric))
        if found is None:
            rows.append([BY_NAME[server].title, "failed", "", "", "", "", _failure(rounds, server)])
            continue
        within = ratios(rounds, metric, server, [OWN])
        p99 = values(rounds, server, "p99")
        cpu = values(rounds, server, "cpu_each")
        remarks = [_errors(rounds, server), _failure(rounds, server), *_remarks(rounds, server)]
        rows.append(
            [
                BY_NAME[server].title,
                show(found.median, unit),
                f"{show(found.low, unit)} .. {show(found.high, unit)}",
                show(median(within), "x") if within and server != OWN else "",
                latency(median(p99)) if p99 else "",
                f"{median(cpu) * 1e6:,.1f} us" if cpu else "",
                "; ".join(text for text in remarks if text),
            ]
        )
    return rows


def _remarks(rounds: Sequence[Round], server: str) -> list[str]:
    """Say what else was measured: without the crowd, or all processes together."""
    remarks = []
    if alone := values(rounds, server, "alone.rate"):
        p99 = median(values(rounds, server, "alone.p99"))
        remarks.append(f"without them {show(median(alone), 'requests/s')}, p99 {latency(p99)}")
    if total := values(rounds, server, "total_pss"):
        worker = median(values(rounds, server, "worker_pss"))
        remarks.append(f"a worker {show(worker, 'bytes')}, all processes {show(median(total), 'bytes')}")
    return remarks


def align(rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> list[str]:
    """Return the rows as lines with columns under each other; those not in `left` to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    last = len(widths) - 1
    return [
        "  ".join(
            text.ljust(0 if column == last else width) if column in left else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def table(results: Results) -> str:
    """Return the whole table of a run as text."""
    rows: list[list[str]] = []
    marks = []
    for work in results["work"].values():
        marks.append(len(rows))
        rows.append([f"{work['title']} ({work['unit']})", *HEAD[1:]])
        rows += rows_of(work)
    if not rows:
        return "Nothing was measured."
    # The titles are long, and would push all columns to the right.
    titles = {index: rows[index][0] for index in marks}
    for index in marks:
        rows[index] = ["", *rows[index][1:]]
    lines = align(rows, left=(0, 6))
    for index in reversed(marks):
        lines[index : index + 1] = ["", titles[index], lines[index]]
    missing = [
        f"{known['title']} cannot be installed: {known['missing']}"
        for known in results["servers"].values()
        if "missing" in known
    ]
    return "\n".join([*lines[1:], *(["", *missing] if missing else [])])


def verdict_rows(verdicts: Sequence[Verdict]) -> list[list[str]]:
    """Return a row for each target: work, what, must reach, reached, yes or no."""
    return [
        [
            verdict.work,
            verdict.text,
            f"{'at least' if verdict.at_least else 'at most'} {_bound(verdict.limit, verdict.unit)}",
            "-" if verdict.reached is None else _bound(verdict.reached, verdict.unit),
            verdict.answer,
        ]
        for verdict in verdicts
    ]


def _bound(value: float, unit: str) -> str:
    return f"{value:.2f} x" if unit == "x" else f"{value:,.0f}{unit}"


def verdicts(results: Results) -> str:
    """Return the list of what had to be reached, as text."""
    rows = verdict_rows(judge({name: work["rounds"] for name, work in results["work"].items()}))
    return "\n".join(align([["work", "what", "must reach", "reached", ""], *rows], left=(0, 1, 4)))


#: What would mean something in a cell, in what a server has said.
_LITERAL = str.maketrans({"|": "\\|", "*": "\\*", "<": "&lt;"})


def markdown(rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Return rows as a Markdown table; the first row is its head, the first `left` columns are text."""
    text = [column < left or title == "remarks" for column, title in enumerate(rows[0])]
    rule = "|" + "".join("---|" if is_text else "---:|" for is_text in text)
    lines = ["| " + " | ".join(cell.translate(_LITERAL) for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], rule, *lines[1:]])


def short_table(results: Results) -> str:
    """Return the table for README.md: few servers, few kinds of work, medians and ratios."""
    servers = [name for name in SHORT_SERVERS if "version" in results["servers"].get(name, {})]
    head = ["requests per second", *(_titled(results, name) for name in servers)]
    rows = [head]
    for name, title in SHORT_WORK.items():
        work = results["work"].get(name)
        if work is None or not values(work["rounds"], OWN, "rate"):
            continue
        cells = []
        for server in servers:
            rates = values(work["rounds"], server, "rate")
            cells.append(show(median(rates), "requests/s") if rates else "failed")
        rows.append([title, *cells])
    rounds = results["options"]["rounds"]
    text = (
        f"One process each, on one core; {'medians of' if rounds > 1 else ''} {rounds} "
        f"{'alternating rounds' if rounds > 1 else 'round'} of {results['made'][:10]} "
        f"({machine.one_line(results['machine'])}). FastPySGI has no threads: the application runs on its "
        "event loop. [How it is measured, and how to read it](docs/explanation/performance.md)."
    )
    return f"{markdown(rows)}\n\n{fill(text)}\n"


def fill(text: str) -> str:
    """Break a paragraph into lines, as the pages of the documentation have them."""
    return textwrap.fill(text, 118, break_long_words=False, break_on_hyphens=False)


def _titled(results: Results, name: str) -> str:
    version = results["servers"][name].get("version", "").split(" ")[0]
    return f"{BY_NAME[name].title} {version}".strip()


def full_tables(results: Results, plot: str = "") -> str:
    """Return the tables for docs/explanation/performance.md. plot: its file, beside the page."""
    parts = [f"![Portway beside other servers]({plot})"] if plot else []
    for work in results["work"].values():
        rows = [["server", work["unit"], *HEAD[2:]], *rows_of(work)]
        used = [c for c in range(len(rows[0])) if c == 0 or any(row[c] for row in rows[1:])]
        parts.append(f"**{work['title']}**\n\n" + markdown([[row[c] for c in used] for row in rows]))
    rounds = {name: work["rounds"] for name, work in results["work"].items()}
    head = ["work", "what", "must reach", "reached", "met"]
    parts.append("**What must be reached**\n\n" + markdown([head, *verdict_rows(judge(rounds))], left=2))
    versions = [
        f"{known['title']} {known['version']}" if "version" in known else f"{known['title']} (missing)"
        for known in results["servers"].values()
    ]
    described = machine.one_line(results["machine"])
    again = [results["work"][name]["title"] for name in results.get("measured_again", {})]
    parts.append(
        fill(
            f"Measured {results['made'][:10]} on: {described}. Servers: {', '.join(versions)}."
            + (f" Measured again, in a run of its own: {'; '.join(again)}." if again else "")
        )
    )
    return "\n\n".join(parts) + "\n"


def replace_between(text: str, name: str, new: str) -> str | None:
    """Return the text with what stands between the two markers of that name replaced, None if it has none."""
    begin, end = BEGIN.format(name=name), END.format(name=name)
    first, last = text.find(begin), text.find(end)
    if first < 0 or last < first:
        return None
    return f"{text[: first + len(begin)]}\n{new.strip()}\n{text[last:]}"


def write_between(path: Path, name: str, new: str, section: str = "", before: str = "") -> bool:
    """Replace the part of a file between two markers; return whether the file has changed.

    Where the markers are missing, a section with them is added if its heading is given: in front of the
    heading `before`, or at the end if there is none. Raises LookupError, OSError.
    """
    text = path.read_text()
    replaced = replace_between(text, name, new)
    if replaced is None:
        if not section:
            raise LookupError(f"{path} has no comment {BEGIN.format(name=name)}")
        above, heading, below = text.partition(f"\n{before}\n") if before else (text, "", "")
        marks = f"{BEGIN.format(name=name)}\n{END.format(name=name)}\n"
        replaced = replace_between(f"{above.rstrip()}\n\n{section}\n\n{marks}{heading}{below}", name, new)
        assert replaced is not None
    if replaced != text:
        path.write_text(replaced)
    return replaced != text
