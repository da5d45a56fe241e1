"""Metrics: what is counted, what the processes say of it, and the page that Prometheus reads."""
