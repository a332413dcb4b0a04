"""The five lines for when the server is ready: what is served, where, by how many, which build, how to stop.

A pure function of plain values; the supervisor logs the lines.
"""

from collections.abc import Sequence


def start_lines(
    served: str,
    urls: Sequence[str],
    workers: int,
    threads: int,
    sizing_reason: str,
    build: str,
    mounts: Sequence[tuple[str, str, str]] = (),
    pid: int = 0,
    terminal: bool = False,
) -> list[str]:
    """Return five lines.

    served: the application or the project, as str(Target) says it. urls: of the listeners. sizing_reason: why
    that many workers (Settings.sizing_reason). build: portway.settings.build.build_text(). mounts: (URL,
    folder, kind). pid: the supervisor's. terminal: whether somebody sits before it and can press Ctrl-C.
    """
    files = ", ".join(f"{url} from {folder}" for url, folder, _ in mounts) or "no files of its own"
    stop = f"kill -TERM {pid}"
    return [
        f"Serving {served}",
        f"Listening on {', '.join(urls)}",
        f"{_count(workers, 'worker')} x {_count(threads, 'thread')}: {sizing_reason}",
        f"Portway is {build}; it serves {files}",
        f"Stop with Ctrl-C or {stop}" if terminal else f"Stop with {stop}",
    ]


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
