"""Access: credentials, roles and rates of callers, and the file that lists them."""
