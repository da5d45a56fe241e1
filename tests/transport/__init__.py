"""The transport alone, against grpcio's clients and against raw frames."""
