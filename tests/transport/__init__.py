"""The transport alone, with grpcio's clients and with raw frames."""
