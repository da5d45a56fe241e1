"""Stock as CSV files: `tallykeeper stock import` and `tallykeeper stock export`."""
