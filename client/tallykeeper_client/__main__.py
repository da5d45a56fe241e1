"""Runs the command line with ``python -m tallykeeper_client``."""

import sys

from tallykeeper_client.cli import main

sys.exit(main())
