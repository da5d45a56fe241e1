"""The benchmark: the load, the services that it measures, the goals and the report."""
