"""The commands `serve`, `backup`, `check-aof`, `access` and `certificates`."""
