"""The fault harness: callers, faults, a record of every call, and a judge who knows what may have happened."""
