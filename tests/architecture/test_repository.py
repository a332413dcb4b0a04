"""What may stand in no file of the repository: traces of one machine, of registries, and of how it was made.

A letter of each pattern is in brackets, and a ~ in each example, so that this file is not among those found.
"""

import re
from pathlib import Path

import pytest

#: What is looked for, with a line that must be found and one that must not.
FORBIDDEN = {
    "a path of one machine": (
        r"(?:^|[^\w.])/(?:wor[k]|far[m]|roo[t])/|/hom[e]/[a-z]+/|/tmp/(?:ven[v]|contrac[t]|defect[s])",
        "see /ro~ot/notes",
        "the root / of the work, /srv/work/site and /tmp",
    ),
    "the host of a package registry": (
        r"py[p]i\.o|pythonh[o]sted|npmj[s]\.|(?:de[b]|securit[y])\.debian|crate[s]\.io",
        "https://py~pi.org/simple",
        "published as a package for Debian",
    ),
    "a tool that writes for people": (
        (
            r"(?i)cl[a]ude|anthr[o]pic|open[a]i\b|chat[g]pt|copi[l]ot|\bgp[t]-|\bll[m]s?\b|language mode[l]"
            r"|\ba[i][ -](?:assist|gener)|co-autho[r]ed-by"
        ),
        "written by a large language mod~el",
        "to assist the one who generates",
    ),
    "the number of an issue": (
        r"(?i)\b(?:issues?|fix(?:es)?|closes?|pull request) #?\d+\b",
        "as asked for in issue ~7",
        "section 7 of the RFC; a heading #7; issues with 7 threads closed",
    ),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_the_pattern_finds_it(what: str) -> None:
    pattern, bad, good = FORBIDDEN[what]
    assert re.search(pattern, bad.replace("~", ""))
    assert not re.search(pattern, good)


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_mentions(what: str, root: Path, files: list[Path]) -> None:
    pattern = re.compile(FORBIDDEN[what][0])
    found = []
    for path in files:
        try:
            lines = path.read_text("utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        found += [
            f"{path.relative_to(root)}:{number}: {line.strip()[:120]}"
            for number, line in enumerate(lines, 1)
            if pattern.search(line)
        ]
    assert found == []


def test_nothing_that_is_built_is_kept(root: Path, files: list[Path]) -> None:
    built = (".so", ".c", ".pyc", ".whl", ".egg-info")
    assert [str(path.relative_to(root)) for path in files if path.name.endswith(built)] == []
