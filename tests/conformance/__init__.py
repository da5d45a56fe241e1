"""Test suites of other projects, run against the transport: see __main__."""
