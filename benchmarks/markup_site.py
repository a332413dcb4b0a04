"""The markup site in a folder of its own: database with the sample posts, collected static files, a key.

Prepared once and served by every server alike. Nothing is written into the repository.
"""

import os
import secrets
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.servers import ROOT

#: The page that is asked for: one of the sample posts.
PAGE = "/posts/hello-world/"
APPLICATION = "markup.wsgi:application"


class SiteFailedError(Exception):
    """The site cannot be prepared; it says why."""


@dataclass(frozen=True, slots=True)
class Site:
    """A prepared site. folder: the project's; env: the variables that it is served with."""

    folder: Path
    env: Mapping[str, str]


def prepare(folder: Path) -> Site:
    """Make database and static files in the folder and return the site. Raises SiteFailedError."""
    project = ROOT / "markup"
    env = {
        "DJANGO_SECRET_KEY": secrets.token_urlsafe(50),
        "DATABASE_URL": f"sqlite:///{folder / 'markup.sqlite3'}",
        "DJANGO_STATIC_ROOT": str(folder / "static"),
        "DJANGO_MEDIA_ROOT": str(folder / "media"),
        "DJANGO_LOG_LEVEL": "ERROR",
        "PYTHONPATH": os.pathsep.join([str(project), str(ROOT)]),
    }
    for name in ("static", "media"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for command in (
        ["migrate", "--noinput", "--verbosity", "0"],
        ["load_samples"],
        ["collectstatic", "--noinput", "--verbosity", "0"],
    ):
        done = subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=project,
            env={**{k: v for k, v in os.environ.items() if not k.startswith("DJANGO_")}, **env},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SiteFailedError(f"manage.py {command[0]} failed: {done.stderr.strip()[-400:]}")
    return Site(project, env)
