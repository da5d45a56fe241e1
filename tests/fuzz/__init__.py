"""Hostile messages, bytes and settings by the thousand. None of them may break the server."""
