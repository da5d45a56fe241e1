"""The load of grpcio."""
