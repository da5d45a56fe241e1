"""The HTTP server: Connect, gRPC-Web and JSON for every RPC, event streams, and pages such as /metrics."""
