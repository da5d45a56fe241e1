"""Access: credentials, roles, rates and certificates."""
