"""Writes docs/reference/settings.md, to standard output: `python -m portway.settings.reference`.

A test holds the page to the table.
"""

import sys

from portway.settings.foreign import FOREIGN, HOOKS
from portway.settings.table import TABLE, Setting

_HEAD = """\
# Settings

This page is written from the table in `src/portway/settings/table.py`; `python -m portway.settings.reference`
prints it anew. How the places where a setting can stand work together is told in
[the command line](command-line.md).

Each setting has one name, the same in a configuration file and in `--print-config`. Names and flags are
Gunicorn's wherever Gunicorn has the setting; those that Portway adds are marked with a plus (+).
"""

_FOREIGN = """\
## Gunicorn's settings that Portway does not have

A setting in this list is an error, on the command line as in a configuration file, unless its value asks for
nothing (mostly: is Gunicorn's own default). Those marked "no effect" are accepted with a warning.

| Setting | Flag | Instead |
|---|---|---|
"""

_HOOKS = """\
## Gunicorn's hooks

Functions with these names in a configuration file are not called; Portway names those it finds in one warning
when it starts:
"""


def page() -> str:
    """Return the page, as Markdown."""
    parts = [_HEAD]
    section = ""
    for row in TABLE.values():
        if row.section != section:
            section = row.section
            parts.append(f"## {section}\n")
        parts.append(_entry(row))
    lines = []
    for foreign in FOREIGN:
        flags = " ".join(f"`{flag}`" for flag in foreign.flags) or "(file only)"
        advice = foreign.advice[0].upper() + foreign.advice[1:].replace("|", "\\|")
        effect = "No effect: " if foreign.needless else ""
        lines.append(f"| `{foreign.name}` | {flags} | {effect}{advice}. |")
    parts.append(_FOREIGN + "\n".join(lines) + "\n")
    parts.append(_HOOKS + ", ".join(f"`{hook}`" for hook in HOOKS) + ".\n")
    return "\n".join(parts)


def _entry(row: Setting) -> str:
    flags = [f"`{flag} {row.kind.metavar}`" if row.kind.metavar else f"`{flag}`" for flag in row.flags]
    flags += [f"`{flag}`" for flag in row.off_flags]
    lines = [f"### {row.name}{'' if row.gunicorn else ' +'}\n", row.meaning + "\n"]
    lines.append(f"- Flags: {', '.join(flags) if flags else 'none; it stands in a configuration file'}")
    if row.env:
        lines.append(f"- Environment: `{row.env}`")
    lines.append(f"- Default: {_code(row)}")
    lines.append(
        f"- Allowed: {row.kind.allowed}{'; in a file, one or a list of them' if row.repeatable else ''}"
    )
    return "\n".join(lines) + "\n"


def _code(row: Setting) -> str:
    """Return the default as it is written in the page: a value as code, words as words."""
    shown = row.kind.show(row.default) if row.default is not None else ""
    return f"`{shown}`" if shown and shown == row.default_text else row.default_text


if __name__ == "__main__":
    sys.stdout.write(page())
