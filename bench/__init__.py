"""The benchmark: the load, the services that are measured, the goals and the report."""
