"""Tests of the Python client, the command line and the demo."""
