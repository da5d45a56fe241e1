"""The engine gathers calls that wait together and runs them as one. It knows neither gRPC nor Redis."""
