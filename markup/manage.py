#!/usr/bin/env python
"""Runs the project's management commands: migrate, load_samples, collectstatic and so on."""

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "markup.settings")

    from django.core.management import execute_from_command_line

    from markup.env import InvalidEnvironment

    try:
        execute_from_command_line(sys.argv)
    except InvalidEnvironment as error:
        # A list of what to set, and no traceback: nothing is wrong with the code.
        sys.exit(str(error))
