"""``tallykeeper serve``: its settings, its start, its health and its end."""
