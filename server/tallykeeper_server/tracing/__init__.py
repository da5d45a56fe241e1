"""Traces: spans of calls and of calls to the store. Below this layer, nothing knows that a call is traced."""
