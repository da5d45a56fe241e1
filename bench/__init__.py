"""The benchmark: what it measures, against what, and how the results are shown."""
