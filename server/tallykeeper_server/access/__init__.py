"""Who calls, and what they may do: credentials, roles, rates, and the file that tells of them."""
