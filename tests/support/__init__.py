"""Modules that several groups of tests and the benchmark share."""
