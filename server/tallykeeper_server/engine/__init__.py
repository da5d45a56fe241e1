"""The engine: gathers calls that wait together and runs them as one. Knows neither gRPC nor Redis."""
