"""The embedded store: a Valkey process, its data directory, and backups of it."""
