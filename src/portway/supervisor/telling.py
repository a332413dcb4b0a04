"""What the supervisor tells the operator of starts, failures and deaths: lines of the error log.

Runs in the supervisor. Whether something is worth a line is decided here, from what is known of the child;
what is to be done about it is decided by portway.supervisor.plan.
"""

import logging
import os
import sys

from portway.settings.banner import start_lines
from portway.settings.build import build_text
from portway.settings.target import Target
from portway.supervisor.children import Child, Death, Failure, Mold
from portway.supervisor.generations import Generation
from portway.supervisor.report import compose

log = logging.getLogger("portway.error")


def tell_start(generation: Generation, target: Target, workers: int) -> None:
    """Say that the server is ready, what it serves, where, and by how many."""
    lines = start_lines(
        served=str(target),
        urls=[listener.url for listener in generation.listeners],
        workers=workers,
        threads=generation.settings.threads,
        sizing_reason=generation.settings.sizing_reason,
        build=build_text(),
        mounts=generation.mounts,
        pid=os.getpid(),
        terminal=sys.stdin is not None and sys.stdin.isatty(),
    )
    for line in lines:
        log.info("%s", line)


def tell_failure(headline: str, failure: Failure) -> None:
    """Write the report of a failure below a headline."""
    log.error("%s", compose(headline, failure), extra={"lines": True})


def tell_death(death: Death, how: str, stopping: bool, candidate: int) -> None:
    """Say that a worker or a mold has ended, where nobody wanted it to.

    how: as "exited with 1". stopping: the server is to end. candidate: the generation on trial, whose failure
    is reported when it is given up.
    """
    if isinstance(death.child, Child):
        _tell_worker_death(death.child, death, how, stopping, candidate)
    else:
        _tell_mold_death(death.child, death, how, stopping, candidate)


def _tell_worker_death(child: Child, death: Death, how: str, stopping: bool, candidate: int) -> None:
    name = f"Worker {child.nr} (process {child.pid})"
    if death.expected or stopping:
        log.debug("%s %s.", name, how)
    elif death.was_ready:
        memory = "; perhaps the system was out of memory" if "SIGKILL" in how else ""
        log.error("%s %s%s. Another takes its place.", name, how, memory)
    elif child.generation != candidate:
        failure = child.failure or Failure("boot", f"It {how} before it was ready.")
        tell_failure(f"{name} did not boot and is tried again:", failure)


def _tell_mold_death(mold: Mold, death: Death, how: str, stopping: bool, candidate: int) -> None:
    if death.expected or stopping:
        log.debug("The mold of generation %d %s.", mold.generation, how)
    elif mold.generation != candidate:
        failure = mold.failure or Failure("boot", f"The mold of generation {mold.generation} {how}.")
        tell_failure("The workers go on, but need a new mold, which is tried again:", failure)
