"""Metrics: recorders, snapshots of all processes, and the page that Prometheus reads."""
