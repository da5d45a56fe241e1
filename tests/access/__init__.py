"""Who may do what: credentials, roles, rates, certificates."""
