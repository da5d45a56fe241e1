"""The store: script calls and reads. It is the only code that talks to Redis, and it knows no messages of gRPC."""
