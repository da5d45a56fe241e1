"""Calls beyond the common case: streams of responses, calls that failed, and texts that are not UTF-8."""
