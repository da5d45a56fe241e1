"""Tests of the parts of the store that need no server."""
