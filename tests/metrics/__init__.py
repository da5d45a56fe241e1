"""Metrics without a server: recorders, snapshots, the page and its endpoint."""
