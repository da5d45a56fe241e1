"""The tests. They use real stores, and each has its own namespace."""
