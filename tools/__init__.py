"""Checks of this repository that no external tool makes."""
