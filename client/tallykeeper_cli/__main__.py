"""Runs the command line with ``python -m tallykeeper_cli``."""

import sys

from tallykeeper_cli.main import main

sys.exit(main())
