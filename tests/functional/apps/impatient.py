"""Starts the server as `python -m portway` does, but takes workers for dead that are silent for 2 seconds, not 30."""

import sys

from portway.cli import main
from portway.supervisor import supervisor

if __name__ == "__main__":
    supervisor.SILENCE = 2.0
    sys.exit(main())
