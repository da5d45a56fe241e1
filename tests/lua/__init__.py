"""Tests of the script alone, called as the server's store calls it."""
