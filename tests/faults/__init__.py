"""Many callers at once, lost stores and killed processes: what was promised must hold all the same."""
