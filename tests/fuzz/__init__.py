"""Hostile messages, bytes and settings by the thousand: nothing that is sent may break the server."""
