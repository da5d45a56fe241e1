"""Many callers at once, lost stores and killed processes. The server's promises must hold in all cases."""
