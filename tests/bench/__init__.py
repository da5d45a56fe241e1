"""Tests of the benchmark's own logic: the load generator, the goals and the model of growth."""
