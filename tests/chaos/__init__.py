"""The fault harness: callers, faults, a record of every call, and a judge that knows which outcomes are possible."""
