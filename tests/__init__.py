"""The tests: against real stores, each in a namespace of its own."""
